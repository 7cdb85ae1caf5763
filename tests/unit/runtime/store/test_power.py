"""The power is cut at every point at which something was written: what was acknowledged is there (K3).

A preloaded library logs each write, truncation and sync of a process that fills a store, and each
acknowledgement in between. For every cut the files are made again as a disk may hold them: all that was
synced before the cut, and of what was written since then nothing, a part, or all.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nodeling_runtime.store.sqlite import SqliteStore
from nodeling_runtime.store.verify import verify_run
from programs import need

HERE = Path(__file__).parents[3] / "fixtures" / "power"
CUTS = int(os.environ.get("NODELING_CUTS", "200"))
HEAD = struct.Struct("@c63sqq")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the traced process."""

    op: str
    name: str
    offset: int
    data: bytes


@dataclass(slots=True)
class Disk:
    """The files as they are on the disk for sure, and what was written to them since."""

    sure: dict[str, bytearray] = field(default_factory=dict)
    since: dict[str, list[Call]] = field(default_factory=dict)

    def do(self, call: Call) -> None:
        if call.op == "u":  # SQLite syncs the folder at once, so this is sure, too
            self.sure.pop(call.name, None)
            self.since.pop(call.name, None)
        elif call.op == "s":
            image = self.sure.setdefault(call.name, bytearray())
            for earlier in self.since.pop(call.name, []):
                apply(image, earlier)
        else:
            self.since.setdefault(call.name, []).append(call)

    def after_a_cut(self, chance: random.Random) -> dict[str, bytes]:
        """What may be found: of what was not synced nothing, all, or some writes, the last one torn."""
        files = {}
        for name in self.sure.keys() | self.since.keys():
            image = bytearray(self.sure.get(name, b""))
            calls = self.since.get(name, [])
            kept = calls[: chance.choice([0, len(calls), chance.randint(0, len(calls))])]
            for call in kept:
                torn = call is kept[-1] and call.op == "w" and chance.random() < 0.5
                cut = chance.randint(0, len(call.data)) if torn else len(call.data)
                apply(image, Call(call.op, call.name, call.offset, call.data[:cut]))
            files[name] = bytes(image)
        return files


def apply(image: bytearray, call: Call) -> None:
    if call.op == "t":
        del image[call.offset :]
        image.extend(bytes(call.offset - len(image)))
    else:
        image.extend(bytes(max(0, call.offset - len(image))))
        image[call.offset : call.offset + len(call.data)] = call.data


def calls_in(log: Path) -> Iterator[Call]:
    data = log.read_bytes()
    at = 0
    while at < len(data):
        op, name, offset, size = HEAD.unpack_from(data, at)
        at += HEAD.size
        yield Call(op.decode(), name.rstrip(b"\0").decode(), offset, data[at : at + size])
        at += size


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("gcc")
    path = tmp_path_factory.mktemp("power") / "trace.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", str(path), str(HERE / "trace.c"), "-ldl", "-lpthread"],
        check=True,
    )
    return path


def traced(library: Path, folder: Path, durability: str) -> list[Call]:
    """Fill a store; every call that touched its files, and the acknowledgements between them."""
    store, log = folder / "store", folder / "log"
    store.mkdir(parents=True)
    subprocess.run(
        [sys.executable, str(HERE / "writer.py"), str(store), "40", durability],
        env={**os.environ, "LD_PRELOAD": str(library), "POWER_FOLDER": str(store), "POWER_LOG": str(log)},
        check=True, timeout=100,
    )  # fmt: skip
    return list(calls_in(log))


def missing(calls: list[Call], folder: Path, cuts: int) -> tuple[int, int, list[str]]:
    """Cut the power so often: how many cuts there were, how many lost something, and what else was wrong."""
    chance = random.Random(5)
    points = sorted(chance.sample(range(len(calls)), min(cuts, len(calls))))
    points += [chance.choice(points) for _ in range(cuts - len(points))]
    disk, acknowledged, lost, faults = Disk(), 0, 0, []
    wanted = sorted(points)
    for number, call in enumerate(calls):
        while wanted and wanted[0] == number:
            wanted.pop(0)
            found, fault = reopened(disk.after_a_cut(chance), folder)
            lost += found < acknowledged
            faults += fault
        if call.name == "acknowledged":
            acknowledged = int(call.data)
        elif not call.name.endswith((".lock", "-shm")):
            disk.do(call)
    return len(points), lost, faults


def reopened(files: dict[str, bytes], folder: Path) -> tuple[int, list[str]]:
    """Open what a cut left: how many events there are, and what is wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    store = SqliteStore(folder / "runs.db", "off")
    try:
        return len(store.events("r")), [*store.check(), *(verify_run(store, "r") if store.run("r") else [])]
    finally:
        store.close()


def test_under_full_no_cut_loses_what_was_acknowledged(library: Path, tmp_path: Path) -> None:
    """FAULTS 54."""
    calls = traced(library, tmp_path, "full")
    assert sum(call.name == "acknowledged" for call in calls) == 40
    assert any(call.op == "s" and call.name == "runs.db" for call in calls), "no checkpoint was met"
    cuts, lost, faults = missing(calls, tmp_path / "cut", CUTS)
    assert (cuts, lost, faults) == (CUTS, 0, [])


def test_without_syncs_the_same_cuts_do_lose_something(library: Path, tmp_path: Path) -> None:
    """Else the test above would show nothing."""
    calls = traced(library, tmp_path, "fast")
    _, lost, faults = missing(calls, tmp_path / "cut", 60)
    assert lost > 0
    assert faults == [], "`fast` may lose the last moments, and damages nothing"
