"""What becomes of a process that uses more than its `limits` allow: one place for codes and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeling._dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Cap:
    """One of a node's limits."""

    name: str
    code: int
    words: str
    measure: str  # the name of what was measured, in the error's details

    def passed(self, limit: float, found: float) -> tuple[int, str, dict[str, Any]]:
        """The code, the words and the details of the error of a process that went over it."""
        details = {"limit": self.name, self.name: limit, self.measure: round(found, 1)}
        return self.code, self.words.format(limit=limit, found=found), details


OVER: Mapping[str, Cap] = {
    cap.name: cap
    for cap in (
        Cap(
            "memory_mb",
            9008,
            "used more than its {limit:g} MiB of memory and was killed (peak {found:.0f} MiB)",
            "peak_rss_mb",
        ),
        Cap(
            "processes",
            9003,
            "had {found:.0f} processes where {limit:g} are allowed, and was killed",
            "found",
        ),
        Cap(
            "disk_mb",
            9003,
            "had {found:.1f} MiB in its private folders where {limit:g} are allowed, and was killed",
            "found",
        ),
    )
}
