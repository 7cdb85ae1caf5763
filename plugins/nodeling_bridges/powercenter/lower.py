"""From a workflow of the model to the steps of a native document.

A link becomes a `needs` that observes how its source ended (`on: done`), with the link's condition in its
`if`: an empty condition holds after a failure too. A disabled task is led past. A task whose failure is
nobody's business is `on_error: continue`; a flag says otherwise. `Start` knows variables and times.

Where the workflow suspends on errors a task that fails is done again by a resume, whatever its flags say, and
until then its links are not asked: `on: success`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from nodeling.errors import Fault
from nodeling.formats import Position, Source
from nodeling_bridges.powercenter.left_behind import tell_of_flow, tell_of_task
from nodeling_bridges.powercenter.lower_frame import guard, keeping, start_step, suspension_email
from nodeling_bridges.powercenter.lower_tasks import is_control_of_more, lowered, never_fails
from nodeling_bridges.powercenter.model import Flow, Instance, Link, Pair, Repository
from nodeling_bridges.powercenter.parameters import Parameters
from nodeling_bridges.powercenter.values import Names

Step = dict[str, Any]
START = "Start"
UNBOUND = "powercenter-unbound"
DEEPEST_WORKLETS = 16
# The key of the e-mail node, what the service calls it, the variable of the environment, and the fallback.
MAIL_SETTINGS = (
    ("host", "SMTPServerAddress", "NODELING_SMTP_HOST", None),
    ("port", "SMTPPortNumber", "NODELING_SMTP_PORT", "587"),
    ("from", "SMTPFromAddress", "NODELING_SMTP_FROM", None),
    ("security", "SMTPSecurity", "NODELING_SMTP_SECURITY", "starttls"),
)
_REFERENCE = re.compile(r"\$\$?[A-Za-z_]\w*")


class Whole:
    """What the lowering of a workflow and of its worklets share."""

    def __init__(
        self,
        source: Source,
        repository: Repository,
        parameters: Parameters,
        bindings: dict[str, str],
        dry_run: bool,
    ) -> None:
        self.source = source
        self.repository = repository
        self.parameters = parameters
        self.bindings = bindings
        self.dry_run = dry_run
        self.faults: list[Fault] = []
        self.places: dict[str, Position] = {}
        self.unbound: dict[str, Position] = {}
        self.used: set[str] = set()
        self.start = START
        self.top = ""
        self.mails = False  # whether anything sends e-mails
        self.suspends = False  # whether a task that fails is waited for

    def fresh(self, wanted: str) -> str:
        """A step's name that nothing else has."""
        name, number = wanted, 2
        while name in self.used:
            name, number = f"{wanted}-{number}", number + 1
        self.used.add(name)
        return name


