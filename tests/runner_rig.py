"""Many workers on one store, stopped beyond their leases and killed with -9 at random, and what is left then.

    python runner_rig.py FOLDER --store URL --runs 2000 --workers 8 --pauses 100 --kills 40 --seed 7

Runs are queued, workers take them. A worker that is stopped wakes later than its lease lasts, when others
have its runs, and tries to go on; one that is killed is replaced. Judged are the store, the file in which
the nodes count their effects, and what the workers said. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from durable_runs import check_run, effects, extra_effects
from nodeling_runtime.dispatch.base import idempotency_key
from nodeling_runtime.engine.durable import Keeper, enqueue
from nodeling_runtime.engine.loaded import load_file
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.store.base import Store
from nodeling_runtime.store.model import MOST_RECOVERIES, OPEN, Batch, Claim, Fact, Fenced, RunFilter
from nodeling_runtime.store.opening import open_store

FLOW = Path(__file__).parent / "fixtures" / "durable" / "shared.yaml"
PATIENCE = 300.0  # beyond the last disturbance


@dataclass(slots=True)
class Report:
    """What was done, and what is wrong."""

    seed: int
    runs: int = 0
    workers: int = 0
    pauses: int = 0
    kills: int = 0
    recoveries: int = 0
    runs_lost_by_workers: int = 0
    stale_writes_refused: int = 0
    double_completions: int = 0
    extra_effects_excused: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class Worker:
    """One `nodectl worker`, and what it says."""

    def __init__(self, number: int, folder: Path, url: str) -> None:
        self.log = folder / f"worker-{number}.jsonl"
        self.asleep_until: float | None = None
        words = ["worker", "--store", url, "--concurrency", "4", "--json", "--durability", "fast"]
        with open(self.log, "ab") as log, open(folder / "stderr", "ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nodeling_runtime", *words],
                cwd=folder,
                env={**os.environ, "EFFECTS": str(folder / "effects")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
            )

    def said(self) -> list[dict[str, Any]]:
        """Every line that was written to its end."""
        lines = self.log.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def serves(self) -> bool:
        return b"run.taken" in self.log.read_bytes()

    def sleep(self, seconds: float) -> None:
        self.process.send_signal(signal.SIGSTOP)
        self.asleep_until = time.monotonic() + seconds

    def wake_when_due(self) -> None:
        if self.asleep_until is not None and time.monotonic() >= self.asleep_until:
            self.process.send_signal(signal.SIGCONT)
            self.asleep_until = None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Rig:
    """One store, and those who work on it."""

    def __init__(self, folder: Path, url: str, seed: int, lease: float) -> None:
        self.folder = folder
        self.url = url
        self.lease = lease
        self.random = random.Random(seed)
        self.report = Report(seed)
        self.keeper = Keeper.open(url, "fast")
        self.workers: list[Worker] = []
        self.gone: list[Worker] = []
        self.ids: list[str] = []

    def queue(self, count: int) -> None:
        loaded = load_file(FLOW)
        self.ids = [enqueue(self.keeper, loaded, run_options({})).run.run_id for _ in range(count)]
        self.report.runs = count

    def oversleep(self) -> tuple[Store, Claim]:
        """Take a run, and say nothing more: an owner whose own clock does not warn him."""
        store = open_store(self.url, "fast")
        claim = store.claim_next("who oversleeps")
        if claim is None:
            raise AssertionError("runs were queued, and nobody else is there yet")
        return store, claim

    def wake(self, store: Store, claim: Claim) -> None:
        """He wants to write as if nothing had happened."""
        fact = Fact("run.ended", time.time(), data={"status": "succeeded", "error": None}, value=b"null")
        (answer,) = store.append([Batch(claim, (fact,))])
        if isinstance(answer, Fenced):
            self.report.stale_writes_refused += 1
        else:
            self.report.faults.append(f"{claim.run_id}: a write of an owner who was overtaken was kept")
        store.close()

    def staff(self, count: int) -> None:
        while len(self.workers) < count:
            self.workers.append(Worker(len(self.workers) + len(self.gone), self.folder, self.url))
        self.report.workers = count

    def disturb(self, pauses: int, kills: int) -> None:
        """Stop and kill, spread over the time that the runs take."""
        todo = ["pause"] * pauses + ["kill"] * kills
        self.random.shuffle(todo)
        every = max(1, len(self.ids) // (len(todo) + 1))
        until = time.monotonic() + PATIENCE
        for number, what in enumerate(todo):
            while self.ended() < every * number and time.monotonic() < until:
                self.tick()
            awake = [one for one in self.workers if one.asleep_until is None and one.serves()]
            while len(awake) < 2 and time.monotonic() < until:
                self.tick()
                awake = [one for one in self.workers if one.asleep_until is None and one.serves()]
            worker = self.random.choice(awake)
            if what == "pause":
                worker.sleep(self.lease * self.random.uniform(1.2, 1.6))
                self.report.pauses += 1
            else:
                worker.kill()
                self.workers.remove(worker)
                self.gone.append(worker)
                self.staff(self.report.workers)
                self.report.kills += 1
            self.tick()

    def tick(self) -> None:
        time.sleep(self.random.uniform(0.01, 0.05))
        for worker in self.workers:
            worker.wake_when_due()

    def ended(self) -> int:
        return len(self.ids) - len(self.keeper.store.runs(RunFilter(statuses=OPEN)))

    def finish(self) -> None:
        """Let everybody wake, wait for the last run, and end the workers in order."""
        until = time.monotonic() + PATIENCE
        while self.ended() < len(self.ids) or any(one.asleep_until is not None for one in self.workers):
            if time.monotonic() >= until:
                self.report.faults.append(f"{len(self.ids) - self.ended()} runs never ended")
                break
            self.tick()
        time.sleep(1.0)  # who woke last has to find out what became of its runs
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            code = worker.process.wait(60)
            if code != 0:
                self.report.faults.append(f"a worker that was told to stop ended with {code}")

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.keeper.close()

    def judge(self) -> None:
        """What is wrong with what is left."""
        report, store = self.report, self.keeper.store
        done = effects(self.folder / "effects")
        keys: dict[str, list[tuple[str, str, int]]] = {}
        for one in done:
            keys.setdefault(one[0], []).append(one)
        rows = {row.run_id: row for row in store.runs(RunFilter())}
        for run_id in self.ids:
            row = rows.get(run_id)
            if row is None:
                report.faults.append(f"{run_id} was acknowledged and is not there")
                continue
            report.recoveries += row.recoveries
            if row.status != "succeeded" and not (row.status == "dead" and row.recoveries == MOST_RECOVERIES):
                report.faults.append(f"{run_id} is {row.status}: {row.error}")
            attempts = store.attempts(run_id)
            mine = [
                one
                for path in {a.path for a in attempts}
                for one in keys.get(idempotency_key(run_id, path), [])
            ]
            report.faults += check_run(store, run_id, mine) if row.status == "succeeded" else []
            report.faults += extra_effects(run_id, attempts, mine)
            report.extra_effects_excused += len(mine) - len({one[0] for one in mine})
            ends = [event.value for event in store.events(run_id) if event.kind == "run.ended"]
            if row.status == "succeeded" and ends != [b'{"n":4}']:
                report.faults.append(f"{run_id} ended with {ends}")
        self._listen()

    def _listen(self) -> None:
        """What the workers said: who finished what, and what was refused."""
        report = self.report
        lines = [line for worker in [*self.workers, *self.gone] for line in worker.said()]
        finished = Counter(line["run_id"] for line in lines if line["event"] == "run.finished")
        twice = [run_id for run_id, count in finished.items() if count > 1]
        report.double_completions = len(twice)
        report.faults += [f"{run_id} was finished by {finished[run_id]} workers" for run_id in twice]
        lost = [line for line in lines if line["event"] == "run.lost"]
        report.runs_lost_by_workers = len(lost)
        report.stale_writes_refused += sum(1 for line in lost if line.get("refused"))
        report.faults += [f"blocked: {line}" for line in lines if line["event"] == "run.blocked"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--lease", type=float, required=True, help="as in the store's address")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pauses", type=int, default=5)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    rig = Rig(given.folder, given.store, given.seed, given.lease)
    try:
        rig.queue(given.runs)
        sleeper = rig.oversleep()
        rig.staff(given.workers)
        rig.disturb(given.pauses, given.kills)
        rig.finish()
        rig.wake(*sleeper)
        rig.judge()
    finally:
        rig.close()
    rig.report.seconds = round(time.monotonic() - began, 1)
    print(json.dumps(asdict(rig.report)))


if __name__ == "__main__":
    main()
