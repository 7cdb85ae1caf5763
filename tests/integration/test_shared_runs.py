"""Workers that share a store: each run goes to one, and who dies, sleeps or has to stop leaves the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli_calls import NODECTL, PATIENCE, Ended, invoke, nodectl, wait_for, write_node, write_workflow
from nodeling_runtime.store.base import Store
from nodeling_runtime.store.model import RunFilter
from nodeling_runtime.store.opening import open_store
from nodeling_runtime.store.verify import verify
from stores import PostgresPlace

if TYPE_CHECKING:
    from postgres_server import Server

TESTS = Path(__file__).parents[1]
RUNS = int(os.environ.get("NODELING_SHARED_RUNS", "0"))  # 2000 for a release
SEED = int(os.environ.get("NODELING_SEED", "20251125"))
LEASE = 3.0
WAITS = """
import pathlib, threading

def run(ctx, inputs):
    with open("calls", "a", encoding="utf-8") as file:
        file.write(f"{ctx.step} {ctx.attempt}\\n")
    pathlib.Path(f"started-{ctx.step}-{ctx.attempt}").touch()
    while not pathlib.Path("go").exists():
        threading.Event().wait(0.02)
    return f"{ctx.step} went"
"""
COUNTS = """
def run(ctx, inputs):
    with open("calls", "a", encoding="utf-8") as file:
        file.write(f"{ctx.step} {ctx.attempt}\\n")
    return ctx.step
