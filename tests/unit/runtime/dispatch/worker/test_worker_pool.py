"""Workers that stay warm, are replaced in time, and never mix anything up."""

from __future__ import annotations

import asyncio
import collections
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exec_calls import Source, is_alive, until
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.dispatch.worker.hub import close_all
from worker_calls import PATIENT, Nodes, code, given, with_workers

PID = "import os\ndef run(ctx, inputs):\n    return os.getpid()\n"


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


@pytest.fixture(autouse=True)
def leave_nothing() -> Iterator[None]:
    yield
    close_all()


def test_a_worker_is_warm_between_calls_and_between_runs(nodes: Nodes) -> None:
    spec = nodes.python(PID)
    pids = [given(outcome) for outcome in nodes.run(spec, 1, 2) + nodes.run(spec, 3)]
    assert len(set(pids)) == 1


def test_a_worker_imports_little_before_its_first_call_and_orjson_after_it(nodes: Nodes) -> None:
    spec = nodes.python("import sys\ndef run(ctx, inputs):\n    return sorted(sys.modules)\n")
    hashes = ["1e100", "0" * 300, "9" * 16]  # which only look like large numbers
    outcomes = nodes.run(spec, hashes, *range(50))
    slow = {"asyncio", "collections", "dataclasses", "enum", "inspect", "json", "orjson", "pathlib", "re"}
    slow |= {"threading", "traceback", "typing", "uuid", "hashlib", "tempfile"}
    found = slow & set(given(outcomes[0]))
    assert found <= _imported_by_site()
    assert "orjson" in given(outcomes[-1])


