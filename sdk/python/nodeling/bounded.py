"""The bookkeeping that containers of many children share: run them bounded, then report.

What a failure means stays with the container: it hands in `stops`, and judges the report itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from nodeling.errors import NodeError
from nodeling.flow import ChildRun, Flow, Start

__all__ = ["DEFAULT_CONCURRENCY", "Bounded", "failed_first"]

DEFAULT_CONCURRENCY = 5


class Bounded:
    """One bounded run of many children, and the report `{results, errors?, execution_info}`."""

    def __init__(
        self,
        flow: Flow,
        *,
        limit: int = DEFAULT_CONCURRENCY,
        timeout_ms: float | None = None,
        global_timeout_ms: float | None = None,
        strategy: str = "parallel",
        stops: Callable[[ChildRun], str | None] = lambda run: None,
    ) -> None:
        """Open the pool.

        Args:
            flow: The container's flow.
            limit: At most so many children at once; `sequential` means one.
            timeout_ms: For each child that has no timeout of its own.
            global_timeout_ms: For all children together.
            strategy: `parallel` or `sequential`.
            stops: Called with each child as it ends; a reason cancels the rest.
        """
        self._stops = stops
        self._global_timeout_ms = global_timeout_ms
        self._strategy = strategy
        limit = 1 if strategy == "sequential" else limit
        self.pool = flow.pool(
            limit=limit, timeout_ms=timeout_ms, deadline_ms=global_timeout_ms, strategy=strategy
        )
        self.runs: list[ChildRun] = []

    async def run(self, starts: Iterable[Start], group_size: int | None = None) -> list[ChildRun]:
        """Run the children, in groups with a barrier between them when `group_size` is given."""
        rest = iter(starts)
        while True:
            group: Iterable[Start] = rest if group_size is None else list(islice(rest, group_size))
            runs = await self.pool.run(group, settled=self._settled)
            self.runs.extend(runs)
            if group_size is None or not runs:
                return self.runs

    def _settled(self, run: ChildRun) -> None:
        stops = self._stops
        reason = stops(run)
        if reason is not None:
            self.pool.cancel(reason)

    def succeeded(self) -> list[ChildRun]:
        """The children that succeeded, in the order they were given."""
        return [run for run in self.runs if run.status == "succeeded"]

    def report(self, *, unread: bool = False) -> dict[str, Any]:
        """Results in the order given (null where a child gave none), errors, and the engine's counts.

        A container that only hands the results on asks for them `unread`.
        """
        found = [run.unread if unread else run.output for run in self.runs]
        report: dict[str, Any] = {"results": found}
        errors = [run.error for run in self.runs if run.status != "succeeded" and run.error is not None]
        if errors:
            report["errors"] = errors
        report["execution_info"] = self.pool.execution_info(self._strategy)
        return report

    def check_time(self, report: Mapping[str, Any]) -> None:
        """Fail when all children together ran out of time.

        Raises:
            NodeError: They did; what is known goes with it.
        """
        if self.pool.expired:
            limit = self._global_timeout_ms or 0.0
            raise NodeError(
                f"timed out after {limit:.0f} ms",
                code=9005,
                details={"limit": "global_timeout", "limit_ms": limit, **report},
            )

    def check_successes(self, report: Mapping[str, Any], wanted: int) -> None:
        """Fail when fewer children succeeded than were wanted.

        Raises:
            NodeError: Too few did; what is known goes with it.
        """
        info = report["execution_info"]
        if info["completed"] < wanted:
            raise NodeError(
                f"{info['completed']} of {info['total']} children succeeded, {wanted} were wanted",
                code="container.min_success",
                details=report,
            )


def failed_first(failures: Sequence[ChildRun], report: Mapping[str, Any]) -> NodeError:
    """The error of a container that the first failure of a child ended."""
    error = failures[0].error or {}
    return NodeError(
        f"{error.get('node')} failed: {error.get('message')}",
        code="container.failed",
        details={"cause_code": error.get("code"), **report},
    )
