"""What a run of the suite found."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from nodeling._dataclass import dataclass
from nodeling.testing.conformance.cases import load_behaviours

__all__ = ["CaseResult", "Report", "told_of"]


@dataclass(frozen=True)
class CaseResult:
    """How one case ended, and why."""

    id: str
    section: str
    status: Literal["passed", "failed", "skipped"]
    reason: str = ""
    duration_ms: float = 0.0
    transcript: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Report:
    """All cases of one program."""

    command: tuple[str, ...]
    channel: str
    results: tuple[CaseResult, ...]

    def of(self, status: str) -> list[CaseResult]:
        """The cases that ended so."""
        return [result for result in self.results if result.status == status]

    @property
    def is_green(self) -> bool:
        """Whether something was judged, and nothing failed."""
        return bool(self.of("passed")) and not self.of("failed")

    def to_json(self) -> dict[str, Any]:
        """The report as data."""
        texts = load_behaviours()
        return {
            "command": list(self.command),
            "channel": self.channel,
            "passed": len(self.of("passed")),
            "failed": len(self.of("failed")),
            "skipped": len(self.of("skipped")),
            "cases": [
                {
                    "id": result.id,
                    "section": result.section,
                    "expects": texts.get(result.id, {}).get("text", ""),
                    "status": result.status,
                    "reason": result.reason,
                    "duration_ms": round(result.duration_ms, 1),
                    **({"transcript": list(result.transcript)} if result.status == "failed" else {}),
                }
                for result in self.results
            ],
        }

    def __str__(self) -> str:
        """The counts, and each failed case with the end of its transcript."""
        counts = ", ".join(f"{len(self.of(s))} {s}" for s in ("passed", "failed", "skipped"))
        lines = [f"{' '.join(self.command)} ({self.channel}): {counts}"]
        for result in self.of("failed"):
            lines.extend(told_of(result))
        return "\n".join(lines)


def told_of(result: CaseResult) -> list[str]:
    """A failed case for people: its section, what it expects, what came instead, the end of the talk."""
    expects = load_behaviours().get(result.id, {}).get("text", "")
    lines = [f"  FAILED {result.id} (section {result.section}): {expects}", f"      {result.reason}"]
    return [*lines, *(f"      {line}" for line in result.transcript[-12:])]
