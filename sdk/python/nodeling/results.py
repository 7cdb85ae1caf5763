"""How a run ended, as a typed object with a repr worth reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, BinaryIO, Protocol, Union

from nodeling._dataclass import dataclass
from nodeling._python import SLOTS
from nodeling.errors import NodelingError
from nodeling.values import decode

__all__ = ["RunFailed", "RunResult", "StepResult"]


class Held(Protocol):
    """An output that lies in files, read when somebody asks for it."""

    @property
    def data(self) -> bytes:
        """All of it as JSON."""

    @property
    def skeleton(self) -> bytes:
        """The same with its files by reference."""

    @property
    def blobs(self) -> Mapping[str, Any]:
        """Its files by name."""


Data = Union[bytes, Held, None]  # noqa: UP007  # read at run time, where 3.9 knows no `|`


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
    held: Data = field(default=None, repr=False)

    @property
    def data(self) -> bytes | None:
        """The step's output as JSON; None unless it succeeded."""
        return _bytes_of(self.held)

    @property
    def output(self) -> Any:
        """A copy of the step's output; None unless it succeeded."""
        data = self.data
        return None if data is None else decode(data)

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
    held: Data = field(default=None, repr=False)

    @property
    def data(self) -> bytes | None:
        """The run's output as JSON; None unless it succeeded."""
        return _bytes_of(self.held)

    @property
    def output(self) -> Any:
        """A copy of the run's output; None unless it succeeded."""
        data = self.data
        return None if data is None else decode(data)

    def open_blob(self, handle: Any) -> BinaryIO:
        """The bytes of a handle `{"$blob": …}` that stands in an output, as a file.

        The files of a run last as long as its result.

        Raises:
            NodelingError: No output of this run refers to them.
        """
        about = handle.get("$blob") if isinstance(handle, Mapping) else None
        name = about.get("path", "") if isinstance(about, Mapping) else ""
        for held in (self.held, *(step.held for step in self.steps.values())):
            blob = None if held is None or isinstance(held, bytes) else held.blobs.get(name)
            if blob is not None:
                found: BinaryIO = blob.open()
                return found
        raise NodelingError("no output of this run holds such a blob", code="context.no_blobs")

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


def _bytes_of(held: Data) -> bytes | None:
    return held if held is None or isinstance(held, bytes) else held.data