"""


class Worker:
    """A `nodectl worker` in a process of its own, and what it says."""

    def __init__(self, folder: Path, url: str, name: str, *args: str) -> None:
        self._log = folder / f"{name}.jsonl"
        with open(self._log, "wb") as log, open(folder / f"{name}.err", "wb") as errors:
            self.process = subprocess.Popen(
                [*NODECTL, "worker", "--store", url, "--json", *args],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=errors,
            )  # fmt: skip

    def said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_bytes().split(b"\n")[:-1]]
        return [line for line in lines if line["event"] == event]

    def wait_until_said(self, event: str) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while not (found := self.said(event)):
            assert time.monotonic() < until, f"never said {event}: {self._log.read_text()}"
            assert self.process.poll() is None or self.said(event), "it ended"
            time.sleep(0.02)
        return found[0]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


Hire = Callable[..., Worker]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'runs.db'}"
        return
    place = PostgresPlace(tmp_path, request.getfixturevalue("postgres"))
    yield f"{place.url}&lease={LEASE}"
    place.close()


@pytest.fixture
def shared(tmp_path: Path, postgres: str) -> Iterator[str]:
    place = PostgresPlace(tmp_path, postgres)
    yield f"{place.url}&lease={LEASE}"
    place.close()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    found = open_store(url)
    yield found
    found.close()


@pytest.fixture
def hire(tmp_path: Path) -> Iterator[Hire]:
    hired: list[Worker] = []

    def hire_one(url: str, *args: str) -> Worker:
        hired.append(Worker(tmp_path, url, f"worker-{len(hired)}", *args))
        return hired[-1]

    yield hire_one
    for worker in hired:
        worker.process.kill()
        worker.process.wait()


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, code in (("waits", WAITS), ("counts", COUNTS)):
        write_node(tmp_path, name, code)
    steps = [{"name": "a", "node": "waits"}, {"name": "b", "node": "counts"}]
    return write_workflow(tmp_path, {"steps": steps})


def call(*args: object) -> Ended:
    """Call `nodectl` here, in this process."""
    result = invoke(*args)
    return Ended(result.exit_code, result.stdout, result.stderr, 0.0)


def queue(url: str, *args: str, file: str = "flow.json") -> str:
    ended = call("run", "--queue", file, "--store", url, *args)
    assert ended.code == 0, ended.err
    return ended.out.strip()


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text(encoding="utf-8").splitlines()


def status(store: Store, run_id: str) -> str:
    row = store.run(run_id)
    assert row is not None
    return row.status


def results_of(store: Store, run_id: str) -> list[tuple[str, str]]:
    return [(result.path, result.status) for result in store.results(run_id)]


def wait_for_status(store: Store, run_id: str, wanted: str) -> None:
    until = time.monotonic() + PATIENCE
    while status(store, run_id) != wanted:
        assert time.monotonic() < until, f"{run_id} is {status(store, run_id)}"
        time.sleep(0.02)


def test_a_queued_run_is_there_when_its_id_is_printed_and_a_worker_runs_it(
    flow: Path, url: str, store: Store
) -> None:
    (flow.parent / "go").touch()
    run_id = queue(url, "--key", "k")
    assert status(store, run_id) == "queued"
    assert queue(url, "--key", "k") == run_id
    flow.write_text("{}", encoding="utf-8")  # whatever becomes of the file: the run holds on to what it was
    ended = nodectl("worker", "--store", url, "--drain", cwd=flow.parent)
    assert (ended.code, ended.out) == (0, "")
    assert f"run finished  {run_id}  flow  succeeded" in ended.err
    assert (status(store, run_id), calls(flow.parent)) == ("succeeded", ["a 1", "b 1"])
    assert verify(store) == []


def test_a_worker_takes_one_run_or_those_of_one_workflow_when_it_is_told_so(
    flow: Path, url: str, store: Store
) -> None:
    (flow.parent / "go").touch()
    other = {"name": "other", "steps": [{"name": "b", "node": "counts"}]}
    write_workflow(flow.parent, other, "other.json")
    first, second = queue(url), queue(url)
    third = queue(url, file="other.json")
    ended = call("worker", "--store", url, "--once", "--workflow", "other", "--json")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [one["run_id"] for one in events if one["event"] == "run.finished"] == [third]
    call("worker", "--store", url, "--once")
    assert [status(store, one) for one in (first, second, third)] == ["succeeded", "queued", "succeeded"]
    both = call("worker", "--store", url, "--once", "--drain")
    assert both.code == 2


def test_of_several_workers_on_one_store_each_run_goes_to_one(
    flow: Path, url: str, store: Store, hire: Hire
) -> None:
    (flow.parent / "go").touch()
    ids = [queue(url) for _ in range(6)]
    workers = [hire(url, "--drain", "--concurrency", "1") for _ in range(3)]
    assert [worker.process.wait(PATIENCE) for worker in workers] == [0, 0, 0]
    finished = [line["run_id"] for worker in workers for line in worker.said("run.finished")]
    assert sorted(finished) == sorted(ids)
    assert sorted(calls(flow.parent)) == ["a 1"] * 6 + ["b 1"] * 6
    assert verify(store) == []


def test_the_run_of_a_worker_that_was_killed_is_taken_by_another_one(
    flow: Path, url: str, store: Store, hire: Hire
) -> None:
    """FAULTS 53 and 60: with -9, in the middle of a call."""
    run_id = queue(url)
    first = hire(url)
    wait_for(flow.parent / "started-a-1")
    first.process.kill()
    second = hire(url)
    wait_for(flow.parent / "started-a-2")
    (flow.parent / "go").touch()
    assert second.wait_until_said("run.finished")["status"] == "succeeded"
    assert second.said("run.taken")[0]["recovery"] is True
    assert second.stop() == 0
    row = store.run(run_id)
    assert row is not None
    assert (row.status, row.recoveries) == ("succeeded", 1)
    assert calls(flow.parent) == ["a 1", "a 2", "b 1"]
    assert verify(store) == []


def test_a_worker_that_is_told_to_stop_lets_its_calls_end_and_leaves_the_rest_to_others(
    flow: Path, url: str, store: Store, hire: Hire
) -> None:
    """FAULTS 82: the call that is under way is not cut, nothing begins after it, and it is no recovery."""
    run_id = queue(url)
    first = hire(url)
    wait_for(flow.parent / "started-a-1")
    first.process.terminate()
    first.wait_until_said("worker.stopping")
    (flow.parent / "go").touch()
    assert first.process.wait(PATIENCE) == 0
    assert [line["run_id"] for line in first.said("run.handed_over")] == [run_id]
    assert calls(flow.parent) == ["a 1"]
    assert {result.path for result in store.results(run_id)} == {"a"}
    ended = call("worker", "--store", url, "--drain")
    assert ended.code == 0
    row = store.run(run_id)
    assert row is not None
    assert (row.status, row.recoveries) == ("succeeded", 0)
    assert [call for call in calls(flow.parent) if call.startswith("a")] == ["a 1"]
    assert [one.state for one in store.attempts(run_id) if one.path == "b"][-1] == "succeeded"
    assert verify(store) == []


def test_a_call_that_does_not_end_within_the_grace_is_cut_and_a_second_signal_does_not_wait(
    flow: Path, url: str, store: Store, hire: Hire
) -> None:
    run_id = queue(url)
    first = hire(url, "--grace", "100ms")
    wait_for(flow.parent / "started-a-1")
    assert first.stop() == 0
    assert store.results(run_id) == []
    second = hire(url, "--grace", "10m")
    wait_for(flow.parent / "started-a-2")
    second.process.terminate()
    second.wait_until_said("worker.stopping")
    second.process.terminate()
    assert second.process.wait(PATIENCE) == 143
    assert store.results(run_id) == []
    assert verify(store) == []


def test_a_run_that_a_worker_runs_is_cancelled_from_elsewhere(
    flow: Path, url: str, store: Store, hire: Hire
) -> None:
    run_id = queue(url)
    waiting = queue(url)
    worker = hire(url, "--concurrency", "1")
    wait_for(flow.parent / "started-a-1")
    assert call("runs", "cancel", waiting, "--store", url).code == 0
    told = call("runs", "cancel", run_id, "--store", url)
    assert (told.code, "was told to end" in told.err) == (0, True)
    wait_for_status(store, run_id, "cancelled")
    assert worker.wait_until_said("run.finished")["status"] == "cancelled"
    assert worker.stop() == 0
    assert [row.status for row in store.runs(RunFilter())] == ["cancelled", "cancelled"]
    assert calls(flow.parent) == ["a 1"]
    assert verify(store) == []


def test_a_run_whose_nodes_are_not_here_is_suspended_with_the_reason_and_resumed_when_they_are(
    flow: Path, url: str, store: Store
) -> None:
    """FAULTS 73: nobody takes it again and again."""
    (flow.parent / "go").touch()
    run_id = queue(url)
    config = flow.parent / "nodes" / "counts" / "config.json"
    before = config.read_text(encoding="utf-8")
    config.write_text(before.replace("1.0.0", "2.0.0"), encoding="utf-8")
    ended = call("worker", "--store", url, "--drain", "--json")
    (blocked,) = [line for line in map(json.loads, ended.out.splitlines()) if line["event"] == "run.blocked"]
    assert blocked["error"]["code"] == "run.blocked_version"
    assert "counts is 2.0.0" in blocked["error"]["message"]
    assert (ended.code, status(store, run_id)) == (0, "suspended")
    assert store.events(run_id)[-1].data["reason"] == "run.blocked_version"
    config.write_text(before, encoding="utf-8")
    assert call("runs", "resume", run_id, "--store", url).code == 0
    assert status(store, run_id) == "succeeded"
    assert verify(store) == []


def test_a_run_that_a_failure_suspends_is_left_to_whoever_says_that_the_cause_is_gone(
    flow: Path, url: str, store: Store
) -> None:
    fails = "import pathlib\n" + COUNTS.replace(
        "    return", "    assert pathlib.Path('go').exists(), 'down'\n    return"
    )
    write_node(flow.parent, "fails", fails)
    steps = [{"name": "a", "node": "fails"}, {"name": "b", "node": "counts"}]
    write_workflow(flow.parent, {"settings": {"on_failure": "suspend"}, "steps": steps})
    run_id = queue(url)
    for _ in range(2):  # the second finds nothing to do
        assert call("worker", "--store", url, "--drain").code == 0
        assert (status(store, run_id), calls(flow.parent)) == ("suspended", ["a 1"])
    (flow.parent / "go").touch()
    assert call("runs", "resume", run_id, "--store", url, "--quiet").code == 0
    assert (status(store, run_id), calls(flow.parent)) == ("succeeded", ["a 1", "a 1", "b 1"])
    assert verify(store) == []


def test_a_worker_finds_nodes_in_folders_of_its_own(
    tmp_path: Path, url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        write_node(folder, "counts", COUNTS)
    write_workflow(there, {"steps": [{"name": "b", "node": "counts"}]})
    monkeypatch.chdir(there)
    run_id = queue(url, "--nodes", "nodes")
    there.rename(tmp_path / "gone")
    monkeypatch.chdir(here)
    ended = call("worker", "--store", url, "--drain", "--nodes", "nodes")
    assert (ended.code, status(store, run_id)) == (0, "succeeded"), ended.err


def test_a_worker_that_sleeps_beyond_its_lease_loses_its_runs_and_records_nothing_more(
    flow: Path, shared: str, hire: Hire
) -> None:
    """FAULTS 61: on waking it gives up what was taken over, and its call's result is dropped."""
    store = open_store(shared)
    try:
        run_id = queue(shared)
        first = hire(shared)
        wait_for(flow.parent / "started-a-1")
        first.process.send_signal(signal.SIGSTOP)
        second = hire(shared)
        wait_for(flow.parent / "started-a-2")
        (flow.parent / "go").touch()
        assert second.wait_until_said("run.finished")["status"] == "succeeded"
        history = store.events(run_id)
        first.process.send_signal(signal.SIGCONT)
        assert first.wait_until_said("run.lost")["run_id"] == run_id
        assert first.process.poll() is None  # it serves on
        assert first.stop() == 0
        assert second.stop() == 0
        assert store.events(run_id) == history
        assert {attempt.epoch for attempt in store.attempts(run_id) if attempt.state == "succeeded"} == {2}
        assert first.said("run.finished") == []
        assert verify(store) == []
    finally:
        store.close()


