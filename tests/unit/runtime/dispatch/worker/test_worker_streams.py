"""Chunks: counted, granted one after the other, bounded, and put together."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exec_calls import until
from nodeling_runtime.blob_values import BlobValue
from nodeling_runtime.dispatch.inprocess import InProcessDispatcher
from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.dispatch.worker.hub import close_all
from nodeling_runtime.values import Value
from worker_calls import PATIENT, Nodes, code, given, with_workers

# Sends as many chunks as it is asked for, never more than it was granted; notes how many it sent.
STREAM = """
calls = {}
def go_on(id):
    call = calls[id]
    while call["sent"] < call["n"] and (call["credit"] is None or call["sent"] < call["credit"]):
        send({"jsonrpc": "2.0", "method": "node/chunk",
              "params": {"id": id, "seq": call["sent"], "data": call["sent"]}})
        call["sent"] += 1
    open("sent", "w").write(str(call["sent"]))
    if call["sent"] == call["n"]:
        answer(id, {"output": None, "chunks": call["n"]})
for f in frames():
    p = f.get("params")
    if f["method"] == "node/hello": greet(f["id"], FEATURES, many=4)
    elif f["method"] == "node/credit":
        calls[p["id"]]["credit"] += p["n"]
        go_on(p["id"])
    elif f["method"] == "node/cancel": refuse(p["id"], -32800, "cancelled")
    elif p["input"] == "hello": answer(f["id"], {"output": "hello"})
    else:
        granted = p["_meta"]["stream"]["credit"] if "credit" in FEATURES else None
        calls[f["id"]] = {"n": p["input"], "sent": 0, "credit": granted}
        go_on(f["id"])
"""
WITH_CREDIT = "FEATURES = ['stream', 'credit', 'cancel']\n" + STREAM
WITHOUT = "FEATURES = ['stream', 'cancel']\n" + STREAM


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


@pytest.fixture(autouse=True)
def leave_nothing() -> object:
    yield
    close_all()


class Consumer:
    """Takes chunks when it is let."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.gate = asyncio.Event()

    async def __call__(self, value: Value) -> None:
        await self.gate.wait()
        self.taken.append(value.fresh())


def test_a_slow_consumer_holds_its_node_back_and_no_sibling(nodes: Nodes) -> None:
    spec = nodes.raw(WITH_CREDIT)

    async def work(dispatcher: WorkerDispatcher) -> None:
        consumer = Consumer()
        task = asyncio.ensure_future(dispatcher.call(nodes.call(spec, 100, on_chunk=consumer)))
        assert spec.folder is not None
        sent = spec.folder / "sent"
        await until(lambda: sent.exists() and sent.read_text() == "16")
        for _ in range(20):
            assert given(await dispatcher.call(nodes.call(spec, "hello"))) == "hello"
        assert sent.read_text() == "16"  # not one more than was granted
        assert consumer.taken == []
        consumer.gate.set()
        assert given(await task) == list(range(100))
        assert consumer.taken == list(range(100))

    with_workers(work)


def test_the_answer_waits_for_the_consumer_of_the_last_chunk(nodes: Nodes) -> None:
    spec = nodes.raw(WITH_CREDIT)

    async def work(dispatcher: WorkerDispatcher) -> None:
        consumer = Consumer()
        task = asyncio.ensure_future(dispatcher.call(nodes.call(spec, 3, on_chunk=consumer)))
        await until(lambda: len(nodes.events) == 3)
        assert given(await dispatcher.call(nodes.call(spec, "hello"))) == "hello"
        assert not task.done()
        consumer.gate.set()
        assert given(await task) == [0, 1, 2]
        assert consumer.taken == [0, 1, 2]

    with_workers(work)


def test_a_consumer_that_fails_fails_its_call_alone(nodes: Nodes) -> None:
    spec = nodes.raw(WITH_CREDIT)

    async def refuse(value: Value) -> None:
        raise OSError("the other end is gone")

    async def work(dispatcher: WorkerDispatcher) -> None:
        outcome = await dispatcher.call(nodes.call(spec, 3, on_chunk=refuse))
        assert code(outcome) == "internal"
        assert outcome.error is not None and "the other end is gone" in outcome.error.message
        assert given(await dispatcher.call(nodes.call(spec, "hello"))) == "hello"

    with_workers(work)


def test_a_node_that_heeds_no_credit_is_drained_and_ended_at_the_bound(nodes: Nodes) -> None:
    spec = nodes.raw(WITHOUT)
    bounds = replace(PATIENT, max_stream_buffer=5_000)

    async def work(dispatcher: WorkerDispatcher) -> None:
        slow = asyncio.ensure_future(dispatcher.call(nodes.call(spec, 2_000, on_chunk=Consumer())))
        sibling = asyncio.ensure_future(dispatcher.call(nodes.call(spec, 10)))
        outcome = await slow
        assert code(outcome) == 4005
        assert outcome.error is not None and "chunks" in outcome.error.message
        assert given(await sibling) == list(range(10))
        assert given(await dispatcher.call(nodes.call(spec, "hello"))) == "hello"

    with_workers(work, bounds)


