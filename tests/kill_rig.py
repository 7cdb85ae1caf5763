"""Kills runners with -9 and looks at what is left: at random moments, or at named points.

    python kill_rig.py FOLDER --kills 1000 --seed 7 [--flow everything.yaml] [--point result] [--exec]

One process has the engine loaded and forks a runner for each run, so that no interpreter starts for it;
with `--exec` each runner is a `nodectl` of its own instead. The runner of a run is killed, and so
may be those that resume it, up to as often as a run survives. What holds afterwards is judged by the file in
which the nodes count their effects, which no store knows of, and by the store. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from durable_runs import FLOW, check_run, effects, extra_effects, output_of
from nodeling_runtime import fault_points
from nodeling_runtime.engine.durable import Keeper, resume_run, run_durably
from nodeling_runtime.engine.host import in_own_loop
from nodeling_runtime.engine.loaded import Loaded, load_file
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.engine.stored import stored_result
from nodeling_runtime.store import sqlite_log
from nodeling_runtime.store.model import MOST_RECOVERIES
from nodeling_runtime.store.opening import open_store

MARK = "NODELING_KILL_RIG"  # in the environment of everything that is started here
ORPHAN_SECONDS = 2.0
AGAIN = 0.3  # how likely the runner that resumes a run is killed too
MET_IN_A_RUN = {"checkpoint": 3}  # how often a run surely comes to a point, where that is less than elsewhere


@dataclass(slots=True)
class Told:
    """What a runner said before it was killed: which run was acknowledged, and whether it was over."""

    run_id: str | None = None
    output: str | None = None
    status: str | None = None


@dataclass(slots=True)
class Report:
    """What was done, and what is wrong."""

    seed: int
    kills: int = 0
    runs: int = 0
    acknowledged: int = 0
    resumes: int = 0
    recovered_attempts: int = 0
    faults: list[str] = field(default_factory=list)


class Rig:
    """A folder with a store, and the workflow that is run in it."""

    def __init__(self, folder: Path, flow: Path, seed: int, *, executes: bool, durability: str) -> None:
        self.folder = folder
        self.flow = flow
        self.url = f"sqlite:///{folder / 'runs.db'}"
        self.random = random.Random(seed)
        self.report = Report(seed)
        self.executes = executes
        self.durability = durability
        self.loaded: Loaded = load_file(flow)
        self.seconds = 0.0
        self.expected = ""
        self.unchecked: list[tuple[str, int]] = []
        os.environ[MARK] = str(folder)
        os.environ["NODELING_STORE"] = self.url

    # -- runners

    def runner(self, number: int, run_id: str | None, point: str | None) -> tuple[int, int]:
        """Start one; its process and the end of the pipe on which it tells."""
        read, write = os.pipe()
        os.environ["EFFECTS"] = str(self.folder / f"effects-{number}")
        if self.executes:
            pid = self._execute(write, run_id, point)
        else:
            pid = os.fork()
            if pid == 0:
                os.close(read)
                self._be_runner(write, run_id, point)
        os.close(write)
        return pid, read

    def _be_runner(self, write: int, run_id: str | None, point: str | None) -> None:
        code = 70
        try:
            if point is not None:
                fault_points.arm(point)
            sqlite_log.LONGEST_LOG = 256 * 1024  # so that checkpoints happen, too
            keeper = Keeper.open(self.url, self.durability)
            try:
                code = self._play(keeper, write, run_id)
            finally:
                keeper.close()
        except BaseException as error:  # whatever it is, the parent has to hear of it and this process to end
            os.write(write, f"error {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)

    def _play(self, keeper: Keeper, write: int, run_id: str | None) -> int:
        def hear(event: Any) -> None:
            if event["event"] == "run.started":
                os.write(write, f"run {event['run_id']}\n".encode())

        options = run_options({"on_event": hear})
        if run_id is None:
            outcome = in_own_loop(lambda: run_durably(keeper, self.loaded, options))
        else:
            outcome = in_own_loop(lambda: resume_run(keeper, run_id, options))
        said = json.dumps([outcome.status, json.dumps(output_of(outcome), sort_keys=True)])
        os.write(write, f"done {said}\n".encode())
        return 0

    def _execute(self, write: int, run_id: str | None, point: str | None) -> int:
        """A whole `nodectl`; what it prints is what it tells."""
        nodectl = [sys.executable, "-m", "nodeling_runtime"]
        what = ["run", str(self.flow)] if run_id is None else ["runs", "resume", run_id]
        environment = {**os.environ, **({} if point is None else {fault_points.VARIABLE: point})}
        with open(self.folder / "stderr", "ab") as stderr:
            runner = subprocess.Popen(
                [*nodectl, *what, "--json", "--durability", self.durability],
                stdin=subprocess.DEVNULL, stdout=write, stderr=stderr, env=environment,
            )  # fmt: skip
        runner.returncode = 0  # waited for here, by its id
        return runner.pid

    def hear(self, read: int) -> Told:
        """What a runner told before it ended."""
        with open(read, encoding="utf-8") as file:
            text = file.read()
        told = Told()
        if self.executes:
            with contextlib.suppress(ValueError):
                found = json.loads(text)
                told.run_id, told.status = found["run_id"], found["status"]
                told.output = json.dumps(found["output"], sort_keys=True)
            return told
        for line in text.splitlines(keepends=True):
            word, _, rest = line.partition(" ")
            if not line.endswith("\n"):
                continue
            if word == "run":
                told.run_id = rest.strip()
            elif word == "done":
                told.status, told.output = json.loads(rest)
            else:
                self.report.faults.append(line.strip())
        return told

    # -- one run

    def whole(self) -> None:
        """A run that nobody kills: what every other one has to give, and how long it takes."""
        began = time.monotonic()
        pid, read = self.runner(0, None, None)
        os.waitpid(pid, 0)
        self.seconds = time.monotonic() - began
        told = self.hear(read)
        if told.status != "succeeded" or told.output is None:
            raise SystemExit(f"the workflow does not even run: {told} {self.report.faults}")
        self.expected = told.output
        (self.folder / "effects-0").unlink()

    def killed(self, number: int, point: str | None) -> None:
        """A run whose runner is killed, until it has been resumed to its end."""
        self.report.runs += 1
        known = set(self.run_ids()) if self.executes else set()
        run_id: str | None = None
        for round_ in range(MOST_RECOVERIES + 1):
            dies = round_ == 0 or (round_ < MOST_RECOVERIES and self.random.random() < AGAIN)
            told = self._once(number, run_id, point if round_ == 0 else None, dies)
            run_id = run_id or told.run_id
            if run_id is None:
                found = [one for one in self.run_ids() if one not in known] if self.executes else self.last(1)
                run_id = found[0] if found else None
                if run_id is None:
                    return  # it was killed before its row was kept, and nobody was told of a run
            if told.status is None:
                self._ask(run_id, told)
            if told.status is not None:  # it ended, whatever became of its runner afterwards
                self._judge(run_id, told)
                break
        else:
            self.report.faults.append(f"{run_id} did not end after {MOST_RECOVERIES} resumes")
        self.unchecked.append((run_id, number))

    def _once(self, number: int, run_id: str | None, point: str | None, dies: bool) -> Told:
        pid, read = self.runner(number, run_id, point)
        if dies and point is None:
            time.sleep(self.random.uniform(0.0, self.seconds * 1.05))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        was_killed = os.WIFSIGNALED(status)
        told = self.hear(read)
        self.report.kills += was_killed
        self.report.resumes += run_id is not None
        self.report.acknowledged += run_id is None and told.run_id is not None
        return told

    def _ask(self, run_id: str, told: Told) -> None:
        """A runner may be killed between its run's end and its saying so: then the store knows."""

        def ask() -> list[Any] | None:
            store = open_store(self.url)
            row = store.run(run_id)
            if row is None or row.ended is None:
                return None
            return [row.status, json.dumps(stored_result(store, run_id).output, sort_keys=True)]

        found = self.apart(ask)
        if found is not None:
            told.status, told.output = found

    def _judge(self, run_id: str, told: Told) -> None:
        if told.status != "succeeded":
            self.report.faults.append(f"{run_id} ended {told.status}")
        elif told.output != self.expected:
            self.report.faults.append(f"{run_id} gave {told.output}, not {self.expected}")

    # -- what is left

    def apart(self, function: Callable[[], Any]) -> Any:
        """Ask something of the store in a process of its own, so that none here has it open."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(read)
                with open(write, "w", encoding="utf-8") as file:
                    json.dump(function(), file)
            finally:
                os._exit(0)
        os.close(write)
        with open(read, encoding="utf-8") as file:
            text = file.read()
        os.waitpid(pid, 0)
        return json.loads(text)

    def run_ids(self) -> list[str]:
        """Every run, newest first."""

        def ask() -> list[str]:
            from nodeling_runtime.store.model import RunFilter

            store = open_store(self.url)
            return [row.run_id for row in store.runs(RunFilter())]

        return list(self.apart(ask))

    def last(self, count: int) -> list[str]:
        """The newest runs that have not ended."""

        def ask() -> list[str]:
            from nodeling_runtime.store.model import RunFilter

            store = open_store(self.url)
            return [row.run_id for row in store.runs(RunFilter(limit=count, statuses=("queued", "running")))]

        return list(self.apart(ask))

    def check(self) -> None:
        """Judge the runs that have ended since the last time."""
        runs, self.unchecked = self.unchecked, []

        def ask() -> dict[str, Any]:
            store = open_store(self.url)
            faults = store.check()
            lost = 0
            for run_id, number in runs:
                row = store.run(run_id)
                if row is None or row.status != "succeeded":
                    faults.append(f"{run_id} was acknowledged and is {row and row.status}")
                    continue
                done = effects(self.folder / f"effects-{number}")
                attempts = store.attempts(run_id)
                lost += sum(one.state == "lost" for one in attempts)
                found = check_run(store, run_id, done) + extra_effects(run_id, attempts, done)
                faults += [f"{run_id}: {fault}" for fault in found]
            return {"faults": faults, "lost": lost}

        found = self.apart(ask)
        self.report.faults += found["faults"]
        self.report.recovered_attempts += found["lost"]
        for _, number in runs:
            (self.folder / f"effects-{number}").unlink(missing_ok=True)

    def orphans(self) -> list[str]:
        """What still runs of all that was started here, after the time it has to end."""
        until = time.monotonic() + ORPHAN_SECONDS
        while (left := list(marked(str(self.folder)))) and time.monotonic() < until:
            time.sleep(0.05)
        return left


def marked(folder: str) -> Iterator[str]:
    """The processes that bear the mark of this rig, but for this one."""
    word = f"{MARK}={folder}".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                if word in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    yield f"{entry}: {Path(f'/proc/{entry}/cmdline').read_bytes()[:200]!r}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--flow", type=Path, default=FLOW)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=None, help="stop after so long, with what there is")
    parser.add_argument("--least", type=int, default=0, help="but not before so many kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--point", default=None)
    parser.add_argument("--exec", dest="executes", action="store_true")
    parser.add_argument("--durability", default="full")
    given = parser.parse_args()
    rig = Rig(given.folder, given.flow, given.seed, executes=given.executes, durability=given.durability)
    rig.whole()
    until = None if given.seconds is None else time.monotonic() + given.seconds
    number = 0

    def goes_on() -> bool:
        if until is None or time.monotonic() < until:
            return rig.report.kills < given.kills
        return rig.report.kills < given.least

    while goes_on():
        number += 1
        point = None
        if given.point is not None:
            point = f"{given.point}:{rig.random.randint(1, MET_IN_A_RUN.get(given.point, 25))}"
        rig.killed(number, point)
        if len(rig.unchecked) >= 50:
            rig.check()
    rig.check()
    rig.report.faults += [f"an orphan: {one}" for one in rig.orphans()]
    report = rig.report
    print(json.dumps({**asdict(report), "seconds_of_one": rig.seconds}))


if __name__ == "__main__":
    main()
