"""What an export says that nothing here stands for: each is told, with its line and what takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nodeling_bridges.powercenter.elements import Element
from nodeling_bridges.powercenter.model import Flow, Instance, TaskType

if TYPE_CHECKING:
    from nodeling_bridges.powercenter.lower import Lowering

OFF = ("", "NO", "0", "NONE")  # an attribute with such a value asks for nothing
_EVENT = ("Event Name", "User Defined Event", "Event", "Enable Past Events")
# What a task's attributes may say; a session's all reach its node.
_KNOWN: Mapping[TaskType, tuple[str, ...]] = {
    "command": ("Fail task if any command fails", "Recovery Strategy", "Working Directory"),
    "decision": ("Decision Name", "Decision Expression"),
    "email": (
        *("Email User Name", "Email Subject", "Email Text"),
        *("Email CC", "Email BCC", "Email Format"),
    ),
    "control": ("Control Option",),
    "event_wait": ("Filewatch name", "Delete Filewatch file", *_EVENT),
    "event_raise": _EVENT,
}
_LOG = "`nodectl runs events RUN` and `nodectl runs logs RUN` tell what happened"
_RECOVERY = "`nodectl runs resume --all`, or `nodectl worker`, goes on with what was cut short"
_AT_ONCE = "settings: {max_runs: 1, when_full: queue} in the converted document"
# What takes the place of a workflow's attributes, by how they begin.
_INSTEAD = (
    ("parameter file", "--parameter-file FILE"),
    ("enable ha recovery", _RECOVERY),
    ("automatically recover", _RECOVERY),
    ("maximum automatic recovery", _RECOVERY),
    ("allow concurrent run", _AT_ONCE),
    ("maximum number of concurrent", _AT_ONCE),
    ("configure concurrent", _AT_ONCE),
    ("save workflow log", _LOG),
    ("workflow log", _LOG),
)
_UNASKED = ("save workflow log by", "save workflow log for these runs")  # they say how many logs there are


def tell_of_flow(lowering: Lowering, flow: Flow) -> None:
    """The attributes of a workflow or worklet."""
    for name, value in flow.attributes.items():
        if value.strip().upper() in OFF or name.lower() in _UNASKED:
            continue
        hint = next((hint for start, hint in _INSTEAD if name.lower().startswith(start)), None)
        message = f"the attribute {name!r} of {flow.name!r} ({value!r:.80}) does not come along"
        place = flow.places.get(name, flow.position)
        fault = lowering.whole.source.fault(
            "powercenter.not_carried", message, at=place, hint=hint, warning=True
        )
        lowering.whole.faults.append(fault)


def tell_of_task(lowering: Lowering, instance: Instance) -> None:
    """What a task says beside what its kind knows."""
    task = instance.task
    if task.type == "session":
        for component in task.components:
            lowering.note(f"the {component} of {instance.name!r} is left to the session's node", instance)
        return
    known = {name.lower() for name in _KNOWN.get(task.type, ())}
    for name, value in task.attributes.items():
        if name.lower() not in known and value.strip().upper() not in OFF:
            said = f"the attribute {name!r} ({value!r:.80}) of {instance.name!r} means nothing here"
            lowering.note(said, instance)


def schedule_of(element: Element, reusable: Mapping[str, Element]) -> str:
    """When a workflow would start by itself, in a word or two; empty when it does not."""
    name = element.get("SCHEDULERNAME")
    own = next(iter(element.all("SCHEDULER")), None)
    is_reusable = element.get("REUSABLE_SCHEDULER", default="NO").upper() == "YES"
    scheduler = reusable.get(name) if own is None and is_reusable else own
    if scheduler is None:
        return name if is_reusable else ""
    kinds = [info.get("SCHEDULETYPE") for info in scheduler.every("SCHEDULEINFO")]
    kind = next((kind for kind in kinds if kind), "")
    if kind.upper() == "ONDEMAND":
        return ""
    return " ".join(part for part in (scheduler.get("NAME") or name, f"({kind})" if kind else "") if part)
