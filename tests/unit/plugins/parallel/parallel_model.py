"""What `parallel` must do, as a sequential interpreter of its policy: no loop, no task, no lock.

It is told what happens inside the children, and when; it answers who runs now and how each has ended.
Times are in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GRACE_MS = 1_000.0
LATE_MS = 500.0
ENDED = ("succeeded", "failed", "cancelled", "skipped")


@dataclass(frozen=True)
class ChildPlan:
    """A child as its document and its code describe it.

    `on_cancel` is what its code does when it is cancelled: `ends` at once, `raises` something else,
    comes back `late` with a value, or `never` comes back.
    """

    continues: bool = False
    admitted: bool = True
    timeout_ms: float | None = None
    on_cancel: str = "ends"


@dataclass
class Policy:
    """The keys under `execution`, and the bound of the whole run."""

    sequential: bool = False
    fail_fast: bool = True
    max_concurrent: int = 5
    run_limit: int | None = None
    timeout_ms: float | None = None
    global_timeout_ms: float | None = None
    min_success: int = 0
    batch_size: int | None = None

    @property
    def own_bound(self) -> int:
        return 1 if self.sequential else self.max_concurrent

    @property
    def bound(self) -> int:
        return self.own_bound if self.run_limit is None else min(self.own_bound, self.run_limit)


@dataclass
class ChildState:
    """How far a child has come."""

    plan: ChildPlan
    status: str = "pending"
    code: Any = None
    started: float | None = None
    timed_out: bool = False
    leaves_at: float | None = None  # it was told to end, and still holds its slot until then
    given_up: bool = False


@dataclass
class Interpreter:
    """The state of one `parallel` step."""

    policy: Policy
    children: list[ChildState]
    now: float = 0.0
    peak: int = 0
    leaked: int = 0
    reason: str | None = None
    expired: bool = False
    first_failure: int | None = None
    _group: int = 0
    ended: list[int] = field(default_factory=list)

    # -- what is asked

    @property
    def running(self) -> set[int]:
        return {i for i, child in enumerate(self.children) if child.status == "running"}

    @property
    def over(self) -> bool:
        return all(child.status in ENDED for child in self.children)

    def verdict(self) -> tuple[str, Any]:
        """The container's status and the code of its error."""
        if self.reason == "cancelled":
            return "cancelled", None
        if self.expired:
            return "failed", 9005
        if self.policy.fail_fast and self.first_failure is not None:
            return "failed", "container.failed"
        if self.count("succeeded") < self.policy.min_success:
            return "failed", "container.min_success"
        return "succeeded", None

    def count(self, status: str) -> int:
        return sum(1 for child in self.children if child.status == status)

    # -- what happens

    def begin(self) -> None:
        self._fill()

    def finish(self, number: int, *, ok: bool) -> None:
        """A child that was not told to end comes back."""
        self._end(number, "succeeded" if ok else "failed", None if ok else 4000)
        self._fill()

    def cancel(self, reason: str) -> None:
        """End everything."""
        if self.reason is not None:
            return
        self.reason = reason
        for number in sorted(self.running):
            self._tell(number)
        for child in self.children:
            if child.status in ("pending", "taken"):
                child.status = "cancelled"

    def advance(self, ms: float) -> None:
        """Let time pass; whatever is due on the way happens, in its order."""
        until = self.now + ms
        while not self.over:
            due = [item for item in self._due() if item[0] <= until]
            if not due:
                break
            self.now, what, number = min(due)
            if what == "global":
                self.expired = True
                self.cancel("global_timeout")
            elif what == "timeout":
                self.children[number].timed_out = True
                self._tell(number)
            else:
                self._gone(number)
            self._fill()
        self.now = until

    # -- how it goes on

    def _due(self) -> list[tuple[float, str, int]]:
        found = []
        if self.policy.global_timeout_ms is not None and self.reason is None:
            found.append((self.policy.global_timeout_ms, "global", -1))
        for number in self.running:
            child = self.children[number]
            limit = child.plan.timeout_ms or self.policy.timeout_ms
            if child.leaves_at is not None:
                found.append((child.leaves_at, "leaves", number))
            elif limit is not None and child.started is not None:
                found.append((child.started + limit, "timeout", number))
        return found

    def _tell(self, number: int) -> None:
        """A child is told to end; polite ones are gone at once."""
        child = self.children[number]
        if child.leaves_at is not None:
            return
        patience = {"ends": 0.0, "raises": 0.0, "late": LATE_MS, "never": GRACE_MS}[child.plan.on_cancel]
        child.leaves_at = self.now + patience
        if not patience:
            self._gone(number)

    def _gone(self, number: int) -> None:
        child = self.children[number]
        child.given_up = child.plan.on_cancel == "never"
        self.leaked += child.given_up
        if self.reason is not None:
            self._end(number, "cancelled", None)
        else:
            self._end(number, "failed", 9005)

    def _end(self, number: int, status: str, code: Any) -> None:
        child = self.children[number]
        child.status, child.code = status, code
        self.ended.append(number)
        if status == "failed" and not child.plan.continues:
            if self.first_failure is None:
                self.first_failure = number
            if self.policy.fail_fast:
                self.cancel("fail_fast")

    def _fill(self) -> None:
        """Start what the bound lets start, group after group."""
        while self.reason is None:
            members = self._members()
            pending = [i for i in members if self.children[i].status == "pending"]
            busy = [i for i in members if self.children[i].status in ("taken", "running")]
            if not pending and not busy and self._next_group():
                continue
            if not pending or len(busy) >= self.policy.own_bound:
                break
            admitted = self.children[pending[0]].plan.admitted
            self.children[pending[0]].status = "taken" if admitted else "skipped"
        for child in self.children:  # what was taken needs a permit of the run as well
            if child.status == "taken" and len(self.running) < self.policy.bound:
                child.status, child.started = "running", self.now
                self.peak = max(self.peak, len(self.running))

    def _members(self) -> range:
        size = self.policy.batch_size or max(len(self.children), 1)
        return range(self._group * size, min((self._group + 1) * size, len(self.children)))

    def _next_group(self) -> bool:
        size = self.policy.batch_size or max(len(self.children), 1)
        if (self._group + 1) * size >= len(self.children):
            return False
        self._group += 1
        return True
