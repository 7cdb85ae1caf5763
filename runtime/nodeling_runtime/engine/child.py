"""One run of one child of a container: a step, a scope of steps, or a whole other workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nodeling.flow import Child, Start
from nodeling_runtime.blob_values import BlobValue
from nodeling_runtime.engine.context import UNWRITTEN, Delta, Frame, View
from nodeling_runtime.engine.items import UNCHANGEABLE, checked
from nodeling_runtime.engine.names import Parts
from nodeling_runtime.engine.record import StepRecord
from nodeling_runtime.engine.step import StepJob
from nodeling_runtime.values import Value
from nodeling_runtime.workflow.model import Scope, Slot
from nodeling_runtime.workflow.plan import plan_of

if TYPE_CHECKING:
    from nodeling_runtime.engine.flow import FlowHandle
    from nodeling_runtime.engine.scope_job import ScopeJob

ChildStatus = Literal["running", "succeeded", "failed", "skipped", "cancelled"]


class Place(NamedTuple):
    """Where a child stands."""

    path: str  # of its container, with its key; a scope's steps stand below it
    own: str | None  # its own place in the history, where there is one
    inner: str | None  # that of the steps of its scope


class _Ended:
    """Stands where the job of a child was that has ended."""

    done = True

    def end(self, reason: str) -> None:
        """It has."""


ENDED: Any = _Ended()


class ChildRun:
    """What a container holds of a child it started."""

    __slots__ = (
        "_delta",
        "_seen",
        "after",
        "child",
        "cleanup",
        "index",
        "job",
        "record",
        "status",
        "waiters",
    )

    def __init__(self, start: Start, index: int, job: StepJob | ScopeJob) -> None:
        after = start.after
        self.after: Sequence[ChildRun] = after and tuple(after)  # type: ignore[assignment]
        self.waiters: list[asyncio.Future[None]] | None = None
        self.status: ChildStatus = "running"  # until it has ended
        self.child: Child = start.child
        self.cleanup = start.cleanup
        self.index = index
        self.job = job
        self.record = job.record
        self._delta: Delta | None = None  # once it has ended, where nobody asks its job any more
        self._seen: View | None = None

    @property
    def name(self) -> str:
        """The child's step name."""
        return self.child.name

    @property
    def output(self) -> Any:
        """A copy of the child's output; None unless it succeeded."""
        value = self.record.output
        return None if value is None or self.record.status != "succeeded" else value.fresh()

    @property
    def unread(self) -> Any:
        """The same, but what lies in a file is handed on without being read."""
        value = self.record.output
        if value is None or self.status != "succeeded":
            return None
        return value.readable() if isinstance(value, BlobValue) else value.fresh()

    @property
    def error(self) -> dict[str, Any] | None:
        """`{node, index, code, message, attempts, duration_ms}` and what else is known of a failure."""
        record = self.record
        if record.error is None:
            return None
        return {
            "node": record.name,
            "index": self.index,
            **record.error.to_json(),
            "attempts": record.attempts,
            "duration_ms": round(record.duration_ms, 3),
        }

    @property
    def handled(self) -> bool:
        """The child failed and said `on_error: continue`."""
        return self.record.handled

    async def wait(self) -> ChildRun:
        """Wait for its end."""
        if not self.job.done:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiters = [*(self.waiters or ()), future]
            await future
        return self

    def cancel(self, reason: str = "cancelled") -> None:
        """End it, for real."""
        self.job.end(reason)

    # -- the engine's side

    def ended(self) -> None:
        """The job has ended and been counted: whoever waits goes on."""
        if self.waiters is not None:
            for future in self.waiters:
                if not future.done():
                    future.set_result(None)
            self.waiters = None

    def let_go(self) -> None:
        """Keep of a step's job what may still be asked for: there may be very many children."""
        job = self.job
        if job.__class__ is StepJob and job.log is None:
            is_plain = not self.after and self.record.status == "succeeded"
            self._delta = job.delta if is_plain else self._written()
            self._seen, self.job = job.view, ENDED

    def delta(self) -> Delta:
        """Its writes over those of the runs it followed."""
        if self._delta is None:
            self._delta = self._written()
        return self._delta

    def _written(self) -> Delta:
        own = self.job.delta if self.record.status == "succeeded" else self.job.partial
        if not self.after:
            return own
        merged: dict[str, Any] = {}
        for run in self.after:
            merged.update(run.delta())
        merged.update(own)
        return merged

    def history(self) -> set[ChildRun]:
        """The runs whose writes this one has seen."""
        found: set[ChildRun] = set()
        todo = list(self.after)
        while todo:
            run = todo.pop()
            if run not in found:
                found.add(run)
                todo.extend(run.after)
        return found

    def inner_view(self) -> View | None:
        """What a step behind the last one of this child's scope would see."""
        if self._seen is None:
            return self.job.inner_view()
        return self._seen.behind(self.record, self._delta or UNWRITTEN, self.child.handle[1].index)  # type: ignore[index]


