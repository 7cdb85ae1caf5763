"""A container's keys: which hold values, which hold children, which are kept as expressions.

The container's manifest says so, with `x-nodeling` in the schema of a key under `config`. The keys
may stand on the step, under `inputs` or under `nodes.<step>`; they lower to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeling_runtime.expressions.template import Template
from nodeling_runtime.manifests import ANNOTATION, NAMES
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.workflow.duration import DurationError, milliseconds
from nodeling_runtime.workflow.model import Slot, Workflow
from nodeling_runtime.workflow.reading import Reading, brief, escape, is_expression

if TYPE_CHECKING:
    from nodeling_runtime.workflow.model import Scope

Path_ = tuple[str | int, ...]


def container_keys(spec: NodeSpec) -> Mapping[str, Any]:
    """The keys a container takes, with their schemas."""
    config = spec.manifest.config
    return config.get("properties", {}) if isinstance(config, Mapping) else {}


def read_container(
    reading: Reading,
    spec: NodeSpec,
    data: Mapping[str, Any],
    own: Mapping[str, Any],
    pointer: str,
    name: str,
    stop_on_failure: bool,
) -> tuple[Template | None, tuple[Slot, ...], str]:
    """Gather a container's keys and read the children among them."""
    keys = container_keys(spec)
    given, places = _gather(reading, keys, data, own, pointer, name)
    slots: list[Slot] = []
    reader = _Slots(reading, slots, keys, given, stop_on_failure)
    plain: dict[str, Any] = {}
    for key, value in given.items():
        plain[key] = reader.walk(value, keys[key], (key,), places[key])
    pieces = {key: reading.template(value, places[key]) for key, value in plain.items()}
    if any(piece is None for piece in pieces.values()):
        return None, tuple(slots), pointer
    whole = reading.template(plain, pointer)
    if whole is not None:
        _validate(reading, spec, plain, places, pointer, constant=whole.is_constant)
    return whole, tuple(slots), pointer


