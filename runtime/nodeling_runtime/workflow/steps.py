"""Reading a list of steps: names, nodes, inputs, each fault at its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodeling.errors import Fault, nearest
from nodeling.manifest import Manifest, Version
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.toolchains.catalogue import (
    IN_PROCESS,
    PYTHON_WORKER,
    no_toolchain,
    toolchain_for,
    toolchains,
)
from nodeling_runtime.workflow.guards import read_guards
from nodeling_runtime.workflow.keys import STEP, TYPES
from nodeling_runtime.workflow.limits import check_timeout, read_limits
from nodeling_runtime.workflow.links import read_links
from nodeling_runtime.workflow.model import Scope, Step
from nodeling_runtime.workflow.policies import read_flags, read_policies, stops_on_failure
from nodeling_runtime.workflow.reading import Reading, brief, escape
from nodeling_runtime.workflow.slots import container_keys, read_container

UNKNOWN = NodeSpec(Manifest("unknown", Version(0)), "unknown")
EXAMPLE = "write {name: …, node: …}"


def read_steps(
    reading: Reading,
    value: Any,
    pointer: str,
    what: str,
    *,
    independent: bool = False,
    stop_on_failure: bool = False,
) -> Scope | None:
    """Read one scope: a list of steps, or a single one. None when there is nothing to read.

    Args:
        reading: The document under way.
        value: What stands where the steps should.
        pointer: Where that is.
        what: The key it stands under, for messages.
        independent: The steps are children that do not see one another.
        stop_on_failure: What the scope's `on_failure` says.
    """
    single = isinstance(value, dict)
    items = [value] if single else value
    if not isinstance(items, list):
        reading.fault("document.type", f"{what} is a list of steps, not {brief(value)}", pointer, EXAMPLE)
        return None
    if not items and not independent:
        reading.fault("document.empty", f"{what} holds no steps", pointer, EXAMPLE)
        return None
    places = [pointer if single else f"{pointer}/{i}" for i in range(len(items))]
    steps = [
        _Step(reading, item, place, i, independent).read()
        for i, (item, place) in enumerate(zip(items, places, strict=True))
        if _is_object(reading, item, place)
    ]
    return Scope(
        steps=tuple(step for step in steps if step is not None),
        pointer=pointer,
        ordered=not independent and not any(isinstance(item, dict) and "needs" in item for item in items),
        independent=independent,
        single=single,
        stop_on_failure=stop_on_failure,
    )


def _is_object(reading: Reading, item: Any, pointer: str) -> bool:
    if isinstance(item, dict):
        return True
    reading.fault("document.type", f"a step is an object, not {brief(item)}", pointer, EXAMPLE)
    return False


class _Step:
    """One step under way."""

    def __init__(
        self, reading: Reading, data: Mapping[str, Any], pointer: str, index: int, independent: bool
    ) -> None:
        self.reading = reading
        self.data = data
        self.pointer = pointer
        self.index = index
        self.independent = independent
        given = data.get("name")
        self.said = f"step {given!r}" if isinstance(given, str) and given else "a step"

    def read(self) -> Step | None:
        """The step; None when it has no name or no node, after all else about it was said."""
        reading, data, pointer = self.reading, self.data, self.pointer
        reference = data.get("node") if isinstance(data.get("node"), str) else None
        spec, resolved = self._spec(reference)
        keys = _keys_of(spec)
        misspelt = self._unknown_keys(keys, resolved)
        name, node = self._name(misspelt), self._text("node", misspelt)
        own = self._own_config(name) if name else {}
        kind = self._type(spec, resolved)
        if kind == PYTHON_WORKER:
            spec = spec.in_worker
        spec = read_limits(reading, data, pointer, keys, spec, resolved)
        values: dict[str, Any] = {"type": kind}
        values.update(read_flags(reading, data, pointer, keys, independent=self.independent))
        values.update(read_links(reading, data, pointer, keys))
        values.update(read_policies(reading, data, pointer, keys))
        values.update(read_guards(reading, data, pointer, keys, spec))
        check_timeout(reading, values.get("timeout_ms"), f"{pointer}/timeout", spec)
        said = name or "this step"
        if spec.manifest.flow:
            stop = stops_on_failure(reading, data, pointer, keys)
            template, slots, place = read_container(reading, spec, data, own, pointer, said, stop, misspelt)
            values.update(config=template, slots=slots, config_pointer=place)
        else:
            inputs = self._inputs(said, own)
            values.update(inputs if resolved else {})
        if name is None or node is None:
            return None
        return Step(name=name, index=self.index, node=node, spec=spec, pointer=pointer, **values)

    # -- what it is

    def _name(self, misspelt: set[str]) -> str | None:
        name = self._text("name", misspelt)
        if name is None:
            return None
        reading, place = self.reading, f"{self.pointer}/name"
        held = reading.names.get(name)
        if held is None:
            reading.names[name] = place
        else:
            line = reading.document.locate(held)
            where = f"line {line[0]}" if line else held
            hint = "step names are unique in a document"
            reading.fault("document.duplicate_step", f"{where} holds another step {name!r}", place, hint)
        if name.strip() != name or "/" in name:
            message = f"{name!r} is no step name: no slash, no space at its ends"
            reading.fault("document.value", message, place)
        return name

    def _text(self, key: str, misspelt: set[str]) -> str | None:
        if key in self.data:
            return self.reading.text(self.data[key], f"a step's `{key}`", f"{self.pointer}/{key}") or None
        if key not in misspelt:
            self.reading.fault("document.missing", f"{self.said} has no `{key}`", self.pointer, EXAMPLE)
        return None

    def _spec(self, reference: str | None) -> tuple[NodeSpec, bool]:
        """The node that is meant, and whether there is one."""
        if not reference:
            return UNKNOWN, False
        found, place = self.reading.registry.find(reference), f"{self.pointer}/node"
        if isinstance(found, Fault):
            self.reading.fault(found.code, found.message, place, found.hint)
            return UNKNOWN, False
        if found.cannot_run is not None:
            self.reading.fault("toolchain.unknown", f"node {reference!r}: {found.cannot_run}", place)
        return found, True

    def _type(self, spec: NodeSpec, resolved: bool) -> str | None:
        kind, place = self.data.get("type"), f"{self.pointer}/type"
        if kind is None:
            return None
        if not isinstance(kind, str) or (kind not in TYPES and not kind.startswith("runtime.")):
            near = nearest(str(kind), (*TYPES, *toolchains()))
            hint = f"did you mean {near!r}?" if near else "it is `module`, `local` or `runtime.<language>`"
            self.reading.fault("document.type_word", f"no step type is called {brief(kind)}", place, hint)
            return None
        if kind == "local" and resolved and not spec.is_local:
            message = f"{spec.name!r} is no node of this project: {spec.owner} brings it"
            self.reading.fault("document.type_word", message, place, "write `type: module`")
        if kind.startswith("runtime.") and spec.cannot_run is None:
            self._language(kind, spec, resolved, place)
        return kind

    def _language(self, kind: str, spec: NodeSpec, resolved: bool, place: str) -> None:
        own = spec.manifest.runtime.type
        if kind == PYTHON_WORKER and own in (IN_PROCESS, PYTHON_WORKER):
            self._out_of_process(spec, place)
        elif resolved and kind != own:
            message = f"{spec.name!r} is a `{own}` node, not `{kind}`"
            hint = "leave `type` out" if own == IN_PROCESS else f"write `type: {own}`, or leave it out"
            self.reading.fault("document.type_word", message, place, hint)
        elif not resolved and toolchain_for(kind) is None:
            message, hint = no_toolchain(kind)
            self.reading.fault("toolchain.unknown", message, place, hint)

    def _out_of_process(self, spec: NodeSpec, place: str) -> None:
        if spec.manifest.flow:
            message = f"{spec.name!r} is a container, and containers run in the runtime's own process"
            self.reading.fault("document.type_word", message, place, "leave `type` out")
        elif spec.definition is not None:
            message = f"{spec.name!r} is defined in code, and a worker loads a node from its folder"
            hint = "write `type: module`, or give it a folder"
            self.reading.fault("document.type_word", message, place, hint)

    def _unknown_keys(self, keys: Mapping[str, Any], resolved: bool) -> set[str]:
        if resolved:
            return self.reading.unknown_keys(self.data, [*STEP, *keys], self.said, self.pointer)
        # An unknown node may be a container: only what is certainly wrong is said.
        possible = {key for spec in self.reading.registry.each() for key in _keys_of(spec)}
        known = [*STEP, *possible]
        wrong = {key for key in self.data if key not in known and nearest(key, STEP)}
        sure = {key: value for key, value in self.data.items() if key in wrong}
        self.reading.used.update(_names_below(self.data))
        return self.reading.unknown_keys(sure, STEP, self.said, self.pointer)

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
            out["parameters_pointer"] = pointer
            inputs = self.data.get("inputs", own.get("inputs"))
            for key in out["parameters"]:
                if isinstance(inputs, dict) and key in inputs:
                    message = f"{key!r} stands under `inputs` and under `parameters`"
                    at = f"{pointer}/{escape(key)}"
                    reading.fault("document.twice", message, at, "keep one of them", key=True)
        return out

    def _given(self, key: str, own: Mapping[str, Any], place: str) -> tuple[Any, str]:
        if key in self.data and key in own:
            message = f"`{key}` stands on the step and under `nodes`"
            self.reading.fault("document.twice", message, f"{place}/{key}", "keep one of them", key=True)
        if key in self.data:
            return self.data[key], f"{self.pointer}/{key}"
        if key in own:
            return own[key], f"{place}/{key}"
        return None, ""


def _keys_of(spec: NodeSpec) -> Mapping[str, Any]:
    return container_keys(spec) if spec.manifest.flow else {}


def _names_below(data: Any) -> Iterator[str]:
    """The names of what look like steps inside a step whose node nobody knows."""
    todo = list(data.values())
    for value in todo:
        if isinstance(value, dict):
            if isinstance(value.get("name"), str) and "node" in value:
                yield value["name"]
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
