"""The peers: which there are, what each of them can do, and the process in which one answers.

Each runs in an environment of its own, installed in a pinned version by the first comparison that needs it.
Every wait has a bound: a peer that does not answer is left out, with the reason, and ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from benchmarks.environments import NotInstalledError, python_with

PROGRAMS = Path(__file__).with_name("peers")
START_SECONDS = 120.0  # until a peer that starts a server of its own is ready
ANSWER_SECONDS = 90.0
END_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One peer."""

    name: str
    title: str
    program: str
    requirements: tuple[str, ...] = ()
    most: int = 1_000  # the largest size that makes sense
    rounds: int = 1_000  # how often it takes part at most: some take seconds

    @property
    def label(self) -> str:
        """What it is called beside a figure."""
        return f"{self.title} {self.requirements[0].partition('==')[2]}" if self.requirements else self.title


KINDS = (
    Kind("asyncio", "bare asyncio", "bare_asyncio.py", most=100_000),
    Kind("futures", "concurrent.futures", "futures.py", most=100_000),
    Kind("execnet", "execnet", "execnet_gateways.py", ("execnet==2.1.2",)),
    Kind("kailash", "kailash", "kailash_async.py", ("kailash==2.65.0",), most=100),
    Kind("langgraph", "langgraph", "langgraph_async.py", ("langgraph==1.2.22",), most=100),
    Kind("hamilton", "hamilton", "hamilton_driver.py", ("sf-hamilton==1.90.0",), most=100),
    Kind("dbos", "DBOS", "dbos_sqlite.py", ("dbos==3.4.0",), most=100, rounds=4),
    Kind("dask", "dask.distributed", "dask_local.py", ("distributed==2026.8.0",), most=100, rounds=5),
    Kind(
        "prefect", "prefect", "prefect_local.py", ("prefect==3.8.8", "fastapi==0.139.2"), most=100, rounds=2
    ),
)
MCP = Kind("mcp", "MCP SDK", "", ("mcp==2.3.0",))


class PeerError(Exception):
    """A peer cannot take part, and why."""


class Peer:
    """A peer's process."""

    def __init__(self, kind: Kind) -> None:
        """Start it.

        Raises:
            PeerError: It cannot be installed, or does not start.
        """
        self.kind = kind
        try:
            python = python_with(kind.name, kind.requirements)
        except NotInstalledError as error:
            raise PeerError(str(error)) from error
        self._process = subprocess.Popen(
            [python, PROGRAMS / kind.program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            self.works: frozenset[str] = frozenset(self._answer(START_SECONDS)["works"])
        except PeerError:
            self.close()
            raise

    async def measured(self, work: str, size: int) -> float:
        """The seconds that it took for a work of a size."""
        if self._process.stdin is None:
            raise PeerError(f"{self.kind.title} has no stdin")
        try:
            self._process.stdin.write(f"{work} {size}\n")
            self._process.stdin.flush()
        except OSError as error:
            raise PeerError(f"{self.kind.title} is gone: {error.strerror}") from error
        return float(self._answer(ANSWER_SECONDS)["seconds"])

    def close(self) -> None:
        """Hang up, and see to it that nothing is left."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # it may be gone already
                if stream is not None:
                    stream.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with contextlib.suppress(ProcessLookupError):  # whatever it started itself
            os.killpg(self._process.pid, signal.SIGKILL)

    def _answer(self, seconds: float) -> dict[str, Any]:
        if self._process.stdout is None:
            raise PeerError(f"{self.kind.title} has no stdout")
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                raise PeerError(f"no answer within {seconds:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(f"it ended with {self._process.wait(END_SECONDS)}")
        found: dict[str, Any] = json.loads(line)
        return found


def chosen(names: str) -> list[Kind]:
    """The peers that a list of names means; `all` and `none` are such lists.

    Raises:
        ValueError: There is no such peer.
    """
    kinds = {kind.name: kind for kind in (*KINDS, MCP)}
    if names in ("", "all"):
        return list(kinds.values())
    wanted = [] if names == "none" else names.replace(",", " ").split()
    unknown = [name for name in wanted if name not in kinds]
    if unknown:
        raise ValueError(f"no peer is called {unknown[0]}: there are {', '.join(kinds)}, all and none")
    return [kinds[name] for name in kinds if name in wanted]


def started(kinds: Sequence[Kind], say: TextIO) -> tuple[dict[str, Peer], dict[str, str]]:
    """The peers that answer, by name, and the others with the reason."""
    peers, absent = {}, {}
    for kind in kinds:
        print(f"starting {kind.title}", file=say)
        try:
            peers[kind.name] = Peer(kind)
        except PeerError as error:
            absent[kind.label] = str(error)
    return peers, absent
