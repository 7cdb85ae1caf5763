"""Calls to a warm worker through the host's own transport, as every contestant of that kind makes them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from nodeling.worker_context import SentSource
from nodeling_runtime.blob_values import RunBlobs
from nodeling_runtime.dispatch.base import NodeCall
from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.values import Value

BLOBS = RunBlobs()  # of the one run that all these calls are taken to belong to


def rows_of(size: int) -> list[dict[str, Any]]:
    """Small records, `size` bytes of JSON in all or a little more."""
    rows: list[dict[str, Any]] = []
    while len(json.dumps(rows)) < size:
        many = max(1, (size - len(json.dumps(rows))) // 100)
        rows.extend({"id": len(rows) + i, "name": f"row {i}", "ok": True} for i in range(many))
    return rows


def call_of(spec: NodeSpec, inputs: Value) -> NodeCall:
    """One call, as the engine would make it."""
    return NodeCall(
        spec=spec,
        inputs=inputs,
        config={},
        secrets={},
        source=SentSource({}, ()),
        emit=lambda _kind, _body: None,
        run_id="run",
        step="echo",
        attempt=1,
        idempotency_key=lambda: "key",
        deadline=None,
        work_root=lambda: "",
        blobs=BLOBS,
    )


async def transport(
    dispatcher: WorkerDispatcher, spec: NodeSpec, inputs: Any, count: int, at_once: int = 1
) -> float:
    """Microseconds a call: inputs encoded, output decoded."""
    numbers = iter(range(count))

    async def slot() -> None:
        for _ in numbers:
            outcome = await dispatcher.call(call_of(spec, Value.of(inputs)))
            if outcome.output is None:
                raise RuntimeError(outcome.error)
            outcome.output.shared()

    began = time.perf_counter()
    if at_once == 1:
        await slot()
    else:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(slot())
    return (time.perf_counter() - began) / count * 1e6