def child_of(
    flow: FlowHandle, start: Start, index: int, timeout_ms: float | None, ended: str | None = None
) -> ChildRun:
    """Prepare a child's run: its frame, its path and its job. `ended` says why it shall never start."""
    handle: Any = start.child.handle
    slot, step = handle
    holder = flow.job
    parts = holder.parts if start.error is None else _with_error(holder.parts, start.error)
    key = start.key if start.key is not None else (index or None)
    if step is None:
        job = _job_of_many(flow, slot, start, key, parts, timeout_ms)
    else:
        name = step.name
        tail = f"/{name}" if key is None else f"[{key}]/{name}"
        trail = None if flow.recall is None else flow.recall.unique(f"{flow.recall.trail}{tail}")
        view = flow.views.get(slot)
        if view is None or start.vars or start.after:
            view = _view(flow, slot, start)
        record = StepRecord(f"{holder.record.path}{tail}", name, step.node, step.spec.manifest.flow)
        view.frame.records[step.index] = record
        job = StepJob(holder.engine, step, view, parts, record, timeout_ms, start.inputs, trail)
        if ended is None and (not step.active or step.condition is not None):
            from nodeling_runtime.engine.scope_job import admit_alone

            admit_alone(job)
    if ended is not None:
        job.end(ended)
    return ChildRun(start, index, job)


def _view(flow: FlowHandle, slot: Slot, start: Start) -> View:
    """What a child sees that is a single step. Nobody writes to its frame: what it writes is its own."""
    view = flow.views.get(slot)
    if view is None or start.after:
        if slot.scope is None:
            raise AssertionError("a step slot has a scope")
        view = View(Frame(plan_of(slot.scope), flow.job.view, _seen(start)), 0)
        if not start.after:
            flow.views[slot] = view
    return View(view.frame, 0, UNWRITTEN, UNWRITTEN, _named(start)) if start.vars else view


def _job_of_many(
    flow: FlowHandle, slot: Slot, start: Start, key: Any, parts: Parts, timeout_ms: float | None
) -> Any:
    """The job of a child that has steps of its own."""
    if slot.workflow is not None:
        return _workflow_job(flow, slot, start, flow.place(key, start.child.name, "workflow"), timeout_ms)
    if slot.scope is None:
        raise AssertionError("a step slot has a scope")
    place = flow.place(key, start.child.name, "scope")
    return _scope_job(flow, slot.scope, start, place, parts, timeout_ms)


def _seen(start: Start) -> dict[str, Any]:
    """The writes of the runs that a child follows."""
    base: dict[str, Any] = {}
    for run in start.after:
        base.update(run.delta())  # type: ignore[attr-defined]
    return base


def _named(start: Start) -> dict[str, Any]:
    return {
        key: value if value.__class__ in UNCHANGEABLE else checked(key, value)
        for key, value in start.vars.items()
    }


def _scope_job(
    flow: FlowHandle, scope: Scope, start: Start, place: Place, parts: Parts, timeout_ms: float | None
) -> ScopeJob:
    from nodeling_runtime.engine.scope_job import ScopeJob

    record = StepRecord(place.path, start.child.name, flow.job.step.node, True)
    around = flow.job.view
    if start.vars:
        names = {**around.names, **_named(start)}
        around = View(around.frame, around.visible, around.resolved, around.merged, names)
    frame = Frame(plan_of(scope), around, _seen(start))
    merge = flow.job.step.merge
    return ScopeJob(flow.job.engine, scope, frame, place, parts, record, merge, timeout_ms)


def _workflow_job(
    flow: FlowHandle, slot: Slot, start: Start, place: Place, timeout_ms: float | None
) -> ScopeJob:
    from nodeling_runtime.engine.scope_job import ScopeJob
    from nodeling_runtime.engine.top import parts_of

    if slot.workflow is None:
        raise AssertionError("a workflow slot has a workflow")
    workflow = slot.workflow
    record = StepRecord(place.path, workflow.name, flow.job.step.node, True)
    frame = Frame(plan_of(workflow.scope), None, {})
    body: Any = dict(start.inputs) if start.inputs is not None else {}
    parts = parts_of(flow.job.engine, workflow, {"body": Value.of(body)})
    job = ScopeJob(flow.job.engine, workflow.scope, frame, place, parts, record, None, timeout_ms)
    job.expects(workflow, body)
    return job


def _with_error(parts: Parts, error: Mapping[str, Any]) -> Parts:
    """The parts of `ctx` for a child that handles a failure."""
    details = error.get("details", {})
    seen = {
        "code": error.get("code"),
        "step": details.get("step", error.get("node")),
        "message": error.get("message"),
        "others": details.get("others", []),
    }
    return lambda name: seen if name == "error" else parts(name)
