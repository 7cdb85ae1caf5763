"""What one attempt of a container gives and asks, written down, or answered from what was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nodeling.errors import NodelingError
from nodeling.flow import Start
from nodeling_runtime.engine.gate import Gate, strayed
from nodeling_runtime.engine.kept_data import error_data, error_of
from nodeling_runtime.engine.noting import hash_of_given
from nodeling_runtime.expressions.record import to_plain
from nodeling_runtime.values import Value

if TYPE_CHECKING:
    from nodeling_runtime.engine.child import ChildRun
    from nodeling_runtime.engine.journal import Journal


class Recall:
    """The journal of one attempt of one container.

    Its place in the history is the container's, with the number of the attempt from the second one on: a
    container that is tried again starts its children anew.
    """

    def __init__(self, journal: Journal, trail: str, attempt: int) -> None:
        self.journal = journal
        self.trail = trail if attempt == 1 else f"{trail}#{attempt}"
        recorded = journal.recorded
        is_loose = self.trail in recorded.loose
        self.gate = Gate(recorded.children.get(self.trail, ()), is_loose=is_loose)
        self.made = 0
        self._asked: dict[str, int] = {}
        self._trails: set[str] = set()

    def value(self, kind: str, make: Callable[[], Any]) -> Any:
        """The n-th answer of a kind: the one that was given before, else a new one."""
        from nodeling_runtime.engine.failure import engine_error

        number = self._asked[kind] = self._asked.get(kind, -1) + 1
        event = self.journal.recorded.values.get((self.trail, kind, number))
        if event is not None:
            error = error_of(event.data.get("error"))
            if error is not None:
                raise NodelingError(error.message, code=error.code, details=error.details)
            return Value.from_checked(event.value or b"null").fresh()
        data: dict[str, Any] = {"kind": kind, "n": number}
        try:
            value = to_plain(make())
        except NodelingError as error:
            self.journal.note("flow.value", self.trail, {**data, "error": error_data(engine_error(error))})
            raise
        self.journal.note("flow.value", self.trail, data, Value.of(value).data)
        return value

    def unique(self, trail: str) -> str:
        """A child's place in the history, which no other child of this attempt has."""
        found, count = trail, 1
        while found in self._trails:
            count += 1
            found = f"{trail}~{count}"
        self._trails.add(found)
        return found

    def opened(self, child: ChildRun, start: Start) -> None:
        """A child was made: had it ended, and was it given the same?

        Raises:
            NodelingError: It was given something else (`container.nondeterministic`).
        """
        job, log = child.job, child.job.log
        if log is None:
            raise AssertionError("a run with a journal has it everywhere")
        log.of, log.at_once = self, job.done
        self.made += 1
        self.gate.made()
        if job.done:
            return
        recorded = self.journal.recorded
        log.given = hash_of_given(start.vars, start.inputs)
        before = recorded.given.get(job.trail)
        if before is not None and before != log.given:
            raise NodelingError(
                f"{job.trail} was given something else before the run was resumed",
                code="container.nondeterministic",
                hint="a container decides by its inputs and its children, `flow.now()` and `flow.random()`",
            )
        job.answer = recorded.ends.get(job.trail)
        if job.answer is not None or not self.gate.is_open:
            job.gate = self.gate

    def ended(self, child: ChildRun) -> None:
        """A child has ended."""
        log = child.job.log
        if child.job.answer is None and log is not None:
            log.write_end()

    def told(self, child: ChildRun) -> None:
        """Whoever waited for the child knows."""
        if child.job.answer is not None:
            self.gate.answered(child.job.trail)

    def check(self) -> None:
        """The container's code has come to its end.

        Raises:
            NodelingError: It left children out that it had started before.
        """
        if self.gate.missing:
            raise strayed(self.gate.missing)
