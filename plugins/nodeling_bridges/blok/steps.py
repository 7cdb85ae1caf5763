"""The shapes of a step: a node's call, and the seven kinds of control flow of the second generation."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from nodeling_bridges.blok.builtin import IF_ELSE, bare_name, known_nodes, lower_builtin
from nodeling_bridges.blok.common import NAMING, PLAIN, TRYING, plain_keys, spread, trying_keys
from nodeling_bridges.blok.draft import Draft
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
        self.configs = configs
        self.used: set[str] = set()

    # --- Lists ------------------------------------------------------------------------------------

    def scope(self, given: Any, pointer: str, target: str, what: str, *, is_last: bool = True) -> list[Step]:
        """The steps of a list, in order; `is_last` tells that nothing follows it in any list above."""
        found: list[Step] = []
        steps = self.draft.steps(given, pointer, what)
        stopped = False
        for index, (step, place) in enumerate(steps):
            if self.draft.is_first and step.get("stop") is True and step.get("active") is not False:
                stopped = stopped or self._stops(place, is_last)
            self.draft.place(f"{target}/{len(found)}", place)
            ends = is_last and index == len(steps) - 1
            made = self.step(step, place, f"{target}/{len(found)}", is_last=ends)
            if stopped:
                made = [{**one, "active": False} for one in made]
            found.extend(made)
        return found

    def _stops(self, place: str, is_last: bool) -> bool:
        """The first generation ends the workflow before a step with `stop`."""
        if not is_last:
            hint = "move what follows into the branches in which it shall run"
            message = "`stop` inside a branch ends the whole workflow; here it would end the branch alone"
            self.draft.fault("stop", f"{place}/stop", message, hint)
        message = "the workflow ends before a step with `stop`: it and what follows are inactive here"
        self.draft.note("stop", f"{place}/stop", message)
        return True

    def step(self, data: Step, pointer: str, target: str, *, is_last: bool = True) -> list[Step]:
        """One step; two where its output is spread."""
        shape = next((shape for shape in _SHAPES if isinstance(data.get(shape), (dict, str))), None)
        if shape is not None and "use" not in data and "node" not in data:
            return _SHAPES[shape](self, data, pointer, target, is_last)
        return self._call(data, pointer, target, is_last)

    # --- A node's call ----------------------------------------------------------------------------

    def _call(self, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
        draft = self.draft
        node = draft.text(data, "use" if "use" in data else "node", pointer, "a step")
        found = plain_keys(draft, data, pointer)
        draft.strangers(data, (*_CALL, *_STREAMS, *_SCHEDULING), pointer, "this step")
        self._left_out(data, pointer)
        trying_keys(draft, data, pointer, found)
        config, place = self._config(data, pointer)
        bare = bare_name(node)
        if bare == IF_ELSE or "conditions" in config:
            found.update(self._conditions(config, place, target, is_last))
            return [found]
        flow = self._flow(config, place, target, is_last)
        if flow is not None:
            return [{**found, **flow}]
        kind = data.get("type")
        if isinstance(kind, str) and kind not in ("module", "local"):
            found["type"] = kind
        made = self._node(found, node, bare, config, place, target, pointer)
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
                    found[key] = self.scope(
                        value, f"{place}/nodes", f"{target}/nodes", "`nodes`", is_last=False
                    )
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

    # --- Shapes of the second generation ----------------------------------------------------------

    def _opened(self, data: Step, shape: str, keys: tuple[str, ...], pointer: str) -> tuple[Step, Step, str]:
        """A new step, what its shape says, and where."""
        found = plain_keys(self.draft, data, pointer)
        self.draft.strangers(data, (*PLAIN, shape), pointer, f"this {shape}")
        place = f"{pointer}/{shape}"
        given = self.draft.mapping(data[shape], place, f"`{shape}`")
        self.draft.strangers(given, keys, place, f"`{shape}`")
        return found, given, place

    def _branch(self, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
        found, given, place = self._opened(data, "branch", ("when", "then", "else"), pointer)
        found["node"] = "if-else"
        found["if"] = self.values.condition(self.draft.text(given, "when", place, "a branch"))
        self.draft.place(f"{target}/if", f"{place}/when")
        for key in ("then", "else"):
            if given.get(key):
                at, to = f"{place}/{key}", f"{target}/{key}"
                found[key] = self.scope(given[key], at, to, f"`{key}`", is_last=is_last)
        return [found]

    def _switch(self, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
        found, given, place = self._opened(data, "switch", ("on", "cases", "default"), pointer)
        found.update(node="switch", on=self._script(given.get("on"), f"{place}/on", f"{target}/on"), cases=[])
        for index, (case, at) in enumerate(self.draft.steps(given.get("cases"), f"{place}/cases", "`cases`")):
            to = f"{target}/cases/{index}"
            when = self.values.value(case.get("when"), f"{at}/when", f"{to}/when")
            do = self.scope(case.get("do"), f"{at}/do", f"{to}/do", "`do`", is_last=is_last)
            found["cases"].append({"when": when, "do": do})
        if given.get("default"):
            at, to = f"{place}/default", f"{target}/default"
            found["default"] = self.scope(given["default"], at, to, "`default`", is_last=is_last)
        return [found]

    def _for_each(self, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
        found, given, place = self._opened(
            data, "forEach", ("in", "as", "mode", "concurrency", "do"), pointer
        )
        item = str(given.get("as", "item"))
        is_parallel = given.get("mode") == "parallel"
        found.update(node="for-each", strategy="parallel" if is_parallel else "sequential")
        found["in"] = self._script(given.get("in"), f"{place}/in", f"{target}/in")
        if is_parallel:
            found["max_concurrent"] = given.get("concurrency", 10)
        body = self.scope(given.get("do"), f"{place}/do", f"{target}/do", "`do`", is_last=False)
        found["do"] = [self._published(found["name"], {item: "${item}", f"{item}Index": "${index}"}), *body]
        return [found]

    def _loop(self, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
        found, given, place = self._opened(data, "loop", ("while", "maxIterations", "do"), pointer)
        text = self.draft.text(given, "while", place, "a loop")
        if f"{data.get('id')}Index" in text:
            message = "the condition of a loop cannot read the number of its round here"
            self.draft.fault("loop", f"{place}/while", message, "count in a step of the body")
        found.update(node="while")
        found["while"] = self.values.condition(text)
        self.draft.place(f"{target}/while", f"{place}/while")
        if "maxIterations" in given:
            found["max_iterations"] = given["maxIterations"]
        body = self.scope(given.get("do"), f"{place}/do", f"{target}/do", "`do`", is_last=False)
        found["do"] = [self._published(found["name"], {f"{data.get('id')}Index": "${iteration}"}), *body]
        return [found]

    def _published(self, name: str, values: Step) -> Step:
        """What a loop counts and holds stands in the context, as Blok has it."""
        return {
            "name": self.draft.unique(f"{name}-item"),
            "node": "blok-publish",
            "inputs": {"values": values},
        }

    def _try(self, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
        found, given, place = self._opened(data, "tryCatch", ("try", "catch", "finally"), pointer)
        found["node"] = "try"
        for key in ("try", "catch", "finally"):
            if given.get(key):
                found[key] = self.scope(
                    given[key], f"{place}/{key}", f"{target}/{key}", f"`{key}`", is_last=False
                )
        return [found]

    def _wait(self, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
        found = plain_keys(self.draft, data, pointer)
        self.draft.strangers(data, (*PLAIN, *NAMING, "wait"), pointer, "this wait")
        given = self.draft.mapping(data["wait"], f"{pointer}/wait", "`wait`")
        self.draft.strangers(given, ("for", "until"), f"{pointer}/wait", "`wait`")
        found["node"] = "timer"
        for key in ("for", "until"):
            if key in given:
                value = self._moment(given[key], f"{pointer}/wait/{key}") if key == "until" else given[key]
                found[key] = self.values.value(value, f"{pointer}/wait/{key}", f"{target}/{key}")
        return [found]

    def _moment(self, value: Any, pointer: str) -> Any:
        """Milliseconds since the epoch as a moment; a text stays as it is."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return value
        try:
            return datetime.datetime.fromtimestamp(value / 1000, datetime.UTC).isoformat()
        except (OverflowError, ValueError, OSError):
            self.draft.fault("shape", pointer, f"{value} milliseconds are no moment of this calendar")
            return ""

    def _subworkflow(self, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
        draft = self.draft
        found = plain_keys(draft, data, pointer)
        known = ("subworkflow", "inputs", "wait", "allowList", "dispatch", *PLAIN, *NAMING, *TRYING)
        draft.strangers(data, known, pointer, "this subworkflow")
        trying_keys(draft, data, pointer, found)
        name = draft.text(data, "subworkflow", pointer, "a step")
        if name.startswith("js/") or "${" in name:
            hint = "write a `switch` over the workflows that it may be"
            draft.fault(
                "subworkflow",
                f"{pointer}/subworkflow",
                "which workflow is run is decided before the run",
                hint,
            )
        if data.get("wait") is False:
            message = "a subworkflow that nobody waits for does not exist here: this step would wait"
            draft.fault(
                "subworkflow", f"{pointer}/wait", message, "start it as a run of its own, or wait for it"
            )
        for key in ("allowList", "dispatch"):
            if key in data:
                draft.note("subworkflow", f"{pointer}/{key}", f"`{key}` says nothing here: the file is named")
        found.update(node="subworkflow", workflow=draft.wishes.bindings.get(name, f"{name}.json"))
        inputs = data.get("inputs", {})
        found["inputs"] = self.values.value(inputs, f"{pointer}/inputs", f"{target}/inputs")
        return spread(draft, data, found)

    def _script(self, given: Any, pointer: str, target: str) -> Any:
        """A value that is JavaScript where it is a text without a mark."""
        if isinstance(given, str) and not given.startswith("js/") and "${" not in given:
            self.draft.place(target, pointer)
            return f"js/{self.values.javascript(given)}"
        return self.values.value(given, pointer, target)


_Shape = Callable[[Steps, Step, str, str, bool], list[Step]]
_SHAPES: dict[str, _Shape] = {
    "branch": Steps._branch,
    "switch": Steps._switch,
    "forEach": Steps._for_each,
    "loop": Steps._loop,
    "tryCatch": Steps._try,
    "wait": Steps._wait,
    "subworkflow": Steps._subworkflow,
}
