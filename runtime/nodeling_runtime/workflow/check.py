"""Whether a workflow makes sense, asked before anything runs: the graph, the references, what fits what.

Pure: it reads the frozen model and nothing else. Every fault is listed with its place; where only a
run can tell, the checker is silent, or warns when it was asked to be strict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nodeling._dataclass import dataclass
from nodeling.errors import Fault
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.workflow.check_links import LinkCheck
from nodeling_runtime.workflow.check_references import ReferenceCheck
from nodeling_runtime.workflow.check_types import TypeCheck
from nodeling_runtime.workflow.model import Scope, Slot, Step, Workflow
from nodeling_runtime.workflow.plan import make_plan, plan_of
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
        check = Check(here, strict)
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
    container: Step | None = None


class Check:
    """One document under way."""

    def __init__(self, workflow: Workflow, strict: bool) -> None:
        self.workflow = workflow
        self.strict = strict
        self.faults: list[Fault] = []
        self.included: list[Workflow] = []
        self.owners: dict[str, Step] = {}
        self.holders: dict[str, str | None] = {}  # the container each step is a child of
        for step, holder in _all_steps(workflow.scope):
            self.owners[step.name], self.holders[step.name] = step, holder

    def fault(
        self,
        code: str,
        message: str,
        pointer: str,
        hint: str | None = None,
        *,
        warning: bool = False,
        key: bool = False,
        inside: int = 0,
    ) -> None:
        """Record one fault."""
        severity = "warning" if warning else "error"
        document = self.workflow.document
        self.faults.append(document.fault(code, message, pointer, hint, severity, key=key, inside=inside))  # type: ignore[arg-type]

    def run(self) -> None:
        """Check every scope, outermost first, then the output."""
        levels = [_Level(self.workflow.scope, None, ())]
        for level in levels:
            levels.extend(self._scope(level))
        if self.workflow.scope.output is not None:
            plan = make_plan(self.workflow.scope, lenient=True)
            everything = Sight(self.workflow, plan, None, (1 << len(plan.steps)) - 1, ())
            ReferenceCheck(self, everything, None).template(self.workflow.scope.output)

    def _scope(self, level: _Level) -> Iterator[_Level]:
        scope = level.scope
        links = LinkCheck(self, scope, level.container)
        sound = links.sound()
        plan = plan_of(scope) if sound else make_plan(scope, lenient=True)
        if sound:
            links.shape(plan)
        for i, step in enumerate(scope.steps):
            sight = Sight(self.workflow, plan, level.outer, plan.ancestors[i], level.names, i)
            self._step(step, sight)
            for slot in step.slots:
                if slot.workflow is not None:
                    self.included.append(slot.workflow)
                if slot.scope is not None:
                    yield _Level(slot.scope, sight, slot.names, step)

    def _step(self, step: Step, sight: Sight) -> None:
        references = ReferenceCheck(self, sight, step)
        for template in _templates(step):
            references.template(template)
        for slot in step.slots:
            if slot.expression is not None:
                inner = self._inner(slot, step, sight)
                ReferenceCheck(self, inner, step).template(slot.expression)
        if isinstance(step.set_var, str) and step.set_var in self.owners and step.set_var != step.name:
            message = f"`set_var` cannot be {step.set_var!r}: that is a step's name"
            self.fault("context.reserved", message, f"{step.pointer}/set_var", "choose another name")
        TypeCheck(self, sight, step).run()

    def _inner(self, slot: Slot, step: Step, sight: Sight) -> Sight:
        """An expression that a container keeps may be asked between its children: it sees them."""
        if slot.kind not in ("expression", "template"):
            return sight
        scopes = [other.scope for other in step.slots if other.kind == "step" and other.scope is not None]
        if len(scopes) != 1:
            return replace(sight, names=(*sight.names, *slot.names))
        plan = make_plan(scopes[0], lenient=True)
        return Sight(self.workflow, plan, sight, (1 << len(plan.steps)) - 1, slot.names)


def _templates(step: Step) -> Iterator[Template]:
    cache_key = None if step.cache is None else step.cache.key
    for value in (step.inputs, step.config, step.timeout_ms, step.deadline_ms, step.condition, cache_key):
        if isinstance(value, Template):
            yield value
    for link in step.links or ():
        if link.condition is not None:
            yield link.condition


def _all_steps(scope: Scope) -> Iterator[tuple[Step, str | None]]:
    """Every step, and the container it is a child of."""
    todo: list[tuple[Scope, str | None]] = [(scope, None)]
    while todo:
        here, holder = todo.pop()
        for step in here.steps:
            yield step, holder
            todo.extend((slot.scope, step.name) for slot in step.slots if slot.scope is not None)