def _imported_by_site() -> set[str]:
    """What stands in `sys.modules` here before any code runs: site-packages may hold what imports more."""
    command = [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_a_changed_file_gets_a_fresh_worker_in_the_next_run(nodes: Nodes) -> None:
    first = given(nodes.run(nodes.python("def run(ctx, inputs):\n    return 'old'\n"), 1)[0])
    second = given(nodes.run(nodes.python("def run(ctx, inputs):\n    return 'newer'\n"), 1)[0])
    assert (first, second) == ("old", "newer")


def test_a_parked_worker_that_died_is_replaced(nodes: Nodes) -> None:
    spec = nodes.python(PID)
    pid = given(nodes.run(spec, 1)[0])
    os.kill(pid, 9)
    asyncio.run(until(lambda: not os.path.exists(f"/proc/{pid}")))
    assert given(nodes.run(spec, 1)[0]) != pid


def test_isolation_call_gives_each_call_a_process_of_its_own(nodes: Nodes) -> None:
    spec = nodes.python(PID, runtime={"isolation": "call"})
    pids = [given(outcome) for outcome in nodes.run(spec, 1, 2, 3)]
    assert len(set(pids)) == 3
    assert not any(is_alive(pid) for pid in pids)


def test_no_more_processes_than_the_node_allows(nodes: Nodes) -> None:
    spec = nodes.python(PID, runtime={"concurrency": 2})

    async def work(dispatcher: WorkerDispatcher) -> list[int]:
        calls = [dispatcher.call(nodes.call(spec, n)) for n in range(40)]
        return [given(outcome) for outcome in await asyncio.gather(*calls)]

    assert 1 <= len(set(with_workers(work))) <= 2


def test_no_more_processes_than_the_machine_shall_bear_and_idle_ones_make_room(nodes: Nodes) -> None:
    specs = [nodes.python(PID, name=f"node-{n}") for n in range(4)]

    async def work(dispatcher: WorkerDispatcher) -> list[int]:
        found = []
        for spec in [*specs, *specs]:
            found.append(given(await dispatcher.call(nodes.call(spec, 1))))
            assert dispatcher._hub is not None
            assert dispatcher._hub.alive <= 2
        return found

    assert len(set(with_workers(work, replace(PATIENT, most_workers=2)))) >= 4


def test_many_calls_share_a_process_that_can_take_them(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
held = []
for f in frames():
    if f["method"] == "node/hello": greet(f["id"], many=8)
    else:
        held.append(f)
        if len(held) == 8:
            for one in reversed(held): answer(one["id"], {"output": [one["params"]["input"], os.getpid()]})
            held.clear()
"""
    )

    async def work(dispatcher: WorkerDispatcher) -> list[Any]:
        calls = [dispatcher.call(nodes.call(spec, n)) for n in range(8)]
        return [given(outcome) for outcome in await asyncio.gather(*calls)]

    found = with_workers(work, replace(PATIENT, most_workers=1))
    assert [value for value, _ in found] == list(range(8))
    assert len({pid for _, pid in found}) == 1


def test_an_ignored_cancel_lets_the_siblings_finish_and_then_kills(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
held = []
for f in frames():
    if f["method"] == "node/hello": greet(f["id"], ["cancel"], many=2)
    elif f["method"] == "node/invoke" and f["params"]["input"] == "hang": held.append(f)
    elif f["method"] == "node/invoke": held.append(f); open("waits", "w").close()
    elif f["method"] == "node/cancel": time.sleep(0.3); answer(held[1]["id"], {"output": os.getpid()})
"""
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        stuck = asyncio.ensure_future(dispatcher.call(nodes.call(spec, "hang")))
        sibling = asyncio.ensure_future(dispatcher.call(nodes.call(spec, "wait")))
        assert spec.folder is not None
        await until((spec.folder / "waits").exists)
        stuck.cancel()
        pid = given(await sibling)
        with pytest.raises(asyncio.CancelledError):
            await stuck
        assert not is_alive(pid)

    with_workers(work, replace(PATIENT, cancel_grace=0.1, most_workers=1))


def test_a_worker_is_replaced_after_so_many_calls_and_none_is_lost(nodes: Nodes) -> None:
    pids = [
        given(one)
        for one in nodes.run(nodes.python(PID), *range(25), bounds=replace(PATIENT, max_requests=5))
    ]
    assert collections.Counter(pids).most_common(1)[0][1] == 5
    assert len(set(pids)) == 5


def test_a_worker_that_is_old_is_replaced_after_its_call(nodes: Nodes) -> None:
    spec = nodes.python(PID)

    async def work(dispatcher: WorkerDispatcher) -> None:
        young = given(await dispatcher.call(nodes.call(spec, 1)))
        (pool,) = dispatcher._pools.values()
        pool.workers[0].born -= 10_000
        old = given(await dispatcher.call(nodes.call(spec, 1)))
        fresh = given(await dispatcher.call(nodes.call(spec, 1)))
        assert young == old != fresh
        await until(lambda: not is_alive(old))

    with_workers(work, replace(PATIENT, max_age=5_000.0))


def test_a_worn_worker_finishes_what_it_has_and_gets_nothing_more(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    if f["method"] == "node/hello": greet(f["id"], ["drain"], many=2)
    elif f["method"] == "node/shutdown": open("drained", "w").close(); answer(f["id"], {}); break
    elif f["params"]["input"] == "slow": slow = f
    elif f["params"]["input"] == "quick":
        answer(f["id"], {"output": os.getpid()}); time.sleep(0.2)
        answer(slow["id"], {"output": os.getpid()})
    else: answer(f["id"], {"output": os.getpid()})
"""
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        slow = asyncio.ensure_future(dispatcher.call(nodes.call(spec, "slow")))
        await until(lambda: dispatcher._hub and dispatcher._hub.alive)
        (pool,) = dispatcher._pools.values()
        await until(lambda: pool.workers and pool.workers[0].calls)
        quick = given(await dispatcher.call(nodes.call(spec, "quick")))
        after = given(await dispatcher.call(nodes.call(spec, "after")))
        assert given(await slow) == quick != after
        assert spec.folder is not None
        await until((spec.folder / "drained").exists)

    with_workers(work, replace(PATIENT, max_requests=1))


def test_who_goes_on_after_all_were_told_to_close_leaves_no_process(nodes: Nodes) -> None:
    spec = nodes.python(PID)

    async def work(dispatcher: WorkerDispatcher) -> Any:
        given(await dispatcher.call(nodes.call(spec)))
        close_all()
        hub, (pool,) = dispatcher._hub, dispatcher._pools.values()
        assert hub is not None
        hub.prepare(pool.launch)
        assert hub.warden.pid is not None
        return hub

    hub = with_workers(work)
    assert hub.warden.pid is None


def test_a_worker_that_has_grown_is_replaced(nodes: Nodes) -> None:
    bounds = replace(PATIENT, max_rss_mb=1.0)
    pids = [given(one) for one in nodes.run(nodes.python(PID), *range(20), bounds=bounds)]
    assert len(set(pids)) == 2


def test_an_idle_worker_goes_in_time(nodes: Nodes) -> None:
    spec = nodes.python(PID)

    async def work(dispatcher: WorkerDispatcher) -> None:
        pid = given(await dispatcher.call(nodes.call(spec, 1)))
        await until(lambda: not is_alive(pid), 5)

    with_workers(work, replace(PATIENT, idle_ttl=0.1))


def test_a_parked_worker_goes_in_time_without_any_loop(nodes: Nodes) -> None:
    pid = given(nodes.run(nodes.python(PID), 1, bounds=replace(PATIENT, idle_ttl=0.1))[0])
    asyncio.run(until(lambda: not is_alive(pid), 5))


def test_a_node_that_answers_no_ping_is_killed(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    if f["method"] == "node/hello": greet(f["id"], ["ping"])
"""
    )
    outcome = nodes.run(spec, 1, bounds=replace(PATIENT, ping_interval=0.1, ping_timeout=0.1))[0]
    assert code(outcome) == 9010


def test_the_context_that_was_asked_for_arrives_and_writes_come_back(nodes: Nodes) -> None:
    spec = nodes.python(
        "def run(ctx, inputs):\n"
        "    ctx.set('wrote', ctx.get('read') + 1); ctx.delete('old'); ctx.metric('n', 3)\n"
        "    ctx.log.warning('mind', rows=2); ctx.progress(1, 2, 'half')\n"
        "    (ctx.work_dir / 'x').write_text('y')\n"
        "    return [ctx.request.body, ctx.config, ctx.secrets['KEY'], ctx.run_id, ctx.attempt]\n",
        reads=["vars.read", "request.body"],
    )
    source = Source({"read": b"41"}, {"request.body": b'{"a":1}'})
    (outcome,) = nodes.run(spec, 1, source=source, config={"c": True}, secrets={"KEY": "hush"})
    assert given(outcome) == [{"a": 1}, {"c": True}, "hush", "run-1", 1]
    assert outcome.delta == {"wrote": b"42", "old": None}
    assert outcome.metrics == {"n": 3}
    assert ("log", {"level": "warning", "message": "mind", "data": {"rows": 2}}) in nodes.events
    assert ("progress", {"progress": 1, "total": 2, "message": "half"}) in nodes.events


def test_a_secret_that_is_printed_does_not_reach_the_log(nodes: Nodes) -> None:
    spec = nodes.python("def run(ctx, inputs):\n    print('key', ctx.secrets['KEY'])\n")
    nodes.run(spec, 1, secrets={"KEY": "hush-hush"})
    assert len(nodes.log) == 1
    assert "hush" not in nodes.log[0]


def test_chunks_are_events_and_make_the_output(nodes: Nodes) -> None:
    spec = nodes.python("def run(ctx, inputs):\n    yield from range(3)\n")
    assert given(nodes.run(spec, 1)[0]) == [0, 1, 2]
    assert [body for kind, body in nodes.events if kind == "chunk"] == [
        {"number": n, "data": n} for n in range(3)
    ]


def test_a_frame_over_the_cap_fails_that_call_alone(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    if f["method"] == "node/hello": greet(f["id"])
    else: answer(f["id"], {"output": os.getpid()})
"""
    )  # which takes no blobs
    big, small = nodes.run(spec, "x" * (17 * 1024 * 1024), 1)
    assert code(big) == 4005
    assert given(small) > 0


def test_two_work_folders_never_meet(nodes: Nodes) -> None:
    spec = nodes.python(
        "import os\ndef run(ctx, inputs):\n"
        "    found = os.listdir(ctx.work_dir)\n    (ctx.work_dir / inputs).write_text('')\n    return found\n"
    )
    assert [given(outcome) for outcome in nodes.run(spec, "a", "b", "c")] == [[], [], []]


def test_the_defaults_are_those_of_the_protocol() -> None:
    bounds = Bounds()
    assert (bounds.startup, bounds.write_timeout, bounds.cancel_grace) == (30, 10, 1)
    assert (bounds.exit_grace, bounds.kill_grace, bounds.drain_cap) == (5, 2, 60)
    assert (bounds.ping_interval, bounds.ping_timeout, bounds.idle_ttl) == (30, 10, 300)
    assert (bounds.crashes, bounds.crash_window) == (5, 60)
