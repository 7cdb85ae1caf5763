"""What every comparison is given: who takes part, how often, and for how long."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import OURS
from benchmarks.peer import Peer, PeerError
from benchmarks.shapes import Run
from benchmarks.turns import Contestant, in_turn


@dataclass(slots=True)
class Stage:
    """One comparison's surroundings.

    Args:
        folder: For files that are gone afterwards.
        rounds: How many rounds at most.
        seconds: After which no contest begins another round.
        peers: Those that answer, by name.
        absent: The others, with the reason.
        wanted: The names of the peers that were asked for.
    """

    folder: Path
    rounds: int
    seconds: float
    peers: dict[str, Peer] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()

    def say(self, text: str) -> None:
        """A line of progress."""
        print(text, file=sys.stderr, flush=True)

    def rivals(self, work: str, size: int) -> dict[str, Contestant]:
        """The peers that do a work of a size, as contestants that give seconds."""
        return {
            peer.kind.label: _limited(peer, work, size)
            for peer in self.peers.values()
            if work in peer.works and size <= peer.kind.most
        }

    async def contest(
        self, contestants: Mapping[str, Contestant], seconds: float | None = None, *, warm_up: bool = True
    ) -> dict[str, list[float]]:
        """Some rounds of turns; a peer that fails is out, with the reason, and the others go on."""
        while True:
            try:
                budget = self.seconds if seconds is None else seconds
                times = await in_turn(contestants, self.rounds, budget, warm_up=warm_up)
            except FailedError as failed:
                self.say(f"{failed.label} is out: {failed}")
                self.absent[failed.label] = str(failed)
                self.peers = {name: one for name, one in self.peers.items() if one.kind.label != failed.label}
                contestants = {name: one for name, one in contestants.items() if name != failed.label}
                continue
            return {label: [one for one in found if one == one] for label, found in times.items()}


class FailedError(Exception):
    """A peer failed while it was measured."""

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(reason)
        self.label = label


def _limited(peer: Peer, work: str, size: int) -> Contestant:
    """A peer that takes seconds takes part in a few rounds only; the others are not a number."""
    left = 1 + peer.kind.rounds  # the first is to warm up

    async def turn() -> float:
        nonlocal left
        left -= 1
        if left < 0:
            return float("nan")
        try:
            return await peer.measured(work, size)
        except PeerError as error:
            peer.close()
            raise FailedError(peer.kind.label, str(error)) from error

    return turn


def timed(run: Run) -> Contestant:
    """A run of ours as a contestant that gives seconds."""

    async def turn() -> float:
        began = time.perf_counter()
        await run()
        return time.perf_counter() - began

    return turn


def ours(run: Run, label: str = OURS) -> dict[str, Contestant]:
    """The same, by name."""
    return {label: timed(run)}


@contextlib.contextmanager
def on_all_cores() -> Iterator[None]:
    """Undo the pinning for what is meant to use them."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
