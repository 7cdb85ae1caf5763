"""What a step leaves in the context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nodeling_runtime.dispatch.base import Outcome
from nodeling_runtime.engine.context import Delta, Write, join_deltas
from nodeling_runtime.values import Value

if TYPE_CHECKING:
    from nodeling_runtime.engine.step import StepJob


def writes_of(job: StepJob, output: Value, written: Mapping[str, bytes | None]) -> Delta:
    """What a step that succeeded wrote: what it settled, what its children wrote, its node, its output.

    Raises:
        ConflictError: Children wrote different values under one key.
    """
    step = job.step
    name, index = step.name, step.index
    writes = {key: Write(index, write.data, write.who) for key, write in job.view.merged.items()}
    if job.flow is not None:
        adopted = join_deltas(job.flow.adopted(), step.merge)
        writes.update({key: Write(index, write.data, write.who) for key, write in adopted.items()})
    writes.update({key: Write(index, data, name) for key, data in written.items()})
    if isinstance(step.set_var, str):
        data = output.data
        job.engine.blobs.pin(data)
        writes[step.set_var] = Write(index, data, name)
    return writes


def left_behind(job: StepJob, outcome: Outcome) -> Delta:
    """What a failed attempt wrote, and what the children wrote that its container let out."""
    writes: dict[str, Write] = {} if job.flow is None else join_deltas(job.flow.adopted(), "last")
    own = {key: Write(job.step.index, data, job.step.name) for key, data in outcome.delta.items()}
    return {**writes, **own}
