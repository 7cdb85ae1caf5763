"""Whether a workflow makes sense, asked before anything runs: the graph, the references, what fits what.

Pure: it reads the frozen model and nothing else. Every fault is listed with its place; where only a
run can tell, the checker is silent, or warns when it was asked to be strict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nodeling.errors import Fault, nearest
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.workflow.check_references import ReferenceCheck
from nodeling_runtime.workflow.check_types import TypeCheck
from nodeling_runtime.workflow.model import Scope, Slot, Step, Workflow
from nodeling_runtime.workflow.plan import PHASES, Plan, find_cycle, is_sequential, make_plan, plan_of
from nodeling_runtime.workflow.sight import Sight

MOST_FAULTS = 1_000


def check_workflow(workflow: Workflow, *, strict: bool = False) -> list[Fault]:
    """Every fault of a loaded workflow and of those it includes."""
    found: list[Fault] = []
    todo, seen = [workflow], set()
    while todo:
        here = todo.pop()
        if here.document.name in seen:
            continue
        seen.add(here.document.name)
        check = _Check(here, strict)
        check.run()
        found.extend(check.faults[:MOST_FAULTS])
        todo.extend(check.included)
    return found


@dataclass(frozen=True, slots=True)
class _Level:
    """A scope still to be checked, and what its steps see from outside."""

    scope: Scope
    outer: Sight | None
    names: tuple[str, ...]


class _Check:
    """One document under way."""

    def __init__(self, workflow: Workflow, strict: bool) -> None:
        self.workflow = workflow
        self.strict = strict
        self.faults: list[Fault] = []
        self.included: list[Workflow] = []
        self.owners = {step.name: step for step in _all_steps(workflow.scope)}

    def fault(self, code: str, message: str, pointer: str, hint: str | None = None, *, warning: bool = False) -> None:
        """Record one fault."""
        self.faults.append(
            self.workflow.document.fault(code, message, pointer, hint, "warning" if warning else "error")
        )

    def run(self) -> None:
        levels = [_Level(self.workflow.scope, None, ())]
        for level in levels:
            levels.extend(self._scope(level))
        if self.workflow.scope.output is not None:
            plan = make_plan(self.workflow.scope, lenient=True)
            everything = Sight(self.workflow, plan, None, (1 << len(plan.steps)) - 1, ())
            ReferenceCheck(self, everything, None).template(self.workflow.scope.output)

    # -- one scope

    def _scope(self, level: _Level) -> Iterator[_Level]:
        scope = level.scope
        sound = self._links(scope)
        plan = plan_of(scope) if sound else make_plan(scope, lenient=True)
        if sound:
            self._shape(scope, plan)
        for i, step in enumerate(scope.steps):
            sight = Sight(self.workflow, plan, level.outer, plan.ancestors[i], level.names, i)
            self._step(step, sight)
            for slot in step.slots:
                if slot.workflow is not None:
                    self.included.append(slot.workflow)
                if slot.scope is not None:
                    yield _Level(slot.scope, sight, slot.names)

    def _links(self, scope: Scope) -> bool:
        """Whether the links can be made a plan of."""
        index = {step.name: i for i, step in enumerate(scope.steps)}
        sound = True
        for step in scope.steps:
            for link in step.links or ():
                sound = self._link(scope, step, link.source, link.pointer, index) and sound
        return self._acyclic(scope, index) and sound

    def _link(self, scope: Scope, step: Step, source: str, pointer: str, index: Mapping[str, int]) -> bool:
        if scope.independent:
            return False  # the loader has said so
        if source == step.name:
            self.fault("workflow.cycle", f"{step.name!r} waits for itself: {source} → {source}", pointer)
            return False
        if source not in index:
            if source in self.owners:
                hint = "a link joins steps of one list; wait for the container instead"
                self.fault("workflow.unknown_step", f"{source!r} is in another scope than {step.name!r}", pointer, hint)
            else:
                near = nearest(source, index)
                hint = f"did you mean {near!r}?" if near else f"the steps here are {', '.join(list(index)[:12])}"
                self.fault("workflow.unknown_step", f"no step is called {source!r}", pointer, hint)
            return False
        if scope.steps[index[source]].trigger != step.trigger:
            other = scope.steps[index[source]].trigger
            self.fault(
                "workflow.phase",
                f"{step.name!r} ({step.trigger}) cannot wait for {source!r} ({other}): a phase starts when the one before has ended",
                pointer,
                "leave the link out",
            )
            return False
        return True

    def _acyclic(self, scope: Scope, index: Mapping[str, int]) -> bool:
        sources = [
            [index[link.source] for link in step.links or () if link.source in index and link.source != step.name]
            for step in scope.steps
        ]
        cycle = find_cycle([step.name for step in scope.steps], sources)
        if cycle is None:
            return True
        place = scope.steps[index[cycle[0]]].pointer
        self.fault("workflow.cycle", f"these steps wait for one another: {' → '.join(cycle)}", f"{place}/needs")
        return False

    def _shape(self, scope: Scope, plan: Plan) -> None:
        """What is probably not meant: islands, and steps that can never run."""
        body = [scope.steps[i] for i in plan.phases["body"]]
        if scope.independent or len(body) < 2 or is_sequential(scope, body):
            return
        for i in plan.phases["body"]:
            step = scope.steps[i]
            if not plan.links[i] and not plan.targets[i]:
                self.fault("check.island", f"{step.name!r} neither waits for a step nor is waited for", step.pointer, warning=True)
        for phase in PHASES:
            for i in plan.phases[phase]:
                self._reachable(plan, i)

    def _reachable(self, plan: Plan, i: int) -> None:
        hopeless = []
        for link in plan.links[i]:
            source = plan.steps[link.source]
            if not source.active and not (link.names_success or link.accepts & 4):
                hopeless.append(source.name)
        if len(plan.links[i]) - len(hopeless) < plan.needed[i]:
            step = plan.steps[i]
            said = ", ".join(repr(name) for name in hopeless)
            self.fault("check.unreachable", f"{step.name!r} can never run: {said} is inactive", f"{step.pointer}/needs", warning=True)

    # -- one step

    def _step(self, step: Step, sight: Sight) -> None:
        references = ReferenceCheck(self, sight, step)
        for template in _templates(step):
            references.template(template)
        if step.condition is not None:
            references.template(step.condition)
        for link in step.links or ():
            if link.condition is not None:
                references.template(link.condition)
        for slot in step.slots:
            if slot.expression is not None:
                inner = self._inner(slot, step, sight)
                ReferenceCheck(self, inner, step).template(slot.expression)
        if isinstance(step.set_var, str) and step.set_var in self.owners and step.set_var != step.name:
            self.fault("context.reserved", f"{step.set_var!r} is a step's name", f"{step.pointer}/set_var", "choose another name")
        if not references.failed:
            TypeCheck(self, sight, step).run()

    def _inner(self, slot: Slot, step: Step, sight: Sight) -> Sight:
        """An expression that a container keeps may be asked between its children: it sees them."""
        if slot.kind != "expression":
            return sight
        scopes = [other.scope for other in step.slots if other.kind == "step" and other.scope is not None]
        if len(scopes) != 1:
            return sight
        plan = plan_of(scopes[0])
        return Sight(self.workflow, plan, sight, (1 << len(plan.steps)) - 1, slot.names)


def _templates(step: Step) -> Iterator[Template]:
    for value in (step.inputs, step.config, step.timeout_ms, step.deadline_ms):
        if isinstance(value, Template):
            yield value


def _all_steps(scope: Scope) -> Iterator[Step]:
    todo = [scope]
    while todo:
        for step in todo.pop().steps:
            yield step
            todo.extend(slot.scope for slot in step.slots if slot.scope is not None)
