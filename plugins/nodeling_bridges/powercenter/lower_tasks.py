"""What each kind of task is in a native document: which node, with which inputs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nodeling_bridges.powercenter.language.dates import iso, read
from nodeling_bridges.powercenter.model import Instance, Pair, Task

if TYPE_CHECKING:
    from nodeling_bridges.powercenter.lower import Lowering

Step = dict[str, Any]
COMMAND_TIMEOUT_MS = 300_000
SHORTEST_WAIT = "1ms"
CONTROL_OPTIONS: dict[str, tuple[str, str]] = {
    "FAILME": ("fail", "self"),
    "FAILPARENT": ("fail", "parent"),
    "STOPPARENT": ("stop", "parent"),
    "ABORTPARENT": ("abort", "parent"),
    "FAILTOPLEVELWORKFLOW": ("fail", "top"),
    "STOPTOPLEVELWORKFLOW": ("stop", "top"),
    "ABORTTOPLEVELWORKFLOW": ("abort", "top"),
}
_EMAIL_CODES = re.compile(r"%[abcdegilmnrstvw]")
_TIME_FORMS = (
    "MM/DD/YYYY HH24:MI:SS",
    "MM/DD/YYYY HH24:MI",
    "YYYY-MM-DD HH24:MI:SS",
    "YYYY-MM-DDTHH24:MI:SS",
)


def lowered(lowering: Lowering, instance: Instance) -> Step:
    """The keys of the step that does what a task does: `node`, `inputs`, and what else it needs."""
    return _BY_TYPE[instance.task.type](lowering, instance)


def is_control_of_more(task: Task) -> bool:
    """Whether a Control task ends more than itself."""
    return task.type == "control" and _control(task)[1] != "self"


def never_fails(task: Task) -> bool:
    """Whether a Command task goes on, and succeeds, whatever its commands do."""
    fails = task.attributes.get("Fail task if any command fails", "YES").upper() == "YES"
    return task.type == "command" and not fails


# -- what runs


def _session(lowering: Lowering, instance: Instance) -> Step:
    node = lowering.bound(instance)
    task = instance.task
    parameters = lowering.session_parameters(instance.name)
    config: dict[str, Any] = {"session": instance.name, "mapping": task.mapping, **task.attributes}
    if parameters:
        config["parameters"] = parameters
    said = {key: _literal(value) for key, value in config.items()}
    return {"node": node, "config": said, **_when_lost(task)}


def _when_lost(task: Task) -> Step:
    """What becomes of a task whose process died: by its recovery strategy it is done again, or has failed."""
    strategy = "".join(one for one in task.attributes.get("Recovery Strategy", "").lower() if one.isalpha())
    if strategy.startswith("failtask"):
        return {"on_lost": "fail"}
    return {"on_lost": "again"} if strategy.startswith(("restart", "resume")) else {}


def _literal(value: Any) -> Any:
    """A value whose text is no expression of ours, whatever it holds."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    if value.startswith("js/"):
        return f"${{{json.dumps(value)}}}"
    return value.replace("${", "$${")


def _command(lowering: Lowering, instance: Instance) -> Step:
    task = instance.task
    if not task.pairs:
        lowering.fault("powercenter.command", f"the task {instance.name!r} has no command", instance)
    go_on = never_fails(task)
    if len(task.pairs) == 1:
        step = _one_command(lowering, task.pairs[0], task)
        return {**step, "on_error": "continue"} if go_on else step
    steps = []
    for number, pair in enumerate(task.pairs, 1):
        step = {"name": lowering.fresh(f"{instance.name}-{number}"), **_one_command(lowering, pair, task)}
        steps.append({**step, "on_error": "continue"} if go_on else step)
    return {"node": "sequence", "steps": steps}


def _one_command(lowering: Lowering, pair: Pair, task: Task) -> Step:
    text = lowering.with_variables(pair.value, pair.position)
    inputs: Step = {"argv": ["sh", "-c", text], "timeout_ms": COMMAND_TIMEOUT_MS}
    folder = task.attributes.get("Working Directory", "").strip()
    if folder:
        inputs["cwd"] = lowering.with_variables(folder, pair.position)
    return {"node": "command", "inputs": inputs, **_when_lost(task)}


def _decision(lowering: Lowering, instance: Instance) -> Step:
    attributes = instance.task.attributes
    text = next(
        (attributes[key] for key in ("Decision Name", "Decision Expression") if key in attributes), ""
    )
    if not text.strip():
        lowering.fault("powercenter.decision", f"the decision {instance.name!r} asks nothing", instance)
    return {
        "node": "decision",
        "inputs": {"condition": lowering.expression("powercenter", text, instance.position)},
    }


def _assignment(lowering: Lowering, instance: Instance) -> Step:
    given: Step = {}
    assigned: dict[str, str] = {}
    for pair in instance.task.pairs:
        known = lowering.names.declared()
        name = known.get(pair.name.strip().lower())
        if name is None:
            said = f"the assignment {instance.name!r} sets {pair.name!r}, which is no variable here"
            lowering.fault("powercenter.variable", said, pair)
            continue
        lowering.names.assigned = assigned
        inner = lowering.names.call("powercenter", pair.value, pair.position)
        lowering.names.assigned = {}
        given[name] = f"${{{inner}}}"
        assigned = {**assigned, name.lower(): inner}
    return {"node": "assign", "inputs": {"set": given}}


