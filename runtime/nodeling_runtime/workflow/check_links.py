"""Whether the links of a scope lead somewhere, inside one phase, and never in a circle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nodeling.errors import nearest
from nodeling_runtime.workflow.model import Link, Scope, Step
from nodeling_runtime.workflow.plan import PHASES, SKIPPED, Plan, find_cycles, is_sequential

if TYPE_CHECKING:
    from nodeling_runtime.workflow.check import Check

SHOWN_NAMES = 12


class LinkCheck:
    """The links of one scope."""

    def __init__(self, check: Check, scope: Scope, container: Step | None) -> None:
        self.check = check
        self.scope = scope
        self.container = container
        self.index: Mapping[str, int] = {step.name: i for i, step in enumerate(scope.steps)}

    def sound(self) -> bool:
        """Whether the links can be made a plan of; says why not."""
        fine = True
        for step in self.scope.steps:
            for link in step.links or ():
                fine = self._link(step, link) and fine
        return self._acyclic() and fine

    def _link(self, step: Step, link: Link) -> bool:
        if self.scope.independent:
            return False  # the loader has said so
        if link.source == step.name:
            message = f"{step.name!r} waits for itself: {step.name} → {step.name}"
            self.check.fault("workflow.cycle", message, link.pointer, "leave the link out")
            return False
        if link.source not in self.index:
            self._astray(step, link)
            return False
        other = self.scope.steps[self.index[link.source]].trigger
        if other != step.trigger:
            message = f"{step.name!r} ({step.trigger}) cannot wait for {link.source!r} ({other})"
            hint = "leave the link out: a phase starts when the one before has ended"
            self.check.fault("workflow.phase", message, link.pointer, hint)
            return False
        return True

    def _astray(self, step: Step, link: Link) -> None:
        """A link to a step that is not in this list."""
        source, holder = link.source, self.check.holders.get(link.source)
        if source in self.check.owners:
            message = f"{source!r} is in another list of steps than {step.name!r}"
            hint = "a link joins steps of one list"
            if holder is not None and holder in self.index:
                hint += f"; wait for {holder!r}, which holds it"
            elif self.container is not None and holder is None:
                hint += f"; put it on {self.container.name!r}, which holds this step"
        else:
            message = f"no step is called {source!r}"
            near = nearest(source, self.index)
            others = [name for name in self.index if name != step.name][:SHOWN_NAMES]
            hint = f"did you mean {near!r}?" if near else f"the steps here are {', '.join(others)}"
        self.check.fault("workflow.unknown_step", message, link.pointer, hint)

    def _acyclic(self) -> bool:
        """Whether no step waits for itself in the end; one circle of each knot is said."""
        index, steps = self.index, self.scope.steps
        sources = [
            [
                index[link.source]
                for link in step.links or ()
                if link.source in index and link.source != step.name
            ]
            for step in steps
        ]
        cycles = find_cycles(sources)
        for cycle in cycles:
            walk = _shown([steps[i].name for i in (*cycle, cycle[0])])
            last = steps[cycle[-1]].name
            closing = next(link for link in steps[cycle[0]].links or () if link.source == last)
            message = f"these steps wait for one another: {' → '.join(walk)}"
            self.check.fault("workflow.cycle", message, closing.pointer, "leave one of these links out")
        return not cycles

    # -- what is probably not meant

    def shape(self, plan: Plan) -> None:
        """Warn of islands, and of steps that can never run."""
        scope = self.scope
        body = [scope.steps[i] for i in plan.phases["body"]]
        if scope.independent or len(body) < 2 or is_sequential(scope, body):
            return
        is_fan = not any(plan.links[i] for i in plan.phases["body"])  # all at once: meant so
        for i in () if is_fan else plan.phases["body"]:
            if not plan.links[i] and not plan.targets[i]:
                step = scope.steps[i]
                message = f"{step.name!r} neither waits for a step nor is waited for"
                self.check.fault("check.island", message, step.pointer, warning=True)
        for phase in PHASES:
            for i in plan.phases[phase]:
                self._reachable(plan, i)

    def _reachable(self, plan: Plan, i: int) -> None:
        hopeless = []
        for link in plan.links[i]:
            source = plan.steps[link.source]
            if not source.active and not (link.names_success or link.accepts & SKIPPED):
                hopeless.append(source.name)
        if len(plan.links[i]) - len(hopeless) < plan.needed[i]:
            step = plan.steps[i]
            said = ", ".join(repr(name) for name in hopeless)
            message = f"{step.name!r} can never run: {said} is inactive"
            self.check.fault("check.unreachable", message, f"{step.pointer}/needs", warning=True)


def _shown(walk: list[str]) -> list[str]:
    """A circle for one line: both ends of a long one."""
    hidden = len(walk) - SHOWN_NAMES
    return walk if hidden <= 1 else [*walk[: SHOWN_NAMES - 2], f"… {hidden} more …", *walk[-2:]]
