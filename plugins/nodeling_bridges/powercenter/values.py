"""What an expression's variables are called in a native document.

Every variable that a text names becomes one entry of a map, so that the checker sees what is read and the
function that evaluates the text is pure: `powercenter_holds("$s.Status = SUCCEEDED", {"$s.status": …})`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nodeling.errors import Fault, nearest
from nodeling_bridges.powercenter.language.parser import parse
from nodeling_bridges.powercenter.language.syntax import SyntaxFault, Variable, variables_of
from nodeling_bridges.powercenter.model import Flow, Link, Position

SESSION_COUNTS = (
    "SrcSuccessRows",
    "SrcFailedRows",
    "TgtSuccessRows",
    "TgtFailedRows",
    "TotalTransErrors",
    "FirstErrorCode",
    "FirstErrorMsg",
)
TASK_TIMES = {"StartTime": "started", "EndTime": "ended"}
TASK_VARIABLES = (
    *("Status", "PrevTaskStatus", "ErrorCode", "ErrorMsg", "Condition", *TASK_TIMES),
    *SESSION_COUNTS,
)

LONGEST_SHOWN = 120  # of an expression, in a message

MakeFault = Callable[..., Fault]


@dataclass(slots=True)
class Names:
    """What may be named in one workflow or worklet, and what each name is in the native document."""

    flow: Flow
    outer: Names | None
    step_of: Mapping[str, str]  # instance → step
    start: str  # the step that knows the time and the variables
    server: Mapping[str, str]  # $PM… and connections, from parameter files
    make_fault: MakeFault
    faults: list[Fault]
    assigned: dict[str, str] = field(default_factory=dict)  # within one assignment: what was set before
    _instances: dict[str, str] = field(default_factory=dict)  # by their names in small letters

    def call(self, function: str, text: str, position: Position) -> str:
        """A native expression that evaluates a text; with a fault beside it when it cannot be read."""
        try:
            tree = parse(text)
        except SyntaxFault as error:
            shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
            said = f"{shown!r} cannot be read: {error.message} at character {error.position + 1}"
            self._fault("powercenter.expression", said, position, error.hint)
            return f"{function}({json.dumps(text)}, {{}})"
        entries: dict[str, str] = {}
        for variable in variables_of(tree):
            key, value = self._value(variable, position)
            if value is not None:
                entries[key] = value
        inside = ", ".join(f"{json.dumps(key)}: {value}" for key, value in entries.items())
        return f"{function}({json.dumps(text, ensure_ascii=False)}, {{{inside}}})"

    def _value(self, variable: Variable, position: Position) -> tuple[str, str | None]:
        if variable.task is not None:
            key = f"${variable.task}.{variable.name}".lower()
            return key, self._of_task(variable.task, variable.name, position)
        key = variable.name.lower()
        if variable.name.startswith("$$"):
            return key, self._own(variable.name, position)
        if variable.name.startswith("$"):
            return key, self._of_server(variable.name, position)
        if variable.name == "SESSSTARTTIME":
            self._fault("powercenter.variable", "SESSSTARTTIME means nothing in a workflow", position)
            return key, None
        started = f"steps[{json.dumps(self.start)}].output.started"
        # what is said of the clock depends on a step, or it would be taken for a constant
        return key, started if variable.name == "WORKFLOWSTARTTIME" else f"powercenter_now({started})"

    # -- tasks

    def _of_task(self, task: str, name: str, position: Position) -> str | None:
        known = self._instances
        if not known:
            known.update((one.lower(), one) for one in self.step_of)
        if task.lower() not in known:
            if self.outer is not None:
                return self.outer._of_task(task, name, position)
            self._unknown(f"${task}.{name}", "task", task, list(self.step_of), position)
            return None
        instance = known[task.lower()]
        words = {one.lower(): one for one in TASK_VARIABLES}
        if name.lower() not in words:
            self._unknown(f"${task}.{name}", "variable of a task", name, list(TASK_VARIABLES), position)
            return None
        return self._task_variable(instance, words[name.lower()], position)

    def _task_variable(self, instance: str, word: str, position: Position) -> str:
        step = f"steps[{json.dumps(self.step_of[instance])}]"
        if not self.flow.instances[instance].enabled:
            return '"DISABLED"' if word == "Status" else "null"
        if self.flow.instances[instance].task.type == "start" and word in TASK_TIMES:
            return f"steps[{json.dumps(self.start)}].output.started"
        if self.flow.instances[instance].task.type == "start":
            return '"SUCCEEDED"' if word in ("Status", "PrevTaskStatus") else "null"
        if word in TASK_TIMES:
            return f"powercenter_moment({step}.{TASK_TIMES[word]})"
        if word == "Status":
            return f"powercenter_status({step}.status, {step}.reason)"
        if word == "PrevTaskStatus":
            return self._previous(instance, position)
        if word == "ErrorCode":
            return f"{step}.error?.code ?? 0"
        if word == "ErrorMsg":
            return f"{step}.error?.message ?? null"
        if word == "Condition":
            return f"({step}?.output ?? {{}})?.value ?? null"
        return f"powercenter_count({step}?.output ?? null, {step}.metrics, {json.dumps(word)})"

    def _previous(self, instance: str, position: Position) -> str:
        """The status of the task before one, looking through those that are disabled."""
        before = self._enabled_before(instance, set())
        if not before:
            return '"SUCCEEDED"'
        if len(before) > 1:
            said = f"${instance}.PrevTaskStatus: {len(before)} tasks lead here; the first that ran is taken"
            self.faults.append(self.make_fault("powercenter.not_carried", said, at=position, warning=True))
        states = [
            f"powercenter_status(steps[{json.dumps(self.step_of[one])}].status, "
            f"steps[{json.dumps(self.step_of[one])}].reason)"
            for one in before
        ]
        return f"powercenter_first_run([{', '.join(states)}])"

    def _enabled_before(self, instance: str, seen: set[str]) -> list[str]:
        found: list[str] = []
        for link in self.flow.into(instance):
            one = self.flow.instances[link.source]
            if link.source in seen or one.task.type == "start":
                continue
            seen.add(link.source)
            found.extend([link.source] if one.enabled else self._enabled_before(link.source, seen))
        return found

    # -- variables

    def _own(self, name: str, position: Position) -> str | None:
        if name.lower() in self.assigned:
            return self.assigned[name.lower()]
        declared = self.declared()
        if name.lower() not in declared:
            self._unknown(name, "variable", name, list(declared.values()), position)
            return None
        return f"ctx.vars[{json.dumps(declared[name.lower()])}]"

    def declared(self) -> dict[str, str]:
        """The user's variables that can be seen here, by their names in small letters."""
        own = {name.lower(): name for name in self.flow.variables}
        return {**(self.outer.declared() if self.outer is not None else {}), **own}

    def server_value(self, name: str) -> str | None:
        """What the parameter files say of a variable of the service."""
        return {key.lower(): value for key, value in self.server.items()}.get(name.lower())

    def _of_server(self, name: str, position: Position) -> str | None:
        value = self.server_value(name)
        if value is None:
            said = f"{name} is set on the server and not in this file"
            hint = "give it in a parameter file: --parameter-file FILE"
            self._fault("powercenter.variable", said, position, hint)
            return None
        return json.dumps(value, ensure_ascii=False)

    # -- faults

    def _unknown(self, shown: str, what: str, wanted: str, known: list[str], position: Position) -> None:
        near = nearest(wanted, known)
        hint = f"did you mean {near}?" if near else f"there is {', '.join(known)}" if known else None
        self._fault("powercenter.variable", f"{shown}: no such {what} is known here", position, hint)

    def _fault(self, code: str, message: str, position: Position, hint: str | None = None) -> None:
        self.faults.append(self.make_fault(code, message, at=position, hint=hint))


def shown_condition(link: Link) -> str:
    """A link's condition as people read it."""
    return link.condition or "(always, also after a failure)"
