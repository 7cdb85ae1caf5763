"""Reading a step's policies: its phase, its flags, its clocks, and what a failure means."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from nodeling.errors import nearest
from nodeling_runtime.workflow.keys import BACKOFFS, JITTERS, RETRY
from nodeling_runtime.workflow.model import Retry, Trigger
from nodeling_runtime.workflow.plan import PHASES
from nodeling_runtime.workflow.reading import Reading, brief

FLAGS = (("active", "active", True), ("stop", "stops", False), ("recover", "recovers", False))
CLOCKS = (("timeout", "timeout_ms"), ("deadline", "deadline_ms"))
FOR_A_GRAPH = ("needs", "join", "trigger", "stop")
RETRY_WORDS = ("timeout", "crash", "transient")
MOST_FACTOR = 100


def read_flags(
    reading: Reading, data: Mapping[str, Any], pointer: str, container: Container[str], *, independent: bool
) -> dict[str, Any]:
    """The fields of a `Step` that say whether, in which phase and under which name it counts.

    Args:
        reading: The document under way.
        data: The step.
        pointer: Where it stands.
        container: The keys that belong to the step's container and are not read here.
        independent: The step is one of children that do not see one another.
    """
    out: dict[str, Any] = {"description": str(data.get("description", ""))}
    for key, name, default in FLAGS:
        if key in data and key not in container:
            out[name] = reading.boolean(data[key], f"`{key}`", f"{pointer}/{key}", default)
    if "set_var" in data:
        value = data["set_var"]
        if isinstance(value, bool) or (isinstance(value, str) and value):
            out["set_var"] = value
        else:
            message = f"`set_var` is a name, true or false, not {brief(value)}"
            reading.fault("document.type", message, f"{pointer}/set_var")
    trigger: Trigger = "body"
    if "trigger" in data:
        trigger = reading.choice(data["trigger"], PHASES, "`trigger`", f"{pointer}/trigger", "body")
    out["trigger"] = trigger
    if out.get("recovers") and trigger != "on_error":
        message = "`recover` stands on a step without `trigger: on_error`"
        reading.fault("document.value", message, f"{pointer}/recover", key=True)
    if out.get("stops") and trigger != "body":
        message = f"`stop` ends the body of a scope, and this step is an `{trigger}` step"
        reading.fault("document.value", message, f"{pointer}/stop", "leave it out", key=True)
    if independent:
        _refuse_graph_keys(reading, data, pointer)
    return out


def _refuse_graph_keys(reading: Reading, data: Mapping[str, Any], pointer: str) -> None:
    for key in FOR_A_GRAPH:
        if key in data:
            message = f"`{key}` cannot stand on one of these children: they are independent of one another"
            hint = "put those that belong together into a `sequence`"
            reading.fault("document.independent", message, f"{pointer}/{key}", hint, key=True)


def read_policies(
    reading: Reading, data: Mapping[str, Any], pointer: str, container: Container[str]
) -> dict[str, Any]:
    """The fields of a `Step` that say how long it may take and what a failure means.

    Args:
        reading: The document under way.
        data: The step.
        pointer: Where it stands.
        container: The keys that belong to the step's container and are not read here.
    """
    out: dict[str, Any] = {}
    if "retry" in data:
        out["retry"] = _retry(reading, data["retry"], f"{pointer}/retry")
    for key, name in CLOCKS:
        if key in data and key not in container:
            out[name] = reading.duration_or_expression(data[key], f"{pointer}/{key}")
    if "on_error" in data and "on_error" not in container:
        words = ("continue", "fail")
        word = reading.choice(data["on_error"], words, "`on_error`", f"{pointer}/on_error", "fail")
        out["continues"] = word == "continue"
    if "merge" in data and "merge" not in container:
        out["merge"] = reading.choice(data["merge"], ("last", "deep"), "`merge`", f"{pointer}/merge", "last")
    return out


def stops_on_failure(
    reading: Reading, data: Mapping[str, Any], pointer: str, container: Container[str] = ()
) -> bool:
    """Whether `on_failure: stop` stands on a step, for the scope below."""
    if "on_failure" not in data or "on_failure" in container:
        return False
    place = f"{pointer}/on_failure"
    if data["on_failure"] == "suspend":
        message = "`on_failure: suspend` is for the whole run: a scope inside it cannot wait by itself"
        reading.fault("document.value", message, place, "write settings: {on_failure: suspend}")
        return False
    words = ("continue", "stop")
    return reading.choice(data["on_failure"], words, "`on_failure`", place, "continue") == "stop"


def run_on_failure(reading: Reading, settings: Mapping[str, Any]) -> str:
    """What a failure at the top means for the rest of the run."""
    if "on_failure" not in settings:
        return "continue"
    words = ("continue", "stop", "suspend")
    return reading.choice(settings["on_failure"], words, "`on_failure`", "/settings/on_failure", "continue")


def _retry(reading: Reading, value: Any, pointer: str) -> Retry:
    if isinstance(value, int) and not isinstance(value, bool):
        return Retry(attempts=reading.count(value, "`retry`", pointer, 1))
    data = reading.mapping(value, "`retry`", pointer)
    reading.unknown_keys(data, RETRY, "`retry`", pointer)
    found: dict[str, Any] = {}
    if "attempts" in data:
        found["attempts"] = reading.count(data["attempts"], "`attempts`", f"{pointer}/attempts", 1)
    for key, name in (("delay", "delay_ms"), ("max_delay", "max_delay_ms")):
        duration = reading.duration(data[key], f"{pointer}/{key}") if key in data else None
        if duration is not None:
            found[name] = duration
    if "backoff" in data:
        place = f"{pointer}/backoff"
        found["backoff"] = reading.choice(data["backoff"], BACKOFFS, "`backoff`", place, "exponential")
    if "jitter" in data:
        place = f"{pointer}/jitter"
        found["jitter"] = reading.choice(data["jitter"], JITTERS, "`jitter`", place, "full") == "full"
    if "factor" in data:
        found["factor"] = _factor(reading, data["factor"], f"{pointer}/factor")
    if "on" in data:
        found["on"] = _retry_on(reading, data["on"], f"{pointer}/on")
    if "unless" in data:
        found["unless"] = _retry_unless(reading, data["unless"], f"{pointer}/unless")
    return Retry(**found)


def _retry_unless(reading: Reading, value: Any, pointer: str) -> tuple[int | str, ...]:
    listed = isinstance(value, list)
    items = value if listed else [value]
    for i, item in enumerate(items):
        if isinstance(item, bool) or not isinstance(item, (int, str)) or item == "":
            message = f"`unless` lists types of errors, or codes, not {brief(item)}"
            hint = "as in unless: [ValueError, 4290]"
            reading.fault("document.value", message, f"{pointer}/{i}" if listed else pointer, hint)
    return tuple(item for item in items if isinstance(item, (int, str)))


def _factor(reading: Reading, value: Any, pointer: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= MOST_FACTOR:
        message = f"`factor` is a number from 1 to {MOST_FACTOR}, not {brief(value)}"
        reading.fault("document.value", message, pointer)
        return 2.0
    return float(value)


def _retry_on(reading: Reading, value: Any, pointer: str) -> tuple[int | str, ...]:
    listed = isinstance(value, list)
    items = value if listed else [value]
    for i, item in enumerate(items):
        if isinstance(item, bool) or not (isinstance(item, int) or item in RETRY_WORDS):
            near = nearest(str(item), RETRY_WORDS)
            message = f"`on` lists codes or {', '.join(RETRY_WORDS)}, not {brief(item)}"
            place = f"{pointer}/{i}" if listed else pointer
            reading.fault("document.value", message, place, f"did you mean {near!r}?" if near else None)
    return tuple(item for item in items if isinstance(item, (int, str)))
