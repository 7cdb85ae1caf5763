"""The rest of the fault catalogue's frames, by number."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.dispatch.worker.hub import close_all
from worker_calls import Nodes, code, given, with_workers


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


@pytest.fixture(autouse=True)
def leave_nothing() -> object:
    yield
    close_all()


def test_fault_24_an_answer_before_the_whole_request_was_sent_counts_when_its_id_is_known(
    nodes: Nodes,
) -> None:
    spec = nodes.raw(
        """
greeted = json.loads(os.read(0, 65536))
greet(greeted["id"])
buffer, is_answered = b"", False
while data := os.read(0, 65536):
    buffer += data
    while buffer:
        if not is_answered:  # with the first piece of a call, however much of it is still to come
            id = json.loads(buffer[:buffer.index(b',"method"')] + b"}")["id"]
            answer(99999, {"output": "for nobody"})
            answer(id, {"output": b"\\n" not in buffer})
            is_answered = True
        if b"\\n" not in buffer: break
        buffer, is_answered = buffer.partition(b"\\n")[2], False
"""
    )
    early, late = nodes.run(spec, "x" * 4_000_000, "short")
    assert given(early) is True
    assert given(late) is False


def test_fault_27_a_flood_of_frames_is_counted_and_the_latest_progress_is_told(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    if f["method"] == "node/hello": greet(f["id"], ["log", "progress"])
    else:
        for n in range(5000):
            send({"jsonrpc": "2.0", "method": "node/log",
                  "params": {"id": f["id"], "level": "info", "message": str(n)}})
            send({"jsonrpc": "2.0", "method": "node/progress",
                  "params": {"id": f["id"], "progress": n, "total": 5000}})
        answer(f["id"], {"output": 1, "metrics": {"dropped": 7}})
"""
    )
    outcome = nodes.run(spec, 1)[0]
    assert given(outcome) == 1
    reports = [body["progress"] for kind, body in nodes.events if kind == "progress"]
    assert reports[-1] == 4999
    assert len(reports) < 2500
    assert nodes.log[:1000] == [str(n) for n in range(1000)]
    assert outcome.metrics["dropped"] == 7 + 5000 - len(nodes.log) > 7


def test_fault_29_a_node_of_another_name_is_refused(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    node = {"name": "impostor", "version": "1"}
    answer(f["id"], {"protocol": 1, "node": node, "features": [], "max_concurrency": 1})
"""
    )
    outcome = nodes.run(spec, 1)[0]
    assert code(outcome) == 9002
    assert outcome.error is not None
    assert "'impostor'" in outcome.error.message and "'probe'" in outcome.error.message


def test_fault_29_a_process_that_serves_several_nodes_is_known_by_its_list(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    node = {"name": "many", "version": "1"}
    if f["method"] == "node/hello":
        answer(f["id"], {"protocol": 1, "node": node, "nodes": ["other", "probe"]})
    else: answer(f["id"], {"output": f["params"]["node"]})
"""
    )
    assert given(nodes.run(spec, 1)[0]) == "probe"


def test_a_call_that_cannot_be_sent_gives_its_slot_to_the_next(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    if f["method"] == "node/hello": greet(f["id"])
    else: answer(f["id"], {"output": 1})
""",
        runtime={"concurrency": 1},
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        calls = [nodes.call(spec, "x" * 17_000_000), nodes.call(spec, 1), nodes.call(spec, 1)]
        found = await asyncio.gather(*(dispatcher.call(call) for call in calls))
        assert code(found[0]) == 4005
        assert [given(outcome) for outcome in found[1:]] == [1, 1]

    with_workers(work)


def test_more_stray_lines_in_a_minute_than_an_accident_makes_are_a_warning(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    if f["method"] == "node/hello": greet(f["id"])
    else:
        sys.stdout.write("chatter\\n" * f["params"]["input"])
        answer(f["id"], {"output": 1})
"""
    )
    assert [given(one) for one in nodes.run(spec, 1000, 1, 1)] == [1, 1, 1]
    warnings = [body["message"] for _, body in nodes.events if body.get("level") == "warning"]
    assert len(warnings) == 1 and "more than 1000 lines" in warnings[0]
