"""The thread that speaks for everybody who runs runs here: one heartbeat and one look for all of them.

It says that their owner is alive, where the store wants to hear it, and asks whether one of them was told
to end or was taken over. A claim of which no heartbeat has been kept for two of their intervals is stale:
the machine slept, the process was stopped, the store is away. Nothing more may be begun under it, while the
lease that others see goes on for another. Its age is counted by a clock that goes on while a machine sleeps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from nodeling._dataclass import dataclass
from nodeling.errors import StoreError
from nodeling_runtime.store.base import Store
from nodeling_runtime.store.model import Appended, Claim, Fenced

LOOK_SECONDS = 0.5  # how soon a run that has nothing to write learns that it was told to end
STALE_BEATS = 2
CLOSING_SECONDS = 2.0
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

Tell = Callable[[Appended | Fenced], None]


def boot_time() -> float:
    """Seconds, those that the machine slept through included."""
    return time.clock_gettime(_CLOCK)


@dataclass(slots=True)
class _Watched:
    """One claim, who wants to know of it, and when it was last said to be alive."""

    claim: Claim
    tell: Tell
    beat: float


class Pulse:
    """One thread over one store."""

    def __init__(self, store: Store, clock: Callable[[], float] = boot_time) -> None:
        self._store = store
        self._clock = clock
        self._watched: dict[Claim, _Watched] = {}
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, claim: Claim, tell: Tell) -> None:
        """Keep a claim alive from now on; `tell` is called, in another thread, of what is found.

        Who watches a claim that is watched already takes it over, and its age with it.
        """
        with self._guard:
            known = self._watched.get(claim)
            beat = self._clock() if known is None else known.beat
            self._watched[claim] = _Watched(claim, tell, beat)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="nodeling-pulse", daemon=True)
                self._thread.start()

    def unwatch(self, claim: Claim) -> None:
        """The claim is given up."""
        with self._guard:
            self._watched.pop(claim, None)

    def is_stale(self, claim: Claim) -> bool:
        """Whether nothing more may be begun under a claim, because others may soon have it."""
        beat = self._store.heartbeat_seconds
        watched = self._watched.get(claim)
        if beat is None or watched is None:
            return False
        return self._clock() - watched.beat >= STALE_BEATS * beat

    def close(self) -> None:
        """Say nothing more. A call of a store that is away ends when that is closed."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSING_SECONDS)

    def _work(self) -> None:
        beat = self._store.heartbeat_seconds
        while not self._closing.wait(LOOK_SECONDS if beat is None else min(LOOK_SECONDS, beat / 2)):
            with self._guard:
                watched = list(self._watched.values())
            if not watched:
                continue
            try:
                overtaken = self._beat(watched, beat)
                reasons = self._store.cancels([one.claim for one in watched])
            except StoreError:
                continue  # what cannot be said makes the claims stale, and what cannot be written is heard of
            for one in watched:
                reason = reasons.get(one.claim.run_id)
                if one.claim in overtaken:
                    one.tell(Fenced(None))
                elif reason is not None:
                    one.tell(Appended(0, reason))

    def _beat(self, watched: list[_Watched], seconds: float | None) -> list[Claim]:
        """Say that all these claims are alive, when it is time to; those that have been overtaken."""
        if seconds is None:
            return []
        now = self._clock()
        if all(now - one.beat < seconds for one in watched):
            return []
        overtaken = self._store.heartbeat([one.claim for one in watched])
        with self._guard:
            for one in watched:
                known = self._watched.get(one.claim)
                if known is not None and one.claim not in overtaken:
                    known.beat = now
        return overtaken