def test_more_chunks_than_were_granted_break_the_protocol(nodes: Nodes) -> None:
    spec = nodes.raw(WITH_CREDIT.replace('call["sent"] < call["credit"]', "True"))
    outcome = nodes.run(spec, 100, on_chunk=_never)[0]
    assert code(outcome) == 9004
    assert outcome.error is not None and "granted" in outcome.error.message


async def _never(value: Value) -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    "chunks", ['call["n"] + 1', "0", '"many"', "True", "None"], ids=["more", "none", "text", "true", "null"]
)
def test_a_result_counts_its_chunks_right_or_breaks_the_protocol(nodes: Nodes, chunks: str) -> None:
    spec = nodes.raw(WITHOUT.replace('"chunks": call["n"]', f'"chunks": {chunks}'))
    outcome = nodes.run(spec, 3)[0]
    assert code(outcome) == 9004
    assert outcome.error is not None and "chunks, and 3 came" in outcome.error.message


def test_a_gap_in_the_numbers_breaks_the_protocol(nodes: Nodes) -> None:
    spec = nodes.raw(WITHOUT.replace('"seq": call["sent"]', '"seq": 2 * call["sent"]'))
    outcome = nodes.run(spec, 3)[0]
    assert code(outcome) == 9004
    assert outcome.error is not None and "chunk 2 where chunk 1 was due" in outcome.error.message


@pytest.mark.parametrize("kind", ["plain", "threads", "async"])
def test_a_python_generator_waits_for_credit_and_the_host_makes_the_list(nodes: Nodes, kind: str) -> None:
    word = "async def" if kind == "async" else "def"
    code_of_node = f"{word} run(ctx, inputs):\n    for i in range(inputs):\n        yield {{'i': i}}\n"
    runtime = {"concurrency": 2} if kind == "threads" else {}
    spec = nodes.python(code_of_node, runtime=runtime)

    async def work(dispatcher: WorkerDispatcher) -> None:
        consumer = Consumer()
        task = asyncio.ensure_future(dispatcher.call(nodes.call(spec, 500, on_chunk=consumer)))
        await until(lambda: len(nodes.events) == 16)
        consumer.gate.set()
        assert given(await task) == [{"i": i} for i in range(500)]
        assert [body["number"] for kind, body in nodes.events if kind == "chunk"] == list(range(500))

    with_workers(work)


@pytest.mark.parametrize("word", ["def", "async def"])
def test_a_generator_in_process_waits_for_its_consumer_too(nodes: Nodes, word: str) -> None:
    code_of_node = f"{word} run(ctx, inputs):\n    for i in range(inputs):\n        yield i\n"
    spec = nodes.python(code_of_node, runtime={"type": "python"})

    async def work() -> None:
        dispatcher = InProcessDispatcher()
        consumer = Consumer()
        task = asyncio.ensure_future(dispatcher.call(nodes.call(spec, 5, on_chunk=consumer)))
        await until(lambda: len(nodes.events) == 1)
        assert given(await dispatcher.call(nodes.call(spec, 2))) == [0, 1]  # which nobody consumes
        assert len(nodes.events) == 3 and not task.done()
        consumer.gate.set()
        assert given(await task) == consumer.taken == list(range(5))
        await dispatcher.close()

    asyncio.run(asyncio.wait_for(work(), 60))


def test_a_large_chunk_travels_as_a_file_and_the_list_refers_to_it(nodes: Nodes) -> None:
    spec = nodes.python(
        "def run(ctx, inputs):\n    yield 'small'\n    yield 'x' * inputs\n    yield 'last'\n"
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        outcome = await dispatcher.call(nodes.call(spec, 2**20))
        assert isinstance(outcome.output, BlobValue)
        assert len(outcome.output.skeleton) < 1000
        assert given(outcome) == ["small", "x" * 2**20, "last"]

    with_workers(work)


def test_a_call_that_is_cancelled_while_its_consumer_waits_ends(nodes: Nodes) -> None:
    spec = nodes.raw(WITH_CREDIT)

    async def work(dispatcher: WorkerDispatcher) -> None:
        task = asyncio.ensure_future(dispatcher.call(nodes.call(spec, 3, on_chunk=Consumer())))
        await until(lambda: len(nodes.events) == 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert given(await dispatcher.call(nodes.call(spec, "hello"))) == "hello"

    with_workers(work)