# -- what waits


def _timer(lowering: Lowering, instance: Instance) -> Step:
    wait = instance.task.wait
    if wait is None:
        if instance.task.type == "timer":
            lowering.fault("powercenter.timer", f"the timer {instance.name!r} has no time", instance)
        return {"node": "timer", "for": SHORTEST_WAIT}
    if wait.kind == "absolute":
        return {"node": "timer", "until": _moment(lowering, instance, wait.moment)}
    if wait.kind == "variable":
        return {"node": "timer", "until": lowering.expression("powercenter", wait.moment, instance.position)}
    milliseconds = round(wait.seconds * 1_000)
    step: Step = {"node": "timer", "for": f"{milliseconds}ms" if milliseconds > 0 else SHORTEST_WAIT}
    if wait.kind in ("parent", "top"):
        start = lowering.start if wait.kind == "parent" else lowering.whole.start
        step["since"] = f"${{steps[{json.dumps(start)}].output.started}}"
    return step


def _moment(lowering: Lowering, instance: Instance, text: str) -> str:
    for form in _TIME_FORMS:
        try:
            return iso(read(text.strip(), form))
        except ValueError:
            continue
    said = f"the timer {instance.name!r} waits for {text!r}, which is no moment"
    lowering.fault("powercenter.timer", said, instance, "as in 12/31/2030 06:00:00")
    return "1970-01-01T00:00:00"


def _event_wait(lowering: Lowering, instance: Instance) -> Step:
    attributes = instance.task.attributes
    file = attributes.get("Filewatch name", "").strip()
    if file:
        delete = attributes.get("Delete Filewatch file", "NO").upper() == "YES"
        path = lowering.with_variables(file, instance.position)
        return {"node": "event-wait", "inputs": {"file": path, "delete_file": delete}}
    past = {key.lower(): value for key, value in attributes.items()}.get("enable past events", "YES")
    asked: Step = {} if past.strip().upper() != "NO" else {"past": False}
    return {"node": "event-wait", "event": _event(lowering, instance), **asked}


def _event_raise(lowering: Lowering, instance: Instance) -> Step:
    return {"node": "event-raise", "inputs": {"event": _event(lowering, instance)}}


def _event(lowering: Lowering, instance: Instance) -> str:
    attributes = instance.task.attributes
    keys = ("Event Name", "User Defined Event", "Event")
    name = next((attributes[key].strip() for key in keys if attributes.get(key, "").strip()), "")
    if not name:
        lowering.fault("powercenter.event", f"the task {instance.name!r} names no event", instance)
    return name or "unnamed"


# -- what tells and ends


def _email(lowering: Lowering, instance: Instance) -> Step:
    attributes = instance.task.attributes
    told: Step = lowering.mail_server()
    for key, attribute in (("to", "Email User Name"), ("cc", "Email CC"), ("bcc", "Email BCC")):
        names = [one.strip() for one in re.split(r"[;,]", attributes.get(attribute, "")) if one.strip()]
        if names:
            told[key] = names
    if "to" not in told:
        lowering.fault("powercenter.email", f"the e-mail {instance.name!r} goes to nobody", instance)
    subject = attributes.get("Email Subject", "").strip() or f"Workflow {lowering.top_name}"
    text = attributes.get("Email Text", "")
    codes = sorted(set(_EMAIL_CODES.findall(subject + text)))
    if codes:
        lowering.note(
            f"the e-mail {instance.name!r} holds {', '.join(codes)}, which stay as they are", instance
        )
    body = "html" if attributes.get("Email Format", "text").lower() == "html" else "text"
    told["subject"] = lowering.with_variables(subject, instance.position)
    told[body] = lowering.with_variables(text, instance.position)
    return {"node": "email", "inputs": told}


def _control(task: Task) -> tuple[str, str]:
    option = "".join(one for one in task.attributes.get("Control Option", "").upper() if one.isalpha())
    return CONTROL_OPTIONS.get(option, ("", ""))


def _control_step(lowering: Lowering, instance: Instance) -> Step:
    action, target = _control(instance.task)
    if not action:
        option = instance.task.attributes.get("Control Option", "")
        said = f"the control task {instance.name!r} has the option {option!r}"
        lowering.fault("powercenter.control", said, instance, "Fail parent, Stop parent, Abort parent, …")
        action, target = "fail", "self"
    message = f"{instance.name}: {instance.task.attributes.get('Control Option', '')}"
    return {"node": "control", "inputs": {"action": action, "target": target, "message": message}}


def _worklet(lowering: Lowering, instance: Instance) -> Step:
    return lowering.worklet(instance)


def _start(lowering: Lowering, instance: Instance) -> Step:
    raise AssertionError("the start is no step of its own")


_BY_TYPE: dict[str, Callable[[Lowering, Instance], Step]] = {
    "start": _start,
    "session": _session,
    "command": _command,
    "decision": _decision,
    "assignment": _assignment,
    "timer": _timer,
    "event_wait": _event_wait,
    "event_raise": _event_raise,
    "email": _email,
    "control": _control_step,
    "worklet": _worklet,
}
