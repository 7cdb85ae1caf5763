"""One run of one child of a container: a step, a scope of steps, or a whole other workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nodeling.flow import Child, Start
from nodeling_runtime.blob_values import BlobValue
from nodeling_runtime.engine.context import Delta, Frame, View
from nodeling_runtime.engine.record import StepRecord
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.values import Value
from nodeling_runtime.workflow.model import Scope, Slot, Step
from nodeling_runtime.workflow.plan import plan_of

if TYPE_CHECKING:
    from nodeling_runtime.engine.flow import FlowHandle
    from nodeling_runtime.engine.scope_job import ScopeJob
    from nodeling_runtime.engine.step import StepJob

ChildStatus = Literal["running", "succeeded", "failed", "skipped", "cancelled"]
Parts = Callable[[str], Any]


class Place(NamedTuple):
    """Where a child stands."""

    path: str  # of its container, with its key; a scope's steps stand below it
    own: str | None  # its own place in the history, where there is one
    inner: str | None  # that of the steps of its scope


class Item:
    """One item of a list that is handed out uncopied: shared, so never shown to a node as it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class ChildRun:
    """What a container holds of a child it started."""

    __slots__ = ("_after", "_delta", "_flow", "_waiters", "child", "cleanup", "index", "job", "record")

    def __init__(self, flow: FlowHandle, start: Start, index: int) -> None:
        self._flow = flow
        self._after: tuple[ChildRun, ...] = tuple(start.after)  # type: ignore[arg-type]
        self._delta: Delta | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self.child: Child = start.child
        self.cleanup = start.cleanup
        self.index = index
        self.job: StepJob | ScopeJob
        self.record: StepRecord

    @property
    def name(self) -> str:
        """The child's step name."""
        return self.child.name

    @property
    def status(self) -> ChildStatus:
        """`running` until it has ended."""
        status = self.record.status
        return status if self.job.done else "running"  # type: ignore[return-value]

    @property
    def output(self) -> Any:
        """A copy of the child's output; None unless it succeeded."""
        value = self.record.output
        return None if value is None or self.record.status != "succeeded" else value.fresh()

    @property
    def unread(self) -> Any:
        """The same, but what lies in a file is handed on without being read."""
        value = self.record.output
        if isinstance(value, BlobValue) and self.record.status == "succeeded":
            return value.readable()
        return self.output

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
            self._waiters = [*(self._waiters or ()), future]
            await future
        return self

    def cancel(self, reason: str = "cancelled") -> None:
        """End it, for real."""
        self.job.end(reason)

    # -- the engine's side

    def finished(self) -> None:
        """The job has ended and been counted."""
        if self._waiters is not None:
            for future in self._waiters:
                if not future.done():
                    future.set_result(None)
            self._waiters = None

    def delta(self) -> Delta:
        """Its writes over those of the runs it followed."""
        if not self._after:
            return self.job.delta if self.record.status == "succeeded" else self.job.partial
        if self._delta is None:
            merged: dict[str, Any] = {}
            for run in self._after:
                merged.update(run.delta())
            merged.update(self.job.delta if self.record.status == "succeeded" else self.job.partial)
            self._delta = merged
        return self._delta

    @property
    def follows(self) -> bool:
        """Whether it has seen the writes of other runs."""
        return bool(self._after)

    def history(self) -> set[ChildRun]:
        """The runs whose writes this one has seen."""
        found: set[ChildRun] = set()
        todo = list(self._after)
        while todo:
            run = todo.pop()
            if run not in found:
                found.add(run)
                todo.extend(run._after)
        return found

    def inner_view(self) -> View | None:
        """What a step behind the last one of this child's scope would see."""
        return self.job.inner_view()


