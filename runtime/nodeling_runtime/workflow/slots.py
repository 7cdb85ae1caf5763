"""A container's keys: which hold values, which hold children, which are kept as expressions.

The container's manifest says so, with `x-nodeling` in the schema of a key under `config`. The keys
may stand on the step, under `inputs` or under `nodes.<step>`; they lower to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from nodeling._dataclass import dataclass
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.manifests import ANNOTATION, NAMES
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.workflow.duration import DurationError, milliseconds
from nodeling_runtime.workflow.included import read_included
from nodeling_runtime.workflow.judged import primary, says_missing
from nodeling_runtime.workflow.model import Slot
from nodeling_runtime.workflow.reading import Reading, brief, escape, is_expression

Place = tuple[str | int, ...]
JAVASCRIPT = "js/"


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
    misspelt: set[str],
) -> tuple[Template | None, tuple[Slot, ...], str]:
    """Gather a container's keys and read the children among them.

    Args:
        reading: The document under way.
        spec: The container.
        data: The step.
        own: What `nodes` holds under the step's name.
        pointer: Where the step stands.
        name: The step's name.
        stop_on_failure: What the step's `on_failure` says of its children's scope.
        misspelt: Keys that were probably meant by others on the step, and are not missing.
    """
    given = _Given(reading, container_keys(spec), misspelt=misspelt)
    given.gather(data, own, pointer, name)
    reader = _Slots(reading, given, stop_on_failure)
    plain = {
        key: reader.walk(value, given.keys[key], (key,), given.places[key])
        for key, value in given.values.items()
    }
    pieces = [reading.template(value, given.places[key]) for key, value in plain.items()]
    if any(piece is None for piece in pieces):
        _validate(reading, spec, plain, given, pointer)
        return None, tuple(reader.slots), pointer
    whole = reading.template(plain, pointer)
    if whole is not None:
        _validate(reading, spec, plain, given, pointer)
        whole = _placed(whole, given.places, pointer)
    return whole, tuple(reader.slots), pointer


def _placed(whole: Template, places: Mapping[str, str], pointer: str) -> Template:
    """The template with every expression at the place where its key stands in the document."""
    homes = {f"{pointer}/{escape(key)}": place for key, place in places.items()}
    moved = []
    for part in whole.parts:
        key = part.pointer[len(pointer) + 1 :].partition("/")[0]
        home = f"{pointer}/{key}"
        moved.append(replace(part, pointer=homes[home] + part.pointer[len(home) :]))
    return replace(whole, parts=tuple(moved))


@dataclass
class _Given:
    """A container's keys, wherever they stand."""

    reading: Reading
    keys: Mapping[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    misspelt: set[str] = field(default_factory=set)

    def gather(self, data: Mapping[str, Any], own: Mapping[str, Any], pointer: str, name: str) -> None:
        """Take each key's value and its place; a key given twice is a fault."""
        self._take(data, pointer)
        place = f"/nodes/{escape(name)}"
        lifts = "inputs" not in self.keys
        for holder, where in ((data, pointer), (own, place)) if lifts else ():
            if "inputs" in holder:
                inner = self.reading.mapping(holder["inputs"], "`inputs`", f"{where}/inputs")
                self._unknown(inner, name, f"{where}/inputs")
                self._take(inner, f"{where}/inputs")
        rest = {key: value for key, value in own.items() if key != "inputs" or not lifts}
        self._unknown(rest, name, place)
        self._take(rest, place)

    def _unknown(self, source: Mapping[str, Any], name: str, where: str) -> None:
        self.misspelt |= self.reading.unknown_keys(source, self.keys, f"step {name!r}", where)

    def _take(self, source: Mapping[str, Any], where: str) -> None:
        for key in source:
            if key not in self.keys:
                continue
            here = f"{where}/{escape(key)}"
            if key not in self.values:
                self.values[key], self.places[key] = source[key], here
                continue
            line = self.reading.document.locate(self.places[key], key=True)
            held = f"line {line[0]}" if line else self.places[key]
            message = f"`{key}` stands here and at {held}"
            self.reading.fault("document.twice", message, here, "keep one of them", key=True)


def _validate(
    reading: Reading, spec: NodeSpec, plain: Mapping[str, Any], given: _Given, pointer: str
) -> None:
    """Judge what is known before the run; a value behind an expression is judged when it exists."""
    for fault in primary(spec.keys.check(plain) or []):
        if says_missing(fault, given.misspelt) or _is_dynamic(plain, fault.pointer):
            continue
        parts = fault.pointer.split("/")[1:]
        key = parts[0].replace("~1", "/").replace("~0", "~") if parts else ""
        where = given.places[key] + fault.pointer[len(parts[0]) + 1 :] if key in given.places else pointer
        unknown = fault.keyword == "additionalProperties"
        about = f"`{parts[-1]}` of {spec.name!r}" if parts and not unknown else repr(spec.name)
        code = "document.unknown_key" if unknown else "document.container"
        reading.fault(code, f"{about}: {fault.message}", where, fault.hint, key=unknown)


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
    return isinstance(value, str) and ("${" in value or value.startswith(JAVASCRIPT))


class _Slots:
    """Walks a container's value beside its schema and takes out what is no value."""

    def __init__(self, reading: Reading, given: _Given, stop_on_failure: bool) -> None:
        self.reading = reading
        self.given = given
        self.stop_on_failure = stop_on_failure
        self.slots: list[Slot] = []

    def walk(self, value: Any, schema: Any, path: Place, pointer: str) -> Any:
        """The value with None in place of every child and kept expression."""
        if not isinstance(schema, Mapping):
            return value
        kind = schema.get(ANNOTATION)
        if kind is not None and kind != "secret":  # the name of a secret is a value like any other
            before = len(self.slots)
            out = self._slot(str(kind), value, path, pointer)
            names = tuple(self._named(name) for name in schema.get(NAMES, ()))
            if names:
                self.slots[before:] = [replace(slot, names=names) for slot in self.slots[before:]]
            return out
        known, items = schema.get("properties", {}), schema.get("items")
        rest = schema.get("additionalProperties")
        if isinstance(value, dict):
            return {
                key: self.walk(item, known.get(key, rest), (*path, key), f"{pointer}/{escape(key)}")
                for key, item in value.items()
            }
        if isinstance(value, list) and isinstance(items, Mapping):
            return [self.walk(item, items, (*path, i), f"{pointer}/{i}") for i, item in enumerate(value)]
        return value

    def _named(self, name: str) -> str:
        """A name that the container gives; `{as}` stands for the value of the key `as`."""
        for key, schema in self.given.keys.items():
            default = schema.get("default") if isinstance(schema, Mapping) else None
            name = name.replace(f"{{{key}}}", str(self.given.values.get(key, default)))
        return name

    def _slot(self, kind: str, value: Any, path: Place, pointer: str) -> Any:
        what = f"`{next(part for part in reversed(path) if isinstance(part, str))}`"
        if kind in ("step", "steps"):
            return self._children(kind, value, path, pointer, what)
        if kind == "duration":
            return self._duration(value, path, pointer)
        if kind == "list":
            return self._list(value, path, pointer, what)
        if kind == "template":
            return self._template(value, path, pointer)
        if kind == "workflow":
            included = read_included(self.reading, value, pointer)
            if included is not None:
                self.slots.append(Slot(path, "workflow", pointer, workflow=included))
            return None
        return self._expression(value, path, pointer, what, javascript=kind == "javascript")

    def _children(self, kind: str, value: Any, path: Place, pointer: str, what: str) -> None:
        from nodeling_runtime.workflow.steps import read_steps

        independent = kind == "steps"
        if independent and not isinstance(value, list):
            self.reading.fault("document.type", f"{what} is a list of steps, not {brief(value)}", pointer)
            return
        scope = read_steps(
            self.reading,
            value,
            pointer,
            what,
            independent=independent,
            stop_on_failure=self.stop_on_failure,
        )
        if scope is not None:
            self.slots.append(Slot(path, "steps" if independent else "step", pointer, scope=scope))

    def _duration(self, value: Any, path: Place, pointer: str) -> Any:
        if is_expression(value):
            template = self.reading.template(value, pointer)
            if template is not None:
                self.slots.append(Slot(path, "duration", pointer, expression=template))
            return None
        try:
            return milliseconds(value)
        except DurationError as error:
            self.reading.fault("document.duration", error.message, pointer, error.hint)
            return None

    def _list(self, value: Any, path: Place, pointer: str, what: str) -> None:
        if not isinstance(value, list) and not is_expression(value):
            message = f"{what} is a list, or an expression that gives one, not {brief(value)}"
            self.reading.fault("document.type", message, pointer)
            return
        template = self.reading.template(value, pointer)
        if template is not None:
            self.slots.append(Slot(path, "list", pointer, expression=template))

    def _template(self, value: Any, path: Place, pointer: str) -> None:
        template = self.reading.template(value, pointer)
        if template is not None:
            self.slots.append(Slot(path, "template", pointer, expression=template))

    def _expression(self, value: Any, path: Place, pointer: str, what: str, *, javascript: bool) -> None:
        if javascript and isinstance(value, str) and not is_expression(value):
            template = self._javascript(value, pointer)
        else:
            template = self.reading.condition(value, what, pointer)
        if template is not None:
            self.slots.append(Slot(path, "expression", pointer, expression=template))

    def _javascript(self, text: str, pointer: str) -> Template | None:
        """A condition written as bare JavaScript, which JavaScript itself makes true or false."""
        if not text.strip():
            return self.reading.template(True, pointer)
        if self.reading.template(JAVASCRIPT + text, pointer, hidden=len(JAVASCRIPT)) is None:
            return None
        opening = f"{JAVASCRIPT}!!("
        template = self.reading.template(f"{opening}{text})", pointer, hidden=len(opening))
        if template is None:
            return None
        moved = (replace(part, offset=part.offset - len(opening)) for part in template.parts)
        return replace(template, parts=tuple(moved))
