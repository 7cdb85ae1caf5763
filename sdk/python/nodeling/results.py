"""How a run ended, as a typed object with a repr worth reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodeling._python import SLOTS
from nodeling.errors import NodelingError
from nodeling.values import decode

__all__ = ["RunFailed", "RunResult", "StepResult"]


class RunFailed(NodelingError):
    """A run that `raise_for_status` was asked about did not succeed."""

    default_code = "run.failed"


@dataclass(frozen=True, **SLOTS)
class StepResult:
    """One step of a run that has ended."""

    name: str
    status: str
    reason: str | None
    attempts: int
    duration_ms: float
    metrics: Mapping[str, Any]
    error: dict[str, Any] | None
    data: bytes | None = field(default=None, repr=False)

    @property
    def output(self) -> Any:
        """A copy of the step's output; None unless it succeeded."""
        return None if self.data is None else decode(self.data)

    def __repr__(self) -> str:
        """`StepResult('load', succeeded, 12.3 ms)`, with the error where there is one."""
        said = f" [{self.error['code']}] {self.error['message']}" if self.error else ""
        why = f"({self.reason})" if self.reason else ""
        return f"StepResult({self.name!r}, {self.status}{why}, {self.duration_ms:.1f} ms{said})"


@dataclass(frozen=True, **SLOTS)
class RunResult:
    """A run that has ended."""

    run_id: str
    workflow: str
    status: str
    steps: Mapping[str, StepResult]
    error: dict[str, Any] | None
    duration_ms: float
    started: float = 0.0
    leaked: int = 0
    data: bytes | None = field(default=None, repr=False)

    @property
    def output(self) -> Any:
        """A copy of the run's output; None unless it succeeded."""
        return None if self.data is None else decode(self.data)

    @property
    def outputs(self) -> dict[str, Any]:
        """Every step's output, by name; None where a step has none."""
        return {name: step.output for name, step in self.steps.items()}

    @property
    def succeeded(self) -> bool:
        """Whether the run succeeded."""
        return self.status == "succeeded"

    def raise_for_status(self) -> RunResult:
        """This result, when it succeeded.

        Raises:
            RunFailed: It did not; the message says which step, and why.
        """
        if self.succeeded:
            return self
        error = self.error or {"code": self.status, "message": f"the run was {self.status}", "step": None}
        raise RunFailed(
            f"[{error['code']}] {error['message']}", code=error["code"], step=error.get("step"), details=error
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `nodectl run --json` prints."""
        return {
            "run_id": self.run_id,
            "workflow": self.workflow,
            "status": self.status,
            "output": self.output,
            "outputs": self.outputs,
            "steps": {
                name: {
                    "status": step.status,
                    "reason": step.reason,
                    "attempts": step.attempts,
                    "duration_ms": step.duration_ms,
                    "metrics": dict(step.metrics),
                    "error": step.error,
                }
                for name, step in self.steps.items()
            },
            "error": self.error,
            "duration_ms": self.duration_ms,
        }

    def __repr__(self) -> str:
        """The status, the time and every step, a line each."""
        lines = [f"RunResult({self.workflow!r}, {self.status}, {self.duration_ms:.1f} ms)"]
        lines.extend(f"  {step!r}" for step in list(self.steps.values())[:20])
        if len(self.steps) > 20:
            lines.append(f"  … and {len(self.steps) - 20} more steps")
        return "\n".join(lines)