def child_of(
    flow: FlowHandle, start: Start, index: int, timeout_ms: float | None, ended: str | None = None
) -> ChildRun:
    """Prepare a child's run: its frame, its path and its job. `ended` says why it shall never start."""
    handle: Any = start.child.handle
    slot, number, shared = handle
    run = ChildRun(flow, start, index)
    parts = flow.job.parts if start.error is None else _with_error(flow.job.parts, start.error)
    key = start.key if start.key is not None else (index or None)
    if slot.workflow is not None:
        place = flow.place(key, start.child.name, "workflow")
        run.job, run.record = _workflow_job(flow, slot, start, place, timeout_ms)
    elif slot.kind == "step" and slot.scope is not None and not slot.scope.single:
        place = flow.place(key, start.child.name, "scope")
        run.job, run.record = _scope_job(flow, slot, start, place, parts, timeout_ms)
    else:
        place = flow.place(key, start.child.name, "step")
        run.job, run.record = _step_job(flow, slot, number, shared, start, place, parts, timeout_ms, ended)
    if ended is not None:
        run.job.end(ended)
    return run


def _step_job(
    flow: FlowHandle,
    slot: Slot,
    number: int | None,
    shared: dict[str, Any],
    start: Start,
    place: Place,
    parts: Parts,
    timeout_ms: float | None,
    ended: str | None,
) -> tuple[StepJob, StepRecord]:
    scope = slot.scope
    if scope is None:
        raise AssertionError("a step slot has a scope")
    if start.vars or start.after or "frame" not in shared:
        frame = _frame(flow, scope, start)
        if not start.vars and not start.after:
            shared["frame"] = frame
    else:
        frame = shared["frame"]
    step: Step = scope.steps[number or 0]
    path = f"{place.path}/{step.name}"
    record = StepRecord(path, step.name, step.node, container=step.is_container)
    frame.records[step.index] = record
    job = flow.job.beside(step, frame, path, parts, record, timeout_ms, start.inputs, place.own)
    if ended is None and not (step.active and step.condition is None):
        from nodeling_runtime.engine.scope_job import admit_alone

        admit_alone(job)
    return job, record


def _scope_job(
    flow: FlowHandle,
    slot: Slot,
    start: Start,
    place: Place,
    parts: Parts,
    timeout_ms: float | None,
) -> tuple[ScopeJob, StepRecord]:
    from nodeling_runtime.engine.scope_job import ScopeJob

    if slot.scope is None:
        raise AssertionError("a scope slot has a scope")
    record = StepRecord(place.path, start.child.name, flow.job.step.node, container=True)
    frame = _frame(flow, slot.scope, start)
    merge = flow.job.step.merge
    return ScopeJob(flow.job.engine, slot.scope, frame, place, parts, record, merge, timeout_ms), record


def _workflow_job(
    flow: FlowHandle,
    slot: Slot,
    start: Start,
    place: Place,
    timeout_ms: float | None,
) -> tuple[ScopeJob, StepRecord]:
    from nodeling_runtime.engine.scope_job import ScopeJob
    from nodeling_runtime.engine.top import parts_of

    if slot.workflow is None:
        raise AssertionError("a workflow slot has a workflow")
    workflow = slot.workflow
    record = StepRecord(place.path, workflow.name, flow.job.step.node, container=True)
    frame = Frame(plan_of(workflow.scope), None, {}, {})
    body: Any = dict(start.inputs) if start.inputs is not None else {}
    parts = parts_of(flow.job.engine, workflow, {"body": Value.of(body)})
    job = ScopeJob(flow.job.engine, workflow.scope, frame, place, parts, record, None, timeout_ms)
    job.expects(workflow, body)
    return job, record


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


def _frame(flow: FlowHandle, scope: Scope, start: Start) -> Frame:
    base: dict[str, Any] = {}
    for run in start.after:
        base.update(run.delta())  # type: ignore[attr-defined]
    names: Mapping[str, Any] = {key: _checked(key, value) for key, value in start.vars.items()}
    return Frame(plan_of(scope), flow.job.view, base, names)


def _checked(name: str, value: Any) -> Any:
    """A value a container gave its child, decoded from its own bytes so that nobody shares it."""
    if isinstance(value, Item):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list) and value and all(isinstance(item, Item) for item in value):
        return [item.value for item in value]
    try:
        return Value.of(value).shared()
    except ValueError as error:
        raise ExpressionError(f"{name!r} is no JSON value: {error}", code="expr.value") from error
