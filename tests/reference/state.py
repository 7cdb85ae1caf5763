"""What is known of a run at one moment: steps inside scopes, and who is whose ancestor.

These objects only remember. Every decision is in the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from reference.model import Json, Link, Step
from reference.rules import HANDLING_WORD, TERMINAL, Code

PHASES = ("body", "on_error", "always")
Writes = dict[str, Json]
Outcome = Literal["succeeded", "failed", "cancelled"]


@dataclass(eq=False, slots=True)
class LinkState:
    """A link and what became of it; an implicit link has no `link`."""

    source: StepState
    link: Link | None
    state: Literal["met", "unmet", "raised"] | None = None

    def names_failure(self) -> bool:
        return self.link is not None and HANDLING_WORD in self.link.on


@dataclass(eq=False, slots=True)
class StepState:
    """One step of the run, from pending to its end."""

    spec: Step
    path: str
    scope: ScopeState
    order: int
    links: list[LinkState] = field(default_factory=list)
    ancestors: list[StepState] = field(default_factory=list)

    status: str = "pending"
    reason: str | None = None
    attempts: int = 0
    code: Code | None = None
    limit: str | None = None

    ready_ms: int | None = None
    ready_seq: int = 0
    ready_round: int = 0
    decided_ms: int | None = None
    decided_round: int = 0
    started_ms: int | None = None
    ended_ms: int | None = None
    ended_round: int = 0

    attempt_end_at: int | None = None
    timeout_at: int | None = None
    deadline_at: int | None = None
    retry_at: int | None = None

    frozen: list[LinkState] = field(default_factory=list)
    base: Writes = field(default_factory=dict)
    delta: Writes = field(default_factory=dict)
    failed_delta: Writes = field(default_factory=dict)
    resolved: Writes = field(default_factory=dict)

    holds_permit: bool = False
    inner: list[ScopeState] = field(default_factory=list)
    ending: str | None = None
    expired: str | None = None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    def clear_timers(self) -> None:
        self.attempt_end_at = self.timeout_at = self.deadline_at = self.retry_at = None


@dataclass(eq=False, slots=True)
class ScopeState:
    """One list of steps with its phases; `role` says which list of its owner it is."""

    owner: StepState | None
    role: Literal["run", "steps", "nodes", "try", "catch", "finally"]
    on_failure: str
    base: Writes
    steps: list[StepState] = field(default_factory=list)
    phase: str = "body"
    cancelled: str | None = None
    stopped: bool = False
    recovered: bool = False
    outcome: Outcome | None = None
    code: Code | None = None
    delta: Writes = field(default_factory=dict)

    def in_phase(self, phase: str | None = None) -> list[StepState]:
        """The steps of a phase, by default of the current one."""
        return [step for step in self.steps if step.spec.trigger == (phase or self.phase)]


def is_ordered(specs: Iterable[Step]) -> bool:
    """Whether no step among these has the key `needs`."""
    return all(spec.needs is None for spec in specs)


def open_scope(scope: ScopeState, specs: Sequence[Step], prefix: str, first_order: int) -> None:
    """Fill a scope with its steps, their links and their ancestors."""
    for offset, spec in enumerate(specs):
        scope.steps.append(StepState(spec, f"{prefix}{spec.name}", scope, first_order + offset))
    if scope.role == "nodes":
        return
    by_name = {step.spec.name: step for step in scope.steps}
    for phase in PHASES:
        members = scope.in_phase(phase)
        in_order = is_ordered(specs if phase == "body" else [step.spec for step in members])
        for position, step in enumerate(members):
            if in_order:
                step.links = [LinkState(members[position - 1], None)] if position else []
            else:
                step.links = [LinkState(by_name[link.step], link) for link in step.spec.needs or ()]
    for step in scope.steps:
        step.ancestors = _ancestors(step)


def _ancestors(step: StepState) -> list[StepState]:
    """Everything reachable against the links, and for a handler all of the earlier phases."""
    earlier = PHASES[: PHASES.index(step.spec.trigger)]
    found = {other for other in step.scope.steps if other.spec.trigger in earlier}
    waiting = [link.source for link in step.links]
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            waiting.extend(link.source for link in source.links)
    return sorted(found, key=lambda other: other.order)
