"""A node's call in full: what those are given who run nodes elsewhere, or nodes that look around."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nodeling_runtime.dispatch.base import NodeCall
from nodeling_runtime.engine.source import StepSource
from nodeling_runtime.values import Value

if TYPE_CHECKING:
    from nodeling_runtime.engine.step import StepJob
    from nodeling_runtime.engine.team import Slot


def call_in_full(job: StepJob, inputs: Value) -> NodeCall:
    """The call. Its time begins now, or when a worker takes it, whose wait has its own bounds."""
    step, engine, slot, limit = job.step, job.engine, job.slot, job.limit_ms
    spec = step.spec
    if slot is None:
        raise AssertionError("an attempt is made by a worker")
    if spec.manifest.flow:
        from nodeling_runtime.engine.flow import FlowHandle

        job.flow = FlowHandle(job, job.keys or {})
    path, mine = job.path, job.generation

    def emit(kind: str, data: dict[str, Any]) -> None:
        if mine != job.generation or job.done:  # what was given up is heard no more
            return
        if kind == "end_scope":
            job.ending_scope = (data["how"], data["target"])
            return
        if kind == "log" and job.log is not None:
            job.log.journal.note_log(job.trail, data)
        engine.events.emit(f"step.{kind}", path, **data)

    call = NodeCall(
        spec,
        inputs,
        job.config,
        engine.secrets_for(step),
        StepSource(job.view, job.part, engine.step_names, spec.manifest.reads),
        emit,
        engine.id,
        step.name,
        job.record.attempts,
        job.key,
        None,  # its deadline is known from the hand-over on
        engine.work_root,
        job.flow,
        None,
        engine.blobs,
    )
    if spec.runs_in == "worker":
        call.handed_over = partial(_begin, call, job, slot, limit)
    else:
        _begin(call, job, slot, limit)
    return call


def _begin(call: NodeCall, job: StepJob, slot: Slot, limit: float | None) -> None:
    """Its time begins."""
    if limit is not None:
        slot.set(job.engine.clock() + limit / 1_000, job)
    call.deadline = _epoch_deadline(job, limit)


def _epoch_deadline(job: StepJob, limit_ms: float | None) -> float | None:
    """The earliest of all the ends that this attempt has, in seconds since the epoch."""
    left = None if limit_ms is None else limit_ms / 1_000
    deadline = None if job.guards is None else job.guards.deadline
    if deadline is not None:
        rest = deadline.when() - job.engine.clock()
        left = rest if left is None else min(left, rest)
    rest_of_run = job.engine.remaining()
    if rest_of_run is not None:
        left = rest_of_run if left is None else min(left, rest_of_run)
    return None if left is None else job.engine.now() + left