def test_a_worker_outlives_a_crash_of_the_server(
    flow: Path, shared: str, hire: Hire, postgres_server: Server
) -> None:
    """FAULTS 59: it connects again, and what it had in hand is kept once."""
    run_id = queue(shared)
    worker = hire(shared)
    wait_for(flow.parent / "started-a-1")
    postgres_server.stop()
    (flow.parent / "go").touch()
    postgres_server.start()
    store = open_store(shared)
    try:
        wait_for_status(store, run_id, "succeeded")
        assert worker.stop() == 0
        assert worker.said("worker.stopped") != []
        assert [path for path, _ in results_of(store, run_id)] == ["a", "b"]
        assert verify(store) == []
    finally:
        store.close()


@pytest.mark.timeout(0 if RUNS else 180)
def test_stopped_and_killed_workers_complete_nothing_twice(tmp_path: Path, shared: str) -> None:
    """FAULTS 60: many runs, workers stopped beyond their leases and killed with -9.

    NODELING_SHARED_RUNS says how many runs there are in the long mode, with 8 workers and 5 % pauses.
    """
    runs, workers = RUNS or 80, 8 if RUNS else 4
    pauses, kills = (runs // 20, runs // 50) if RUNS else (5, 2)
    words = ["--runs", runs, "--workers", workers, "--pauses", pauses, "--kills", kills, "--seed", SEED]
    done = subprocess.run(
        [
            *(sys.executable, str(TESTS / "runner_rig.py"), str(tmp_path), "--store", shared),
            *("--lease", str(LEASE), *map(str, words)),
        ],
        capture_output=True, text=True, timeout=None if RUNS else 170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    report = json.loads(done.stdout)
    print(report)
    assert report["faults"] == [], f"seed {SEED}"
    assert report["double_completions"] == 0
    assert report["recoveries"] > 0
    assert report["runs_lost_by_workers"] >= 1
    assert report["stale_writes_refused"] >= 1, "no write was refused: nothing was tested"
