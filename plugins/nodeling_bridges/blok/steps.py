"""The shapes of a step: a node's call, and the seven kinds of control flow of the second generation."""

from __future__ import annotations

from typing import Any

from nodeling_bridges.blok.builtin import IF_ELSE, bare_name, known_nodes, lower_builtin
from nodeling_bridges.blok.common import (
    NAMING,
    PLAIN,
    TRYING,
    idempotent,
    plain_keys,
    spread,
    trying_keys,
    without_cache,
)
from nodeling_bridges.blok.draft import Draft
from nodeling_bridges.blok.shapes import SHAPES
from nodeling_bridges.blok.stopping import Stops
from nodeling_bridges.blok.values import Values

__all__ = ["Steps"]

Step = dict[str, Any]
_OWN = ("inputs", "execution", "nodes", "conditions")  # what `nodes.<step>` holds, on the step itself
_CALL = ("use", "node", "type", "runtime", *_OWN, *PLAIN, *NAMING, *TRYING)
_STREAMS = ("stream_logs", "streamTo", "stream")
_SCHEDULING = ("concurrencyKey", "concurrencyLimit", "delay", "ttl", "debounce")


class Steps:
    """Turns the steps of one document; `configs` is its `nodes`, for steps of the first generation."""

    def __init__(self, draft: Draft, configs: dict[str, Any]) -> None:
        self.draft = draft
        self.values = Values(draft)
        self.stops = Stops(draft)
        self.counts: list[str] = []  # what the conditions of loops go by that count their rounds
        self.configs = configs
        self.used: set[str] = set()

    # --- Lists ------------------------------------------------------------------------------------

    def scope(
        self,
        given: Any,
        pointer: str,
        target: str,
        what: str,
        *,
        is_last: bool = True,
        is_pool: bool = False,
    ) -> list[Step]:
        """The steps of a list.

        Args:
            given: The list.
            pointer: Where it stands.
            target: Where it stands in the native document.
            what: What it is called.
            is_last: Nothing follows it in any list above.
            is_pool: Its steps know nothing of one another.
        """
        found: list[Step] = []
        steps = self.draft.steps(given, pointer, what)
        stopped = False
        self.stops.enter()
        for index, (step, place) in enumerate(steps):
            name, is_end = str(step.get("id", step.get("name"))), index == len(steps) - 1
            stops = self._stops(step, place, is_pool=is_pool) and not stopped
            if stops and self.draft.is_first:  # it ends before the step
                stopped = True
                found.extend([] if is_last else [self.stops.ended(name)])
            marked = self.stops.marked
            self.draft.place(f"{target}/{len(found)}", place)
            made = self.step(step, place, f"{target}/{len(found)}", is_last=is_last and is_end)
            found.extend({**one, "active": False} for one in made) if stopped else found.extend(made)
            if stops and not self.draft.is_first:
                self._stop_behind(found, name, is_last=is_last)
            if self.stops.marked > marked and not (stops or stopped or is_pool or is_end):
                found.append(self.stops.gate(name))
        self.stops.leave()
        return found

    def _stops(self, step: Step, place: str, *, is_pool: bool) -> bool:
        """Whether the workflow ends at a step."""
        if step.get("stop") is not True or step.get("active") is False:
            return False
        if is_pool:
            message = "`stop` stands on one of several steps that run at once: there is no order to end"
            self.draft.fault("stop", f"{place}/stop", message, "set it on the step around them")
            return False
        if self.stops.is_in_loop:
            message = "`stop` inside a loop ends its round"
            self.draft.note("stop", f"{place}/stop", message, "the loop's own condition ends the loop")
        return True

    def _stop_behind(self, found: list[Step], name: str, *, is_last: bool) -> None:
        """The second generation ends the workflow when the step has succeeded."""
        if is_last or self.stops.is_outermost:
            found[-1]["stop"] = True
        else:
            found.append(self.stops.ended(name))

    def step(self, data: Step, pointer: str, target: str, *, is_last: bool = True) -> list[Step]:
        """One step; two where its output is spread."""
        shape = next((shape for shape in SHAPES if isinstance(data.get(shape), (dict, str))), None)
        if shape is not None and "use" not in data and "node" not in data:
            return SHAPES[shape](self, data, pointer, target, is_last)
        return self._call(data, pointer, target, is_last)

    # --- A node's call ----------------------------------------------------------------------------

    def _call(self, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
        draft = self.draft
        node = draft.text(data, "use" if "use" in data else "node", pointer, "a step")
        found = plain_keys(draft, data, pointer)
        draft.strangers(data, (*_CALL, *_STREAMS, *_SCHEDULING), pointer, "this step")
        self._left_out(data, pointer)
        trying_keys(draft, data, pointer, found)
        idempotent(draft, data, pointer, found, self.values, target)
        config, place = self._config(data, pointer)
        bare = bare_name(node)
        if bare == IF_ELSE or "conditions" in config:
            found.update(self._conditions(config, place, target, is_last))
            return [without_cache(draft, data, pointer, found)]
        flow = self._flow(config, place, target, is_last)
        if flow is not None:
            return [without_cache(draft, data, pointer, {**found, **flow})]
        kind = data.get("type")
        if isinstance(kind, str) and kind not in ("module", "local"):
            found["type"] = kind
        made = self._node(found, node, bare, config, place, target, pointer)
        made = without_cache(draft, data, pointer, made)
        return spread(draft, data, self._mapped(made, config, place, target))

    def _config(self, data: Step, pointer: str) -> tuple[Step, str]:
        """What is said of a step: on the step itself, or in `nodes` under its name."""
        name = data.get("name", data.get("id"))
        own = {key: data[key] for key in _OWN if key in data}
        if not own and isinstance(name, str) and name in self.configs:
            self.used.add(name)
            place = "/nodes/" + name.replace("~", "~0").replace("/", "~1")
            return self.draft.mapping(self.configs[name], place, f"`nodes.{name}`"), place
        return own, pointer

    def _left_out(self, data: Step, pointer: str) -> None:
        for key in (*_STREAMS, *_SCHEDULING):
            if key in data:
                kind = "stream" if key in _STREAMS else "scheduling"
                self.draft.note(kind, f"{pointer}/{key}", f"`{key}` of a step does not come along")
        runtime = data.get("runtime")
        if runtime is not None and data.get("type") != f"runtime.{runtime}":
            self.draft.note("runtime", f"{pointer}/runtime", "`runtime` says nothing beside `type`")

    def _node(
        self, found: Step, node: str, bare: str | None, config: Step, place: str, target: str, pointer: str
    ) -> Step:
        """The node, its inputs or other keys converted."""
        found["node"] = self.draft.wishes.bindings.get(node, node)
        is_ours = bare in known_nodes() and found["node"] == node
        if is_ours and bare == "expr":
            given = config.get("inputs", {})
            text = given.get("expression") if isinstance(given, dict) else None
            found["inputs"] = (
                {"expression": f"js/{self.values.javascript(text)}"} if isinstance(text, str) else {}
            )
        else:
            for key, value in config.items():
                if key == "nodes":
                    at, to = f"{place}/nodes", f"{target}/nodes"
                    found[key] = self.scope(value, at, to, "`nodes`", is_last=False, is_pool=True)
                elif key != "mapper":
                    found[key] = self.values.value(value, f"{place}/{key}", f"{target}/{key}")
        if is_ours and bare is not None:
            return lower_builtin(self.draft, found, bare, pointer)
        if bare is not None and found["node"] == node:
            known = ", ".join(known_nodes())
            hint = f"--bind {node}=my-node says which node it is; of Blok's own there is {known}"
            tell = self.draft.note if self.draft.wishes.dry_run else self.draft.fault
            tell("node", pointer, f"nothing here stands for {node}", hint)
        return found

    def _mapped(self, found: Step, config: Step, place: str, target: str) -> Step:
        """A step whose output goes through a mapper is a sequence of both, under its name."""
        mapper = config.get("mapper")
        if mapper is None:
            return found
        name = found.pop("name")
        kept = ("active", "stop", "set_var", "description")
        outer: Step = {key: found.pop(key) for key in kept if key in found}
        inner = {"name": self.draft.unique(f"{name}-node"), **found}
        given = self.draft.mapping(mapper, f"{place}/mapper", "`mapper`")
        made = self.step(given, f"{place}/mapper", f"{target}/steps/1")
        return {"name": name, **outer, "node": "sequence", "steps": [inner, *made]}

    # --- Flows of the first generation ------------------------------------------------------------

    def _conditions(self, config: Step, place: str, target: str, is_last: bool) -> Step:
        given = config.get("conditions", config.get("inputs"))
        branches = []
        for index, (entry, at) in enumerate(self.draft.steps(given, f"{place}/conditions", "`conditions`")):
            to = f"{target}/conditions/{index}"
            branch: Step = {"type": entry.get("type", "if")}
            condition = entry.get("condition")
            if isinstance(condition, str) and condition.strip() and branch["type"] != "else":
                branch["condition"] = self.values.condition(condition)
                self.draft.place(f"{to}/condition", f"{at}/condition")
            branch["steps"] = self.scope(
                entry.get("steps"), f"{at}/steps", f"{to}/steps", "`steps`", is_last=is_last
            )
            branches.append(branch)
        return {"node": "if-else", "conditions": branches}

    def _flow(self, config: Step, place: str, target: str, is_last: bool) -> Step | None:
        """`nodes` may hold steps, or steps to try and steps to catch with, in place of inputs."""
        if isinstance(config.get("steps"), list):
            steps = self.scope(
                config["steps"], f"{place}/steps", f"{target}/steps", "`steps`", is_last=is_last
            )
            return {"node": "sequence", "steps": steps}
        if not isinstance(config.get("try"), dict):
            return None
        found: Step = {"node": "try"}
        for part in ("try", "catch"):
            inner = self.draft.mapping(config.get(part), f"{place}/{part}", f"`{part}`")
            at, to = f"{place}/{part}/steps", f"{target}/{part}"
            found[part] = self.scope(inner.get("steps"), at, to, "`steps`", is_last=is_last)
        return found
