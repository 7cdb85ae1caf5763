"""Which step of a scope starts, is skipped or is cancelled when another one ends. Pure.

The scheduler knows no clock, no loop and no values. It is told what ended; it answers with the
steps to start and the steps to cancel, in `starts` and `cancels`, which the caller empties. What
depends on data (link conditions, `if`, write conflicts) it asks of a `Judge`. A step starts at the
moment its join is met: there are no levels and no barriers. Work per event is proportional to the
links that leave the step that ended, and nothing recurses.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, Protocol

from nodeling_runtime.workflow.plan import CANCELLED, FAILED, PHASES, SKIPPED, SUCCEEDED, TERMINAL, Plan, PlanLink

PENDING, RUNNING = 0, 16
ScopeStatus = Literal["succeeded", "failed", "cancelled"]


class Judge(Protocol):
    """Decides what depends on data, and is told of steps that end without having run."""

    def link(self, step: int, number: int) -> bool:
        """Evaluate a link's condition. Raising fails the step."""

    def admit(self, step: int, satisfied: list[int]) -> bool:
        """The join is met: freeze what the step sees and evaluate its `if`. Raising fails the step."""

    def settled(self, step: int, status: int, reason: str | None, error: Exception | None) -> None:
        """A step ended without having run."""

    def phase_begins(self, phase: str) -> None:
        """The phase before is terminal."""


