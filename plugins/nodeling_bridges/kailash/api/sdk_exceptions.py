"""What a run that failed raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeling.errors import NodelingError

__all__ = ["WorkflowExecutionError"]


class WorkflowExecutionError(NodelingError):
    """A node failed, and nothing in the workflow dealt with it.

    Attributes:
        results: What every node gave; a failed one's `error` says why, a skipped one gave None.
        run_id: The run.
        failed: The nodes that failed.
    """

    default_code = "kailash.run"

    def __init__(self, message: str, results: Mapping[str, Any], run_id: str, failed: list[str]) -> None:
        super().__init__(message, hint="`results` of this error holds what the others gave")
        self.results = dict(results)
        self.run_id = run_id
        self.failed = failed
