"""Why a worker's calls have no output: one place for the words.

Invariant: the error of a lost call says what happened to the process, and quotes its last line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from nodeling._dataclass import dataclass
from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.dispatch.caps import OVER
from nodeling_runtime.dispatch.exec_result import error_of
from nodeling_runtime.dispatch.process import Exit

LONGEST_QUOTE = 500


@dataclass(frozen=True, slots=True)
class Doom:
    """Why the host ended a worker."""

    code: int
    what: str
    details: Mapping[str, Any] = field(default_factory=dict)


CANCELLED = Doom(9006, "was killed because its call was ended")
SIBLING = Doom(9003, "was killed because another call in it did not end")
SHUTDOWN = Doom(9009, "was killed because the runtime is shutting down")
SILENT = Doom(9010, "answered no ping and was killed")
DEAF = Doom(9010, "took nothing of what it was sent and was killed")
STARTUP = Doom(9002, "did not answer node/hello in time and was killed")


def violation(message: str) -> Doom:
    """The worker broke the protocol."""
    return Doom(9004, f"was killed: {message}")


@dataclass(frozen=True, slots=True)
class Lost:
    """What is known of a worker that is no more."""

    name: str
    exit: Exit | None
    cause: str | None
    measured: float  # what was too much, where that is the cause
    stderr: str
    stage: str  # `handshake` or `call`
    caps: Mapping[str, float]
    doom: Doom | None

    def error(self) -> CallError:
        """The error of a call that was open."""
        if self.cause is not None and self.cause in OVER:
            passed = OVER[self.cause].passed(self.caps[self.cause], self.measured)
            return self._error(*passed)
        if self.doom is not None:
            return self._error(self.doom.code, self.doom.what, self.doom.details)
        code = 9002 if self.stage == "handshake" else 9003
        return self._error(code, self._ending())

    def _ending(self) -> str:
        when = " before it answered node/hello" if self.stage == "handshake" else ""
        if self.cause == "warden":
            return f"was killed{when} because the guard process of the workers died"
        if self.exit is None:
            return f"closed its channel{when} and did not end"
        if self.exit.signal is not None:
            return f"was killed by {self.exit.signal_name}{when}"
        if self.exit.code == 0:
            return f"ended{when or ' without an answer'} (exit code 0)"
        return f"ended with exit code {self.exit.code}{when or ' in the middle of a call'}"

    def _error(self, code: int, what: str, more: Mapping[str, Any] | None = None) -> CallError:
        details: dict[str, Any] = {"stage": self.stage}
        if self.exit is not None and self.exit.code is not None:
            details["exit_code"] = self.exit.code
        if self.exit is not None and self.exit.signal is not None:
            details["signal"] = self.exit.signal_name
        if self.stderr:
            details["stderr"] = self.stderr
        last = self.stderr.rpartition("\n")[2].strip()[:LONGEST_QUOTE]
        message = f"{self.name} {what}: {last}" if last else f"{self.name} {what}"
        return error_of(code, message, started=self.stage != "handshake", details={**details, **(more or {})})
