"""Scopes for tests of the pure parts: steps that only have links and policies."""

from __future__ import annotations

from typing import Any

from nodeling_runtime.engine.scheduler import Scheduler
from nodeling_runtime.workflow.model import Link, Scope, Step
from nodeling_runtime.workflow.plan import Plan, make_plan
from nodeling_runtime.workflow.steps import UNKNOWN


def link(source: str, *on: str) -> Link:
    """A link, by default for success."""
    return Link(source, frozenset(on or ("success",)), None, "")


def plan(*steps: tuple[str, dict[str, Any]], ordered: bool = False, stop_on_failure: bool = False) -> Plan:
    """The plan of steps given by name and keys; `needs` holds links or names."""
    made = []
    for index, (name, keys) in enumerate(steps):
        given = dict(keys)
        needs = given.pop("needs", None)
        links = None if needs is None else tuple(link(n) if isinstance(n, str) else n for n in needs)
        made.append(Step(name=name, index=index, node="n", spec=UNKNOWN, pointer="", links=links, **given))
    return make_plan(Scope(tuple(made), "", ordered, stop_on_failure=stop_on_failure))


class Counting:
    """A judge that admits everything and counts what it is asked and told."""

    def __init__(self) -> None:
        self.asked = 0
        self.told: list[tuple[int, int, str | None]] = []
        self.phases: list[str] = []

    def link(self, step: int, number: int) -> bool:
        self.asked += 1
        return True

    def admit(self, step: int, satisfied: list[int]) -> bool:
        self.asked += 1
        return True

    def settled(self, step: int, status: int, reason: str | None, error: Exception | None) -> None:
        self.told.append((step, status, reason))

    def phase_begins(self, phase: str) -> None:
        self.phases.append(phase)


def started(scheduler: Scheduler) -> list[str]:
    """Take what the scheduler wants started, by name."""
    names = [scheduler.plan.steps[step].name for step in scheduler.starts]
    scheduler.starts.clear()
    return names
