"""The simplified elements: a SESSION, COMMAND, DECISION, TIMER or EMAIL stands for its own instance.

They occur in descriptions of the system and in no export. Their links (`TASKLINK`) say SUCCESS, FAILURE or
UNCONDITIONAL, and an EXPRESSION beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeling_bridges.powercenter.elements import Element
from nodeling_bridges.powercenter.model import TASK_TYPES, Instance, Link, Pair, Task, Wait

if TYPE_CHECKING:
    from nodeling_bridges.powercenter.repository import Reader

SIMPLE_TAGS = (
    "SESSION",
    "COMMAND",
    "DECISION",
    "TIMER",
    "EMAIL",
    "CONTROL",
    "ASSIGNMENT",
    "EVENT_WAIT",
    "EVENT_RAISE",
)
_BY_LINK = {
    "SUCCESS": "${source}.Status = SUCCEEDED",
    "FAILURE": "${source}.Status = FAILED",
    "UNCONDITIONAL": "",
    "": "",
}
# What the simplified attributes are called in an export.
_ATTRIBUTES = {
    "CONDITION": "Decision Name",
    "TO": "Email User Name",
    "CC": "Email CC",
    "BCC": "Email BCC",
    "SUBJECT": "Email Subject",
    "MESSAGE": "Email Text",
    "EMAILFORMAT": "Email Format",
    "WORKINGDIRECTORY": "Working Directory",
    "CONTROLOPTION": "Control Option",
    "EVENTNAME": "Event Name",
    "FILENAME": "Filewatch name",
}
MOST_SECONDS = 1e10  # some centuries
_NO_ATTRIBUTES = ("NAME", "DESCRIPTION", "TASKINSTANCEPATH", "COMMAND", "MAPPINGNAME", "REUSABLE")


def simple_instances(reader: Reader, element: Element) -> list[Instance]:
    """The tasks of a workflow whose elements are their own instances."""
    return [_instance(reader, child) for child in element.all(*SIMPLE_TAGS)]


def simple_links(reader: Reader, element: Element) -> list[Link]:
    """The links of such a workflow."""
    found = []
    for child in element.all("TASKLINK", "WORKFLOWLINK"):
        word = child.get("CONDITION", default="SUCCESS" if child.tag == "TASKLINK" else "")
        expression = child.get("EXPRESSION")
        source = child.get("FROMTASK")
        if word.upper() in _BY_LINK and child.tag == "TASKLINK":
            said = _BY_LINK[word.upper()].replace("{source}", source)
        else:
            said = word
        condition = f"({said}) AND ({expression})" if said and expression else said or expression
        found.append(Link(source, child.get("TOTASK"), condition, child.position))
    return found


def _instance(reader: Reader, element: Element) -> Instance:
    def says(*attributes: str, default: str = "YES") -> bool:
        return element.get(*attributes, default=default).upper() == "YES"

    kind = TASK_TYPES[element.tag.replace("_", "")]
    name = element.get("NAME")
    if not name:
        reader.fault("powercenter.name", f"this {element.tag.lower()} has no NAME", element)
    attributes = {
        _ATTRIBUTES.get(key, key.replace("_", " ").title()): value
        for key, value in element.attributes.items()
        if key not in _NO_ATTRIBUTES
    }
    command = element.attributes.get("COMMAND", "")
    pairs = (Pair("command", command, element.position),) if command else ()
    task = Task(
        name,
        kind,
        element.position,
        element.get("DESCRIPTION"),
        {**attributes, **element.properties()},
        pairs,
        _wait(reader, element) if kind == "timer" else None,
        element.get("MAPPINGNAME"),
    )
    return Instance(
        name=name,
        task=task,
        position=element.position,
        enabled=says("ISENABLED"),
        join_all=element.get("TREAT_INPUTLINKS_AS", "TREAT_INPUTLINK_AS", default="AND").upper() != "OR",
        fails_parent=says("FAIL_PARENT_IF_INSTANCE_FAILS"),
        fails_parent_unrun=says(
            "FAIL_PARENT_IF_INSTANCE_DOES_NOT_RUN", "FAIL_PARENT_IF_INSTANCE_DID_NOT_RUN", default="NO"
        ),
    )


def seconds_of(text: str) -> float | None:
    """A number of seconds, or of anything else that goes by; None for what is none."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < MOST_SECONDS else None


def _wait(reader: Reader, element: Element) -> Wait:
    given = element.get("WAITTIME", default="0") or "0"
    if element.get("ABSOLUTETIME", default="NO").upper() == "YES":
        return Wait("absolute", moment=element.get("ABSOLUTETIMEVALUE", "STARTTIME", default=given))
    seconds = seconds_of(given)
    if seconds is None:
        reader.fault(
            "powercenter.timer", f"a timer waits for {given!r}, which is no number of seconds", element
        )
    return Wait("previous", seconds=seconds or 0.0)
