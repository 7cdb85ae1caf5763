"""A container's keys: evaluated once for all its attempts, and once for all resumes of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodeling.errors import NodelingError
from nodeling.flow import Child, Expression
from nodeling_runtime.engine.items import Item
from nodeling_runtime.engine.names import Names
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.record import to_plain
from nodeling_runtime.values import Value
from nodeling_runtime.workflow.duration import DurationError, milliseconds
from nodeling_runtime.workflow.model import Slot, Step
from nodeling_runtime.workflow.plan import plan_of

if TYPE_CHECKING:
    from nodeling_runtime.engine.journal import Journal


def container_keys(step: Step, names: Names, journal: Journal | None, trail: str) -> dict[str, Any]:
    """A container's keys: values evaluated, children and kept expressions in their places.

    Raises:
        NodelingError: One cannot be evaluated, or the container refuses it.
    """
    if journal is None:
        keys, found = _evaluated(step, names)
    else:
        event = journal.recorded.values.get((trail, "keys", 0))
        if event is not None and event.value is not None:
            keys, found = Value.from_checked(event.value).fresh()
        else:
            keys, found = _evaluated(step, names)
            journal.note(
                "flow.value", trail, {"kind": "keys", "n": 0}, Value.of([keys, to_plain(found)]).data
            )
    for slot, value in zip(step.slots, found, strict=True):
        _place(keys, slot.path, _filling(slot, value))
    return keys


def _evaluated(step: Step, names: Names) -> tuple[dict[str, Any], list[Any]]:
    """The values of the keys, and those of the slots that are evaluated; null for the others."""
    try:
        keys = {} if step.config is None else Value.of(step.config.evaluate(names)).fresh()
    except ValueError as error:
        raise NodelingError(f"its keys are no JSON values: {error}", code=4002) from error
    faults = step.spec.keys.check(keys)
    if faults:
        said = "; ".join(f"{fault.message} at {fault.pointer}" for fault in faults)
        raise NodelingError(f"{step.spec.name!r} refuses its keys: {said}", code=4002)
    return keys, [_value(slot, names) for slot in step.slots]


def _value(slot: Slot, names: Names) -> Any:
    if slot.expression is None or slot.kind not in ("duration", "list"):
        return None
    value = slot.expression.evaluate(names)
    if slot.kind == "duration":
        try:
            return None if value is None else milliseconds(value)
        except DurationError as error:
            raise ExpressionError(str(error), code="document.duration") from error
    if not isinstance(value, list):
        raise ExpressionError(f"a list is wanted at {slot.pointer}, not {value!r:.60}", code="expr.type")
    return value


def _filling(slot: Slot, value: Any) -> Any:
    """What stands in a slot's place."""
    if slot.kind == "duration" and slot.expression is not None:
        return value
    if slot.kind == "list" and slot.expression is not None:
        return [Item(item) for item in value]
    if slot.kind in ("expression", "template"):
        return Expression(str(slot.expression.source) if slot.expression is not None else "", slot)
    if slot.workflow is not None:
        return Child(slot.workflow.name, 0, (slot, None))
    if slot.scope is None:
        return Child("", 0, (slot, None))
    if slot.kind == "steps":
        children = plan_of(slot.scope).children
        if not children:
            children.extend(Child(step.name, i, (slot, step)) for i, step in enumerate(slot.scope.steps))
        return list(children)
    first = slot.scope.steps[0] if slot.scope.steps else None
    name = "" if first is None else first.name
    return Child(name, 0, (slot, first if slot.scope.single else None))


def _place(keys: Any, path: tuple[str | int, ...], value: Any) -> None:
    here = keys
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