def _gather(
    reading: Reading, keys: Mapping[str, Any], data: Mapping[str, Any], own: Mapping[str, Any], pointer: str, name: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Each key's value and where it stands; a key given twice is a fault."""
    sources: list[tuple[Mapping[str, Any], str, bool]] = [(data, pointer, False)]
    place = f"/nodes/{escape(name)}"
    if "inputs" not in keys:
        for holder, where in ((data, pointer), (own, place)):
            if "inputs" in holder:
                inner = reading.mapping(holder["inputs"], "`inputs`", f"{where}/inputs")
                sources.append((inner, f"{where}/inputs", True))
    sources.append(({k: v for k, v in own.items() if k != "inputs" or "inputs" in keys}, place, True))
    given: dict[str, Any] = {}
    places: dict[str, str] = {}
    for source, where, strict in sources:
        if strict:
            reading.unknown_keys(source, keys, f"{name!r}", where)
        for key in source:
            if key not in keys:
                continue
            here = f"{where}/{escape(key)}"
            if key in given:
                reading.fault("document.twice", f"`{key}` stands here and at {places[key]}", here, "keep one of them", key=True)
                continue
            given[key], places[key] = source[key], here
    return given, places


def _validate(
    reading: Reading, spec: NodeSpec, plain: Mapping[str, Any], places: Mapping[str, str], pointer: str, *, constant: bool
) -> None:
    """Judge what is known before the run; a value behind an expression is judged when it exists."""
    for fault in spec.keys.check(plain) or []:
        key = fault.pointer.split("/")[1].replace("~1", "/").replace("~0", "~") if fault.pointer else ""
        if not constant and _is_dynamic(plain, fault.pointer):
            continue
        rest = fault.pointer[len(escape(key)) + 1 :] if key in places else ""
        where = places[key] + rest if key in places else pointer
        code = "document.unknown_key" if fault.keyword == "additionalProperties" else "document.container"
        reading.fault(code, f"{spec.name}: {fault.message}", where, fault.hint)


def _is_dynamic(plain: Any, pointer: str) -> bool:
    """Whether the value at a pointer is an expression, or holds one."""
    value = plain
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return False
    return isinstance(value, str) and ("${" in value or value.startswith("js/"))


class _Slots:
    """Walks a container's value beside its schema and takes out what is no value."""

    def __init__(
        self,
        reading: Reading,
        slots: list[Slot],
        keys: Mapping[str, Any],
        given: Mapping[str, Any],
        stop_on_failure: bool,
    ) -> None:
        self.reading = reading
        self.slots = slots
        self.keys = keys
        self.given = given
        self.stop_on_failure = stop_on_failure

    def walk(self, value: Any, schema: Any, path: Path_, pointer: str) -> Any:
        """The value with None in place of every child and kept expression."""
        if not isinstance(schema, Mapping):
            return value
        kind = schema.get(ANNOTATION)
        if kind is not None:
            before = len(self.slots)
            out = self._slot(str(kind), value, path, pointer)
            names = tuple(self._named(name) for name in schema.get(NAMES, ()))
            if names:
                self.slots[before:] = [replace(slot, names=names) for slot in self.slots[before:]]
            return out
        if isinstance(value, dict) and isinstance(schema.get("properties"), Mapping):
            known = schema["properties"]
            return {
                key: self.walk(item, known.get(key), (*path, key), f"{pointer}/{escape(key)}")
                for key, item in value.items()
            }
        if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
            return [self.walk(item, schema["items"], (*path, i), f"{pointer}/{i}") for i, item in enumerate(value)]
        return value

    def _named(self, name: str) -> str:
        """A name that the container gives; `{as}` stands for the value of the key `as`."""
        for key, schema in self.keys.items():
            default = schema.get("default") if isinstance(schema, Mapping) else None
            name = name.replace(f"{{{key}}}", str(self.given.get(key, default)))
        return name

    def _slot(self, kind: str, value: Any, path: Path_, pointer: str) -> Any:  # noqa: C901  (one arm a kind)
        from nodeling_runtime.workflow.steps import read_steps

        scope: Scope | None
        if kind in ("step", "steps"):
            if kind == "steps" and not isinstance(value, list):
                self.reading.fault("document.type", f"this is a list of steps, not {brief(value)}", pointer)
                return None
            scope = read_steps(
                self.reading, value, pointer, "this scope", independent=kind == "steps", stop_on_failure=self.stop_on_failure
            )
            if scope is not None:
                self.slots.append(Slot(path, "steps" if kind == "steps" else "step", pointer, scope=scope))
            return None
        if kind == "duration":
            return self._duration(value, path, pointer)
        if kind == "list":
            return self._list(value, path, pointer)
        if kind == "workflow":
            included = self._workflow(value, pointer)
            if included is not None:
                self.slots.append(Slot(path, "workflow", pointer, workflow=included))
            return None
        return self._expression(value, path, pointer, javascript=kind == "javascript")

    def _duration(self, value: Any, path: Path_, pointer: str) -> Any:
        if is_expression(value):
            template = self.reading.template(value, pointer)
            if template is not None:
                self.slots.append(Slot(path, "duration", pointer, expression=template))
            return None
        try:
            return milliseconds(value)
        except DurationError as error:
            self.reading.fault("document.duration", str(error), pointer)
            return None

    def _list(self, value: Any, path: Path_, pointer: str) -> None:
        if not isinstance(value, list) and not is_expression(value):
            self.reading.fault("document.type", f"this is a list, or an expression that gives one, not {brief(value)}", pointer)
            return
        template = self.reading.template(value, pointer)
        if template is not None:
            self.slots.append(Slot(path, "list", pointer, expression=template))

    def _expression(self, value: Any, path: Path_, pointer: str, *, javascript: bool) -> Any:
        if javascript and isinstance(value, str) and not is_expression(value):
            value = f"js/{value}" if value.strip() else True
        template = self.reading.condition(value, "this", pointer)
        if template is not None:
            self.slots.append(Slot(path, "expression", pointer, expression=template))
        return None

    def _workflow(self, value: Any, pointer: str) -> Workflow | None:
        from nodeling.errors import ConfigError
        from nodeling_runtime.documents.reader import read_document
        from nodeling_runtime.workflow.load import DEEPEST_INCLUSION, load_workflow

        reading = self.reading
        name = reading.text(value, "a workflow's file", pointer)
        if not name:
            return None
        if is_expression(name):
            reading.fault("document.value", "a workflow's file is written out, not computed", pointer)
            return None
        here = Path(reading.document.name)
        path = here.parent / name
        if not path.is_file() and not path.suffix:
            path = next((p for p in (path.with_suffix(s) for s in (".yaml", ".yml", ".json")) if p.is_file()), path)
        identity = str(path.resolve())
        if identity in reading.trail:
            walk = " → ".join(Path(p).name for p in (*reading.trail[reading.trail.index(identity) :], identity))
            reading.fault("workflow.includes_itself", f"this workflow includes itself: {walk}", pointer)
            return None
        if len(reading.trail) >= DEEPEST_INCLUSION:
            reading.fault("workflow.depth", f"workflows are included {DEEPEST_INCLUSION} deep here", pointer)
            return None
        if not path.is_file():
            reading.fault("document.not_found", f"no workflow file {str(path)!r}", pointer, "the path starts at this workflow's folder")
            return None
        try:
            document = read_document(path)
        except ConfigError as error:
            reading.faults.extend(error.faults)
            return None
        workflow, faults = load_workflow(document, reading.registry, reading.functions, reading.trail)
        reading.faults.extend(faults)
        return workflow