class Scheduler:
    """The state machine of one scope."""

    def __init__(self, plan: Plan, judge: Judge) -> None:
        self.plan = plan
        self.judge = judge
        count = len(plan.steps)
        self.status = [PENDING] * count
        self.reason: list[str | None] = [None] * count
        self.starts: list[int] = []
        self.cancels: list[tuple[int, str]] = []
        self.failures: list[int] = []  # failed steps in order of completion
        self.outcome: ScopeStatus | None = None
        self.cancelled: str | None = None
        self._undecided = [len(links) for links in plan.links]
        self._satisfied: list[list[int]] = [[] for _ in range(count)]
        self._phase = 0
        self._open = 0
        self._ended: deque[int] = deque()
        self._stopping: str | None = None
        self._recovered = False
        self._watched: list[int] = []  # failures that `on_failure: stop` waits for a handler of

    def begin(self) -> None:
        """Start the first phase."""
        self._enter(0)
        self._drain()

    def finish(self, step: int, status: int, reason: str | None = None) -> None:
        """A step that was started has ended."""
        self._end(step, status, reason)
        self._drain()

    def cancel(self, reason: str) -> None:
        """End the scope: nothing but `always` steps starts any more. A second call ends those too."""
        if self.outcome is not None:
            return
        second = self.cancelled is not None
        self.cancelled = self.cancelled or reason
        if PHASES[self._phase] == "always" and not second:
            return
        self._clear(reason, CANCELLED)
        self._drain()

    def handled(self, step: int) -> bool:
        """Whether a failed step's failure is somebody's business already."""
        if self.plan.steps[step].continues:
            return True
        return any(
            self.status[target] == SUCCEEDED
            for target, number in self.plan.targets[step]
            if self.plan.links[target][number].names_failure and number in self._satisfied[target]
        )

    def unhandled(self) -> list[int]:
        """Failures of the scope that nobody handled, in order of completion."""
        return [step for step in self.failures if not self.handled(step)]

    def satisfied_sources(self, step: int) -> list[int]:
        """The sources whose links met the step's join."""
        links = self.plan.links[step]
        return [links[number].source for number in self._satisfied[step]]

    # -- phases

    def _enter(self, phase: int) -> None:
        self._phase = phase
        name = PHASES[phase]
        members = self.plan.phases[name]
        if name == "on_error" and (not self._body_failed() or self.cancelled):
            members = self._pass_over(members)
        if members:
            self.judge.phase_begins(name)
        self._open = len(members)
        for step in members:
            if self.status[step] == PENDING and not self.plan.links[step]:
                self._meet(step)

    def _pass_over(self, members: tuple[int, ...]) -> tuple[int, ...]:
        for step in members:
            self.status[step], self.reason[step] = SKIPPED, "condition"
            self.judge.settled(step, SKIPPED, "condition", None)
        return ()

    def _body_failed(self) -> bool:
        return bool(self.unhandled())

    def _leave(self) -> None:
        """The current phase is terminal: go on to the next, or end."""
        while self._open == 0 and self.outcome is None:
            if PHASES[self._phase] == "on_error":
                self._recovered = self._recovers()
            if self._phase + 1 < len(PHASES):
                self._enter(self._phase + 1)
            else:
                self.outcome = self._judge_scope()

    def _recovers(self) -> bool:
        ran = [s for s in self.plan.phases["on_error"] if self.status[s] in (SUCCEEDED, FAILED, CANCELLED)]
        if not ran or any(self.status[s] != SUCCEEDED for s in ran):
            return False
        return any(self.plan.steps[s].recovers for s in ran)

    def _judge_scope(self) -> ScopeStatus:
        if self.cancelled is not None:
            return "cancelled"
        body = set(self.plan.phases["body"])
        left = [step for step in self.unhandled() if not (self._recovered and step in body)]
        return "failed" if left else "succeeded"

    # -- one step

    def _meet(self, step: int) -> None:
        """The step's join is met: it starts now or never."""
        if not self.plan.steps[step].active:
            self._end(step, SKIPPED, "inactive", told=False)
            return
        try:
            admitted = self.judge.admit(step, self._satisfied[step])
        except Exception as error:  # whatever evaluation raised is the step's failure
            self._end(step, FAILED, None, told=False, error=error)
            return
        if admitted:
            self.status[step] = RUNNING
            self.starts.append(step)
        else:
            self._end(step, SKIPPED, "condition", told=False)

    def _end(
        self, step: int, status: int, reason: str | None, *, told: bool = True, error: Exception | None = None
    ) -> None:
        if self.status[step] & TERMINAL:
            raise AssertionError(f"step {self.plan.steps[step].name!r} ended twice")
        self.status[step], self.reason[step] = status, reason
        if status == FAILED:
            self.failures.append(step)
        if not told:
            self.judge.settled(step, status, reason, error)
        self._open -= 1
        self._ended.append(step)

    def _drain(self) -> None:
        while True:
            while self._ended:
                step = self._ended.popleft()
                for target, number in self.plan.targets[step]:
                    if self.status[target] == PENDING:
                        self._decide(target, number)
                self._consequences(step)
            if self._open or self.outcome is not None:
                return
            self._leave()

    def _decide(self, target: int, number: int) -> None:
        """A link's source is terminal: is the link satisfied, and what of the join?"""
        self._undecided[target] -= 1
        link = self.plan.links[target][number]
        try:
            satisfied = self._accepts(link) and (not link.conditional or self.judge.link(target, number))
        except Exception as error:  # as above
            self._end(target, FAILED, None, told=False, error=error)
            return
        if satisfied:
            self._satisfied[target].append(number)
            if len(self._satisfied[target]) >= self.plan.needed[target]:
                self._meet(target)
                return
        if not self._undecided[target]:
            self._end(target, SKIPPED, "upstream", told=False)

    def _accepts(self, link: PlanLink) -> bool:
        status, reason = self.status[link.source], self.reason[link.source]
        if link.sequential:
            return (
                status == SUCCEEDED
                or (status == SKIPPED and reason in ("condition", "inactive"))
                or (status == FAILED and self.plan.steps[link.source].continues)
            )
        return bool(status & link.accepts) or (link.names_success and reason == "inactive")

    # -- what an ended step does to its scope

    def _consequences(self, step: int) -> None:
        status = self.status[step]
        if PHASES[self._phase] != "body" or self.plan.steps[step].trigger != "body":
            return
        if status == SUCCEEDED and self.plan.steps[step].stops and not self._stopping:
            self._clear("stopped", SKIPPED)
            return
        if not self.plan.stop_on_failure or self._stopping:
            return
        if status == FAILED and not self.plan.steps[step].continues:
            self._watched.append(step)
        if self._watched and any(self._is_lost(failed) for failed in self._watched):
            self._clear("stopped_by", CANCELLED)

    def _is_lost(self, step: int) -> bool:
        """A failure that is not handled, with nobody left who could still handle it."""
        if self.handled(step):
            return False
        return not any(
            self.status[target] in (PENDING, RUNNING)
            for target, number in self.plan.targets[step]
            if self.plan.links[target][number].names_failure
        )

    def _clear(self, reason: str, unstarted: int) -> None:
        """End every step of the current phases that is not terminal."""
        self._stopping = reason
        for name in PHASES[: max(self._phase, 0) + 1]:
            for step in self.plan.phases[name]:
                if self.status[step] == RUNNING:
                    if step in self.starts:
                        self.starts.remove(step)
                        self._end(step, unstarted, reason, told=False)
                    else:
                        self.cancels.append((step, reason))
                elif self.status[step] == PENDING:
                    self._end(step, unstarted, reason, told=False)
