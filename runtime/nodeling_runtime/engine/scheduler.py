"""Which step of a scope starts, is skipped or is cancelled when another one ends. Pure.

The scheduler knows no clock, no loop and no values. It is told what ended; it answers with the
steps to start and the steps to cancel, in `starts` and `cancels`, which the caller empties. What
depends on data (link conditions, `if`, write conflicts) it asks of a `Judge`. A step starts at the
moment its join is met: there are no levels and no barriers. Within one moment the order is: the links
of what ended, `stop`, `on_failure: stop`, then joins, so that nothing starts which the same end calls
off. Work per event is proportional to the links of the step that ended, and nothing recurses.

Under `on_failure: suspend` a failure that nobody takes up is held: what it links to waits. When nothing runs
any more the body is at rest; its `on_error` steps run, and then the scope stands still until it is told to
end, or until whoever drives it begins again with the held steps undone.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, Protocol

from nodeling_runtime.workflow.plan import (
    CANCELLED,
    FAILED,
    PHASES,
    SKIPPED,
    SUCCEEDED,
    TERMINAL,
    Plan,
    PlanLink,
)

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
        self.cancels: list[tuple[int, str, int]] = []  # step, reason, status if it has not begun
        self.failures: list[int] = []  # failed steps in order of completion
        self.outcome: ScopeStatus | None = None
        self.suspends = False  # whether a failure nobody takes up is held
        self.at_rest = False  # nothing happens any more, because of what is held
        self.cancelled: str | None = None
        self.recovered = False
        self._final: set[int] = set()
        self._undecided = [len(links) for links in plan.links]
        self._satisfied: list[dict[int, None]] = [{} for _ in range(count)]  # numbers of links, in order
        self._phase = 0
        self._open = 0
        self._running = 0
        self._held: list[int] = []  # failures whose links are not decided
        self._rests = False  # the body is at rest, and what runs now are its `on_error` steps
        self._was_stirred = False
        self._ended: deque[int] = deque()
        self._ripe: list[int] = []  # pending steps whose join is decided
        self._doubtful: list[int] = []  # failures that may have become nobody's under `on_failure: stop`
        self._stop_reached = False
        self._cleared = False
        self._hurried = False

    def begin(self) -> None:
        """Start the first phase."""
        self._enter(0)
        self._drain()

    def finish(self, step: int, status: int, reason: str | None = None, *, final: bool = False) -> None:
        """A step that was started has ended; `final`: it stops its scope, or nothing handles its failure."""
        if final:
            self._final.add(step)
        self._running -= 1
        self._end(step, status, reason)
        self._drain()

    def stop(self) -> None:
        """End the body early and in order, as a step with `stop` does."""
        if self.outcome is None and PHASES[self._phase] == "body" and not self._cleared:
            self._stop_reached = True
            self._drain()

    def cancel(self, reason: str) -> None:
        """End the scope: nothing but `always` steps starts any more."""
        if self.outcome is not None or self.cancelled is not None:
            return
        self.cancelled = reason
        self._stir()
        if PHASES[self._phase] != "always":
            self._clear(reason, CANCELLED)
            self._drain()

    def hurry(self, reason: str) -> None:
        """End the scope, its `always` steps too."""
        if self.outcome is None:
            self.cancelled = self.cancelled or reason
            self._hurried = True
            self._stir()
            self._clear(reason, CANCELLED)
            self._drain()

    def handled(self, step: int) -> bool:
        """Whether a failed step's failure is somebody's business already."""
        return step not in self._final and (
            self.plan.steps[step].continues or self._is_taken_up(step, SUCCEEDED)
        )

    def unhandled(self) -> list[int]:
        """Failures of the scope that nobody handled, in order of completion."""
        return [step for step in self.failures if not self.handled(step)]

    def lost(self) -> list[int]:
        """Failures that the scope is suspended for: not handled, and not meant to be final by a node."""
        return [step for step in self.unhandled() if step not in self._final]

    def is_held(self, step: int) -> bool:
        """Whether what a failed step links to waits for it."""
        return step in self._held

    def forgiven(self, step: int) -> bool:
        """Whether a failure did the scope no harm: it was handled, or the scope recovered from it."""
        recovered = self.recovered and self.plan.steps[step].trigger == "body" and step not in self._final
        return recovered or self.handled(step)

    def satisfied_sources(self, step: int) -> list[int]:
        """The sources whose links met the step's join."""
        links = self.plan.links[step]
        return [links[number].source for number in self._satisfied[step]]

    # -- phases

    def _enter(self, phase: int) -> None:
        self._phase = phase
        name = PHASES[phase]
        members = self.plan.phases[name]
        if name == "on_error" and (self.cancelled or not self.unhandled()):
            members = self._pass_over(members, SKIPPED, "upstream")
        elif name == "always" and self._hurried:
            members = self._pass_over(members, CANCELLED, self.cancelled)
        if members:
            self.judge.phase_begins(name)
        self._open = len(members)
        self._ripe.extend(step for step in members if not self.plan.links[step])

    def _pass_over(self, members: tuple[int, ...], status: int, reason: str | None) -> tuple[int, ...]:
        for step in members:
            if self.status[step] == PENDING:  # the handlers of a body that was at rest have run
                self.status[step], self.reason[step] = status, reason
                self.judge.settled(step, status, reason, None)
        return ()

    def _leave(self) -> None:
        """The current phase is terminal, or stands still: go on to the next, or end."""
        if self._rests:
            self.at_rest = True
            return
        if self.suspends and self._may_rest():
            self._rests = True
            self._enter(PHASES.index("on_error"))
            return
        while self._open == 0 and self.outcome is None:
            if PHASES[self._phase] == "on_error":
                self.recovered = self._recovers()
            if self._phase + 1 < len(PHASES):
                self._enter(self._phase + 1)
            else:
                self.outcome = self._judge_scope()

    def _recovers(self) -> bool:
        ran = [s for s in self.plan.phases["on_error"] if self.status[s] in (SUCCEEDED, FAILED, CANCELLED)]
        if self.cancelled is not None or any(self.status[s] != SUCCEEDED for s in ran):
            return False
        return any(self.plan.steps[s].recovers for s in ran)

    def _judge_scope(self) -> ScopeStatus:
        if self.cancelled is not None:
            return "cancelled"
        return "succeeded" if all(map(self.forgiven, self.failures)) else "failed"

    # -- standing still

    def _may_rest(self) -> bool:
        """Whether the body waits for what failed in it, rather than being over."""
        is_body = PHASES[self._phase] == "body" and not (self._rests or self._cleared)
        return is_body and self.cancelled is None and bool(self.lost())

    def _holds(self, ended: int) -> bool:
        """Whether a failure is held: no step of the body is there to take it up."""
        if PHASES[self._phase] != "body" or self._cleared or ended in self._final:
            return False
        return not self.plan.steps[ended].continues and not any(
            self.plan.links[target][number].names_failure for target, number in self.plan.targets[ended]
        )

    def _stir(self) -> None:
        """The scope is to end while its body is at rest: that is what ends, with the handlers that run."""
        if not self._rests:
            return
        self._rests = self.at_rest = False
        self._was_stirred = True
        self._phase = 0
        self._pass_over(self.plan.phases["on_error"], SKIPPED, "upstream")
        waiting = sum(self.status[step] == PENDING for step in self.plan.phases["body"])
        self._open = waiting + len(self._handlers_at_work())

    def _handlers_at_work(self) -> list[int]:
        return [step for step in self.plan.phases["on_error"] if self.status[step] == RUNNING]

    # -- one moment

    def _drain(self) -> None:
        """Let what ended have its effects, one kind after the other, until nothing follows any more."""
        while True:
            while self._ended:
                self._decide_links(self._ended.popleft())
            if self._stop_reached or self._doubtful:
                self._call_off()
            elif self._ripe:
                ripe, self._ripe = self._ripe, []
                if len(ripe) > 1:
                    ripe.sort()
                for step in ripe:
                    if self.status[step] == PENDING:
                        self._join(step)
            elif self.outcome is not None or self.at_rest:
                return
            elif self._open and (self._running or not self._held or not self._may_rest()):
                return
            else:
                self._leave()

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

    def _decide_links(self, ended: int) -> None:
        """Decide the links that leave a step which ended, and note what its end may call off."""
        if self.suspends and self.status[ended] == FAILED and self._holds(ended):
            self._held.append(ended)
            return
        for target, number in self.plan.targets[ended]:
            if self.status[target] == PENDING:
                self._decide(target, number)
        if PHASES[self._phase] != "body" or self._cleared:
            return
        if self.status[ended] == SUCCEEDED and (self.plan.steps[ended].stops or ended in self._final):
            self._stop_reached = True
        if self.plan.stop_on_failure:
            if self.status[ended] == FAILED:
                self._doubtful.append(ended)
            self._doubtful.extend(
                link.source
                for link in self.plan.links[ended]
                if link.names_failure and self.status[link.source] == FAILED
            )

    def _decide(self, target: int, number: int) -> None:
        """A link's source is terminal: is the link satisfied, and what of the join?"""
        self._undecided[target] -= 1
        link = self.plan.links[target][number]
        try:
            satisfied = self._accepts(link) and (not link.conditional or self.judge.link(target, number))
        except Exception as error:  # whatever evaluation raised is the step's failure
            self._end(target, FAILED, None, told=False, error=error)
            return
        if satisfied:
            self._satisfied[target][number] = None
        if not self._undecided[target] or len(self._satisfied[target]) >= self.plan.needed[target]:
            self._ripe.append(target)

    def _accepts(self, link: PlanLink) -> bool:
        status, reason = self.status[link.source], self.reason[link.source]
        if link.sequential:
            return (
                status == SUCCEEDED
                or (status == SKIPPED and reason in ("condition", "inactive"))
                or (status == FAILED and self.plan.steps[link.source].continues)
            )
        return bool(status & link.accepts) or (link.names_success and reason == "inactive")

    def _join(self, step: int) -> None:
        """The step's join is decided: it starts now or never."""
        if len(self._satisfied[step]) < self.plan.needed[step]:
            self._end(step, SKIPPED, "upstream", told=False)
            return
        if not self.plan.steps[step].active:
            self._end(step, SKIPPED, "inactive", told=False)
            return
        try:
            admitted = self.judge.admit(step, list(self._satisfied[step]))
        except Exception as error:  # as above
            self._end(step, FAILED, None, told=False, error=error)
            return
        if admitted:
            self.status[step] = RUNNING
            self._running += 1
            self.starts.append(step)
        else:
            self._end(step, SKIPPED, "condition", told=False)

    # -- what an ended step does to its scope

    def _call_off(self) -> None:
        """End the body when a step with `stop` succeeded, or when a failure is nobody's business."""
        doubtful, self._doubtful = self._doubtful, []
        if self._stop_reached:
            self._stop_reached = False
            self._clear("stopped", SKIPPED)
        elif not self._cleared and any(self._is_lost(step) for step in doubtful):
            self._clear("stopped_by", CANCELLED)

    def _is_lost(self, step: int) -> bool:
        """A failure that is not handled, with nobody left who could still handle it."""
        return not self.handled(step) and not self._is_taken_up(step, PENDING, RUNNING)

    def _is_taken_up(self, step: int, *statuses: int) -> bool:
        """Whether a failure link of this step is satisfied whose target has one of these statuses."""
        return any(
            self.status[target] in statuses
            and number in self._satisfied[target]
            and self.plan.links[target][number].names_failure
            for target, number in self.plan.targets[step]
        )

    def _clear(self, reason: str, unstarted: int) -> None:
        """End every step of the current phase that is not terminal."""
        self._cleared = True
        called_off = set(self.starts)
        self._running -= len(called_off)
        self.starts.clear()
        members = self.plan.phases[PHASES[self._phase]]
        if self._was_stirred:
            members = (*members, *self._handlers_at_work())
        for step in members:
            if self.status[step] == PENDING or step in called_off:
                self._end(step, unstarted, reason, told=False)
            elif self.status[step] == RUNNING:
                self.cancels.append((step, reason, unstarted))