class Lowering:
    """One workflow, or one worklet in its place."""

    def __init__(
        self, whole: Whole, flow: Flow, pointer: str, outer: Lowering | None, prefix: str = ""
    ) -> None:
        self.whole = whole
        self.flow = flow
        self.pointer = pointer
        self.outer = outer
        self.start = whole.start  # what knows when the flow began
        self.has_start = outer is None
        self.top_name = whole.top
        self.prefix = prefix
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.step_of = {
            name: whole.start if one.task.type == "start" else self.fresh(f"{prefix}{name}")
            for name, one in flow.instances.items()
        }
        server = whole.parameters.of_workflow(whole.top)
        self.names: Names = Names(
            flow=flow,
            outer=None if outer is None else outer.names,
            step_of=self.step_of,
            start=whole.start,
            server={key: value for key, value in server.items() if not key.startswith("$$")},
            make_fault=whole.source.fault,
            faults=whole.faults,
        )
        self._assigns = any(one.task.type == "assignment" for one in flow.instances.values())

    @property
    def is_worklet(self) -> bool:
        """Whether this stands inside another flow."""
        return self.outer is not None

    def steps(self) -> list[Step]:
        """The steps of the flow, in the order of its instances."""
        found: list[Step] = []
        first = self._first()
        for instance in self.flow.instances.values():
            if instance.task.type == "start":
                continue
            number = len(first) + len(found)
            where = f"{self.pointer}/{number}"
            self.whole.places[where] = instance.position
            found.append(self._step(instance, where))
        guards = [
            guard(self, one)
            for one in self.flow.instances.values()
            if one.fails_parent_unrun and one.enabled and one.task.type != "start"
        ]
        if self.is_worklet:
            return [*first, *found, *guards]
        told = suspension_email(self, len(first) + len(found) + len(guards))
        return [*first, *found, *guards, *told, *keeping(self)]

    def _trail(self) -> list[str]:
        """The worklets around this, the outermost first."""
        return [] if self.outer is None else [*self.outer._trail(), self.flow.name]

    def tasks(self) -> list[str]:
        """The steps of the tasks themselves."""
        return [step for step in self.step_of.values() if step != self.whole.start]

    # -- one step

    def _step(self, instance: Instance, pointer: str) -> Step:
        before, self.pointer = self.pointer, pointer
        body = lowered(self, instance)
        tell_of_task(self, instance)
        self.pointer = before
        step: Step = {"name": self.step_of[instance.name], "node": body.pop("node")}
        if instance.task.description:
            step["description"] = instance.task.description
        step.update(self._needs(instance, pointer))
        if not instance.enabled:
            step["active"] = False
        step.update(body)
        if self._is_waited_for(instance):
            return step
        if not instance.fails_parent and not is_control_of_more(instance.task):
            step["on_error"] = "continue"
        elif step.get("on_error") == "continue":
            self.note(
                f"{instance.name!r}: its commands never fail it, so FAIL_PARENT means nothing", instance
            )
        return step

    def _is_waited_for(self, instance: Instance) -> bool:
        """Whether the workflow is suspended when this task fails, and the task done again."""
        task = instance.task
        return self.whole.suspends and task.type not in ("start", "control") and not never_fails(task)

    def _needs(self, instance: Instance, pointer: str) -> Step:
        if not instance.enabled:
            return {"needs": self._after_start()}  # whatever follows it is led past it
        ways = self._ways_to(instance, set())
        start = self.flow.start()
        if not ways and start is not None:
            self.note(f"no link leads to {instance.name!r}, so it never runs", instance)
            return {"needs": self._after_start(), "active": False}
        inner = [way for way in ways if way.source != start]
        from_start = [way for way in ways if way.source == start]
        keys: Step = {}
        asked = [way for way in from_start if way.condition]
        if asked and (instance.join_all or (not inner and len(asked) == len(from_start))):
            joint = " AND " if instance.join_all else " OR "
            text = joint.join(f"({way.condition})" for way in asked)
            keys["if"] = self.expression("powercenter_holds", text, asked[0].position)
        if not inner or (from_start and not instance.join_all):
            return {"needs": self._after_start(), **keys}
        needs = [self._need(way, f"{pointer}/needs/{number}") for number, way in enumerate(inner)]
        if len(inner) > 1:
            keys["join"] = "all" if instance.join_all else "any"
            if self._assigns:
                keys["merge"] = "last"
        return {"needs": needs, **keys}

    def _ways_to(self, instance: Instance, seen: set[str]) -> list[Link]:
        """The links that lead to a task, past the disabled ones, whose conditions are asked on the way."""
        found: list[Link] = []
        for link in self.flow.into(instance.name):
            source = self.flow.instances[link.source]
            if source.enabled or source.task.type == "start":
                found.append(link)
            elif link.source not in seen:
                further = self._ways_to(source, {*seen, link.source})
                if len(further) > 1 and source.join_all != instance.join_all:
                    said = (
                        f"{source.name!r} is disabled: its links are joined as those of {instance.name!r} are"
                    )
                    self.note(said, source)
                found.extend(
                    Link(way.source, instance.name, _both(way.condition, link.condition), link.position)
                    for way in further
                )
        return found

    def _first(self) -> list[Step]:
        """What begins the flow; a worklet has that only where a timer counts from it."""
        if not self.is_worklet:
            return [start_step(self)]
        waits = [one.task.wait for one in self.flow.instances.values() if one.task.type == "timer"]
        if not any(wait is not None and wait.kind == "parent" for wait in waits):
            return []
        self.start, self.has_start = self.fresh(f"{self.prefix}{START}"), True
        return [{"name": self.start, "node": "powercenter-start", "inputs": {"variables": {}}, "needs": []}]

    def _after_start(self) -> list[Step]:
        return [{"step": self.start, "on": "success"}] if self.has_start else []

    def _need(self, link: Link, pointer: str) -> Step:
        self.whole.places[pointer] = link.position
        waits = self._is_waited_for(self.flow.instances[link.source])
        need: Step = {"step": self.step_of[link.source], "on": "success" if waits else "done"}
        if link.condition:
            need["if"] = self.expression("powercenter_holds", link.condition, link.position)
        return need

    # -- what the tasks ask

    def fresh(self, wanted: str) -> str:
        """A step's name that nothing else has."""
        return self.whole.fresh(wanted)

    def expression(self, function: str, text: str, position: Position) -> str:
        """A text of the transformation language as a native expression."""
        return f"${{{self.names.call(function, text, position)}}}"

    def with_variables(self, text: str, position: Position) -> str:
        """A text in which `$$NAME` and `$PMName` become their values."""

        def replace(match: re.Match[str]) -> str:
            name = match.group()
            known = self.names.declared()
            if name.startswith("$$") and name.lower() in known:
                return f"${{ctx.vars[{json.dumps(known[name.lower()])}]}}"
            if name.startswith("$PM"):
                return f"${{{self.names.call('powercenter', name, position)}}}"
            return name  # the shell's own

        return _REFERENCE.sub(replace, text.replace("${", "$${"))

    def bound(self, instance: Instance) -> str:
        """The node that stands for a session."""
        bindings = self.whole.bindings
        for name in (instance.name, instance.task.name, instance.task.mapping):
            if name and name in bindings:
                return bindings[name]
        if instance.enabled:
            self.whole.unbound[instance.name] = instance.position
        return UNBOUND

    def mail_server(self) -> dict[str, Any]:
        """Who sends e-mails: what a parameter file says of the service, else the environment."""
        given = {key.lower(): value for key, value in self.whole.parameters.everywhere().items()}
        self.whole.mails = True
        found: dict[str, Any] = {}
        for key, setting, variable, fallback in MAIL_SETTINGS:
            if setting.lower() in given:
                said = given[setting.lower()]
                found[key] = int(said) if key == "port" and said.isdigit() else said
            elif fallback is None:
                wanted = f"set {variable}, or {setting} in a parameter file"
                found[key] = f"${{powercenter_required(ctx.env?.{variable} ?? null, {json.dumps(wanted)})}}"
            elif key == "port":
                found[key] = f'${{int(ctx.env?.{variable} ?? "{fallback}")}}'
            else:
                found[key] = f'${{ctx.env?.{variable} ?? "{fallback}"}}'
        return found

    def session_parameters(self, name: str) -> dict[str, str]:
        """What the parameter files say of a session."""
        return self.whole.parameters.of_session(self.whole.top, name)

    def worklet(self, instance: Instance) -> Step:
        """The steps of a worklet, inside one step."""
        flow = self.whole.repository.worklets.get(instance.task.name)
        if flow is None:
            self.fault("powercenter.no_task", f"the worklet {instance.task.name!r} is not here", instance)
            return {"node": "sequence", "steps": []}
        trail = self._trail()
        if flow.name in trail:
            walk = " → ".join([*trail[trail.index(flow.name) :], flow.name])
            self.fault(
                "powercenter.depth", f"the worklet {flow.name!r} stands inside itself: {walk}", instance
            )
            return {"node": "sequence", "steps": []}
        if self.depth >= DEEPEST_WORKLETS:
            self.fault("powercenter.depth", f"worklets nest deeper than {DEEPEST_WORKLETS}", instance)
            return {"node": "sequence", "steps": []}
        inner = Lowering(self.whole, flow, f"{self.pointer}/steps", self, prefix=f"{instance.name}-")
        tell_of_flow(inner, flow)
        return {"node": "sequence", "steps": inner.steps()}

    def fault(self, code: str, message: str, at: Instance | Pair, hint: str | None = None) -> None:
        """Something is wrong with the export."""
        self.whole.faults.append(self.whole.source.fault(code, message, at=at.position, hint=hint))

    def note(self, message: str, at: Instance | Flow) -> None:
        """Something does not come along."""
        self.whole.faults.append(
            self.whole.source.fault("powercenter.not_carried", message, at=at.position, warning=True)
        )


def _both(one: str, other: str) -> str:
    return f"({one}) AND ({other})" if one and other else one or other
