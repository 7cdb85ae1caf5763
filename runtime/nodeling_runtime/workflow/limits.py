"""Reading a step's `limits` and holding its clock to its node's: a step may ask for less, never for more."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.workflow.duration import spoken
from nodeling_runtime.workflow.keys import LIMITS
from nodeling_runtime.workflow.reading import Reading, brief

EXAMPLE = "write {memory_mb: 256}"


def read_limits(
    reading: Reading,
    data: Mapping[str, Any],
    pointer: str,
    container: Container[str],
    spec: NodeSpec,
    resolved: bool,
) -> NodeSpec:
    """The step's node under the limits that the step sets; the node itself where it sets none.

    Args:
        reading: The document under way.
        data: The step.
        pointer: Where it stands.
        container: The keys that belong to the step's container and are not read here.
        spec: The step's node.
        resolved: Whether there is such a node.
    """
    if "limits" not in data or "limits" in container:
        return spec
    place = f"{pointer}/limits"
    given = reading.mapping(data["limits"], "`limits`", place)
    reading.unknown_keys(given, LIMITS, "`limits`", place)
    if isinstance(data["limits"], dict) and not given:
        reading.fault("document.empty", "`limits` sets no limit", place, EXAMPLE)
    found = {key: value for key in LIMITS if (value := _limit(reading, given, key, place)) is not None}
    if not resolved:
        return spec
    if spec.runs_in == "inprocess":
        _refuse_in_process(reading, spec, place)
        return spec
    for key, value in found.items():
        most = spec.manifest.limits.get(key)
        if most is not None and value > most:
            message = f"`{key}` is {value:g}, and {spec.name!r} itself allows {most:g}"
            hint = f"a step may lower a limit; write at most {most:g}, or raise it in {spec.file}"
            reading.fault("document.limit", message, f"{place}/{key}", hint)
            return spec
    return spec.limited(found) if found else spec


def _limit(reading: Reading, given: Mapping[str, Any], key: str, place: str) -> float | None:
    if key not in given:
        return None
    value, is_count = given[key], key == "processes"
    wanted = int if is_count else (int, float)
    if isinstance(value, wanted) and not isinstance(value, bool) and value > 0:
        return value
    what = "a whole number from 1 up" if is_count else "a number above 0"
    reading.fault("document.value", f"`{key}` is {what}, not {brief(value)}", f"{place}/{key}")
    return None


def _refuse_in_process(reading: Reading, spec: NodeSpec, place: str) -> None:
    if spec.manifest.flow:
        message = f"{spec.name!r} is a container; `limits` hold for the processes of nodes"
        hint = "set them on its children"
    else:
        message = f"{spec.name!r} runs in the runtime's own process, where no limit can be held"
        hint = "write `type: runtime.python3` beside it, or leave it out"
    reading.fault("document.limit", message, place, hint, key=True)


def check_timeout(reading: Reading, value: Any, place: str, spec: NodeSpec) -> None:
    """Refuse a step's `timeout` above its node's; one that an expression gives is cut to it."""
    most = spec.timeout_ms
    if most is None or not isinstance(value, (int, float)) or value <= most:
        return
    message = f"`timeout` is {spoken(value)}, and {spec.name!r} itself allows {spoken(most)}"
    hint = f"a step may lower it; write less, or raise `timeout` in {spec.file}"
    reading.fault("document.limit", message, place, hint)
