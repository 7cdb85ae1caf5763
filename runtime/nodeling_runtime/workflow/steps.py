"""Reading a list of steps: names, nodes, links and policies, each fault at its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodeling.errors import Fault, nearest
from nodeling.manifest import Manifest, Version
from nodeling_runtime.registry import IN_PROCESS, PYTHON_WORKER, SUPPORTED, NodeSpec
from nodeling_runtime.workflow.keys import LATER, LINK, RETRY, STEP, TYPES
from nodeling_runtime.workflow.model import ON_WORDS, Link, Retry, Scope, Step, Trigger
from nodeling_runtime.workflow.plan import PHASES
from nodeling_runtime.workflow.reading import Reading, brief, escape
from nodeling_runtime.workflow.slots import container_keys, read_container

UNKNOWN = NodeSpec(Manifest("unknown", Version(0)), "unknown")


def read_steps(
    reading: Reading, value: Any, pointer: str, what: str, *, independent: bool = False, stop_on_failure: bool = False
) -> Scope | None:
    """Read one scope: a list of steps, or a single one. None when there is nothing to read."""
    single = isinstance(value, dict)
    items = [value] if single else value
    if not isinstance(items, list):
        if value is None:
            reading.fault("document.missing", f"{what} has no `steps`", pointer, "write steps: [{name: …, node: …}]")
        else:
            reading.fault("document.type", f"`steps` is a list of steps, not {brief(value)}", pointer)
        return None
    if not items and not independent:
        reading.fault("document.empty", f"{what} has no steps", pointer, "write steps: [{name: …, node: …}]")
        return None
    ordered = not any(isinstance(item, dict) and "needs" in item for item in items)
    places = [pointer if single else f"{pointer}/{i}" for i in range(len(items))]
    steps = [
        _Step(reading, item, place, i, independent).read()
        for i, (item, place) in enumerate(zip(items, places, strict=True))
    ]
    return Scope(
        steps=tuple(step for step in steps if step is not None),
        pointer=pointer,
        ordered=ordered and not independent,
        independent=independent,
        single=single,
        stop_on_failure=stop_on_failure,
    )


class _Step:
    """One step under way."""

    def __init__(self, reading: Reading, data: Any, pointer: str, index: int, independent: bool) -> None:
        self.reading = reading
        self.pointer = pointer
        self.index = index
        self.independent = independent
        self.data: Mapping[str, Any] = reading.mapping(data, "a step", pointer)
        self.is_step = isinstance(data, dict)

    def read(self) -> Step | None:
        if not self.is_step:
            return None
        reading, data = self.reading, self.data
        name = self._name()
        reference = self._text("node")
        spec, resolved = self._spec(reference)
        if name is None or reference is None:
            self._unknown_keys(spec, resolved)
            return None
        self._unknown_keys(spec, resolved)
        own = self._own_config(name)
        kind = self._type(spec, resolved)
        if kind == PYTHON_WORKER:
            spec = spec.in_worker
        values: dict[str, Any] = dict(
            name=name, index=self.index, node=reference, spec=spec, pointer=self.pointer, type=kind
        )
        keys = container_keys(spec) if spec.manifest.flow else {}
        values.update(self._flags(keys))
        values.update(self._links(keys))
        values.update(self._policies(keys))
        if spec.manifest.flow:
            stop = self._on_failure(keys)
            template, slots, pointer = read_container(reading, spec, data, own, self.pointer, name, stop)
            values.update(config=template, slots=slots, config_pointer=pointer)
        elif resolved:
            values.update(self._inputs(name, own))
        else:
            self._inputs(name, own)
        return Step(**values)

    # -- what it is

    def _name(self) -> str | None:
        name = self._text("name")
        if name is None:
            return None
        place = f"{self.pointer}/name"
        held = self.reading.names.get(name)
        if held is not None:
            line = self.reading.document.locate(held)
            where = f"line {line[0]}" if line else held
            self.reading.fault("document.duplicate_step", f"another step is called {name!r} ({where})", place, "step names are unique in a document")
        else:
            self.reading.names[name] = place
        if name.strip() != name or "/" in name:
            self.reading.fault("document.value", f"{name!r} is no step name: no slash, no space at its ends", place)
        return name

    def _text(self, key: str) -> str | None:
        if key not in self.data:
            self.reading.fault("document.missing", f"a step has no `{key}`", self.pointer)
            return None
        return self.reading.text(self.data[key], f"a step's `{key}`", f"{self.pointer}/{key}") or None

    def _spec(self, reference: str | None) -> tuple[NodeSpec, bool]:
        if reference is None:
            return UNKNOWN, False
        found = self.reading.registry.find(reference)
        if isinstance(found, Fault):
            self.reading.fault(found.code, found.message, f"{self.pointer}/node", found.hint)
            return UNKNOWN, False
        if found.arrives_with is not None:
            self.reading.fault("document.later", f"node {reference!r}: {found.arrives_with}", f"{self.pointer}/node")
        return found, True

    def _type(self, spec: NodeSpec, resolved: bool) -> str | None:
        kind = self.data.get("type")
        place = f"{self.pointer}/type"
        if kind is None:
            return None
        if not isinstance(kind, str) or (kind not in TYPES and not kind.startswith("runtime.")):
            near = nearest(str(kind), (*TYPES, "runtime.python3", "runtime.bash", "runtime.nodejs"))
            hint = f"did you mean {near!r}?" if near else "it is `module`, `local` or `runtime.<language>`"
            self.reading.fault("document.type_word", f"no step type is called {brief(kind)}", place, hint)
            return None
        if kind == "local" and resolved and not spec.is_local:
            self.reading.fault("document.type_word", f"{spec.name!r} is no node of this project: {spec.owner} brings it", place, "write `type: module`")
        if kind.startswith("runtime.") and spec.arrives_with is None:
            own = spec.manifest.runtime.type
            if kind == PYTHON_WORKER and own in (IN_PROCESS, PYTHON_WORKER):
                self._out_of_process(spec, place)
            elif resolved and kind != own:
                self.reading.fault("document.type_word", f"{spec.name!r} is a `{own}` node, not `{kind}`", place, f"write `type: {own}`, or leave it out")
            elif not resolved and kind not in SUPPORTED:
                self.reading.fault("document.later", f"`type: {kind}` has no worker yet", place)
        return kind

    def _out_of_process(self, spec: NodeSpec, place: str) -> None:
        if spec.manifest.flow:
            self.reading.fault("document.type_word", f"{spec.name!r} is a container, and containers run in the runtime's own process", place, "leave `type` out")
        elif spec.definition is not None:
            self.reading.fault("document.type_word", f"{spec.name!r} is defined in code, and a worker loads a node from its folder", place, "write `type: module`, or give it a folder")

    def _unknown_keys(self, spec: NodeSpec, resolved: bool) -> None:
        keys = container_keys(spec) if spec.manifest.flow else {}
        if not resolved:  # an unknown node may be a container: only what is certainly wrong is said
            for key in self.data:
                near = nearest(key, STEP) if key not in STEP and key not in LATER else None
                if near:
                    self._unknown(key, near)
            return
        self.reading.unknown_keys(self.data, [*STEP, *keys], "a step", self.pointer)

    def _unknown(self, key: str, near: str) -> None:
        place = f"{self.pointer}/{escape(key)}"
        self.reading.fault("document.unknown_key", f"a step has no key {key!r}", place, f"did you mean {near!r}?", key=True)

    def _own_config(self, name: str) -> Mapping[str, Any]:
        if name not in self.reading.nodes:
            return {}
        self.reading.used.add(name)
        return self.reading.mapping(self.reading.nodes[name], f"`nodes.{name}`", f"/nodes/{escape(name)}")

    # -- what it is given

    def _inputs(self, name: str, own: Mapping[str, Any]) -> dict[str, Any]:
        reading = self.reading
        place = f"/nodes/{escape(name)}"
        reading.unknown_keys(own, ("inputs", "config", "parameters"), f"`nodes.{name}`", place)
        out: dict[str, Any] = {}
        for key in ("inputs", "config"):
            value, pointer = self._given(key, own, place)
            if pointer:
                out[key] = reading.template(value, pointer)
                out[f"{key}_pointer"] = pointer
        value, pointer = self._given("parameters", own, place)
        if pointer:
            out["parameters"] = reading.mapping(value, "`parameters`", pointer)
            inputs = self.data.get("inputs", own.get("inputs"))
            for key in out["parameters"]:
                if isinstance(inputs, dict) and key in inputs:
                    reading.fault("document.twice", f"{key!r} stands under `inputs` and under `parameters`", f"{pointer}/{escape(key)}", key=True)
        return out

    def _given(self, key: str, own: Mapping[str, Any], place: str) -> tuple[Any, str]:
        if key in self.data and key in own:
            self.reading.fault("document.twice", f"`{key}` stands on the step and under `nodes`", f"{place}/{key}", "keep one of them", key=True)
        if key in self.data:
            return self.data[key], f"{self.pointer}/{key}"
        if key in own:
            return own[key], f"{place}/{key}"
        return None, ""

    # -- when it runs

    def _flags(self, container: Mapping[str, Any]) -> dict[str, Any]:
        reading, data, place = self.reading, self.data, self.pointer
        out: dict[str, Any] = {"description": str(data.get("description", ""))}
        for key, name, default in (("active", "active", True), ("stop", "stops", False), ("recover", "recovers", False)):
            if key in data and key not in container:
                out[name] = reading.boolean(data[key], f"`{key}`", f"{place}/{key}", default)
        if "set_var" in data:
            value = data["set_var"]
            if not isinstance(value, (bool, str)) or value == "":
                reading.fault("document.type", f"`set_var` is a name, true or false, not {brief(value)}", f"{place}/set_var")
            else:
                out["set_var"] = value
        trigger: Trigger = "body"
        if "trigger" in data:
            trigger = reading.choice(data["trigger"], PHASES, "`trigger`", f"{place}/trigger", "body")
        out["trigger"] = trigger
        if out.get("recovers") and trigger != "on_error":
            reading.fault("document.value", "`recover` stands on steps with `trigger: on_error`", f"{place}/recover")
        if self.independent:
            for key in ("needs", "join", "trigger", "stop"):
                if key in data:
                    reading.fault("document.independent", f"children here are independent: `{key}` cannot stand on one", f"{place}/{key}", "put them in a `sequence`", key=True)
        return out

    def _links(self, container: Mapping[str, Any]) -> dict[str, Any]:
        reading, data, place = self.reading, self.data, self.pointer
        out: dict[str, Any] = {}
        if "if" in data and "if" not in container:
            out["condition"] = reading.condition(data["if"], "`if`", f"{place}/if")
        if "needs" not in data:
            if "join" in data:
                reading.fault("document.value", "`join` needs `needs`", f"{place}/join", key=True)
            return out
        value = data["needs"]
        items: Sequence[Any] = value if isinstance(value, list) else [value]
        if value is None:
            reading.fault("document.type", "`needs` is a list of steps", f"{place}/needs", "write [] when it waits for none")
            items = []
        links = [self._link(item, f"{place}/needs/{i}" if isinstance(value, list) else f"{place}/needs") for i, item in enumerate(items)]
        out["links"] = tuple(link for link in links if link is not None)
        seen: set[str] = set()
        for link in out["links"]:
            if link.source in seen:
                reading.fault("document.twice", f"`needs` names {link.source!r} twice", link.pointer, "use one link with a list of words under `on`")
            seen.add(link.source)
        if "join" in data:
            out["needed"] = self._join(data["join"], len(out["links"]))
        return out

    def _link(self, item: Any, pointer: str) -> Link | None:
        reading = self.reading
        if isinstance(item, str):
            return Link(item, frozenset({"success"}), None, pointer)
        if not isinstance(item, dict):
            reading.fault("document.type", f"a link is a step's name or an object, not {brief(item)}", pointer)
            return None
        reading.unknown_keys(item, LINK, "a link", pointer)
        source = item.get("step")
        if not isinstance(source, str):
            reading.fault("document.missing", "a link has no `step`", pointer)
            return None
        words = item.get("on", "success")
        words = words if isinstance(words, list) else [words]
        on = [reading.choice(word, ON_WORDS, "`on`", f"{pointer}/on", "success") for word in words]
        if not on:
            reading.fault("document.empty", "`on` names no status", f"{pointer}/on", f"it may name {', '.join(ON_WORDS)}")
        condition = reading.condition(item["if"], "a link's `if`", f"{pointer}/if") if "if" in item else None
        return Link(source, frozenset(on), condition, pointer)

    def _join(self, value: Any, links: int) -> int:
        pointer = f"{self.pointer}/join"
        if isinstance(value, dict):
            self.reading.unknown_keys(value, ("at_least",), "`join`", pointer)
            wanted = self.reading.count(value.get("at_least"), "`at_least`", f"{pointer}/at_least", 1)
            if wanted > max(links, 1):
                self.reading.fault("document.value", f"`at_least: {wanted}` of {links} links can never be met", f"{pointer}/at_least")
            return wanted
        word = self.reading.choice(value, ("all", "any"), "`join`", pointer, "all")
        return 1 if word == "any" and links else 0

    def _policies(self, container: Mapping[str, Any]) -> dict[str, Any]:
        reading, data, place = self.reading, self.data, self.pointer
        out: dict[str, Any] = {}
        if "retry" in data:
            out["retry"] = self._retry(data["retry"])
        for key, name in (("timeout", "timeout_ms"), ("deadline", "deadline_ms")):
            if key in data and key not in container:
                out[name] = reading.duration_or_expression(data[key], f"{place}/{key}")
        if "on_error" in data and "on_error" not in container:
            out["continues"] = reading.choice(data["on_error"], ("continue", "fail"), "`on_error`", f"{place}/on_error", "fail") == "continue"
        if "merge" in data and "merge" not in container:
            out["merge"] = reading.choice(data["merge"], ("last", "deep"), "`merge`", f"{place}/merge", "last")
        return out

    def _on_failure(self, container: Mapping[str, Any]) -> bool:
        if "on_failure" not in self.data or "on_failure" in container:
            return False
        return self.reading.choice(self.data["on_failure"], ("continue", "stop"), "`on_failure`", f"{self.pointer}/on_failure", "continue") == "stop"

    def _retry(self, value: Any) -> Retry:
        reading, place = self.reading, f"{self.pointer}/retry"
        if isinstance(value, int) and not isinstance(value, bool):
            return Retry(attempts=reading.count(value, "`retry`", place, 1))
        data = reading.mapping(value, "`retry`", place)
        reading.unknown_keys(data, RETRY, "`retry`", place)
        found: dict[str, Any] = {}
        if "attempts" in data:
            found["attempts"] = reading.count(data["attempts"], "`attempts`", f"{place}/attempts", 1)
        for key, name in (("delay", "delay_ms"), ("max_delay", "max_delay_ms")):
            if key in data:
                duration = reading.duration(data[key], f"{place}/{key}")
                if duration is not None:
                    found[name] = duration
        if "on" in data:
            found["on"] = self._retry_on(data["on"], f"{place}/on")
        return Retry(**found)

    def _retry_on(self, value: Any, pointer: str) -> tuple[int | str, ...]:
        items = value if isinstance(value, list) else [value]
        words = ("timeout", "crash", "transient")
        for item in items:
            if isinstance(item, bool) or not (isinstance(item, int) or item in words):
                near = nearest(str(item), words)
                self.reading.fault("document.value", f"`on` lists codes or {', '.join(words)}, not {brief(item)}", pointer, f"did you mean {near!r}?" if near else None)
        return tuple(item for item in items if isinstance(item, (int, str)))
