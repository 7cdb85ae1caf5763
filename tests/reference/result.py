"""What the interpreter says must have happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from reference.model import Json
from reference.rules import Code

RAISED: Final = "expr.*"
"""The code of a step that failed because an expression raised: any code of that family."""


class _Opaque:
    def __repr__(self) -> str:
        return "OPAQUE"


OPAQUE: Final = _Opaque()
"""Stands for a container's output, about which the interpreter says nothing."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """The end of one step.

    `code` is None where the step did not fail, and where a container failed for its children's sake (no
    code is judged then). `may_be_absent` marks a child that its container never started: whether such a
    child is listed at all is the reporter's choice.
    """

    status: str
    reason: str | None = None
    attempts: int = 0
    started_ms: int | None = None
    ended_ms: int | None = None
    code: Code | None = None
    limit: str | None = None
    handled: bool | None = None
    seen: Mapping[str, Json] | None = None
    may_be_absent: bool = False
    is_container: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a run.

    `steps` is keyed by path (`work/chunk-1`); steps of a scope that was never opened are not in it.
    `vars` is meaningful for a run that succeeded. `unclear` lists the places where the order inside one
    instant, or a rule that says nothing, would decide: such a scenario judges nobody.
    """

    run_status: str
    run_code: Code | None
    ended_ms: int
    steps: Mapping[str, StepResult]
    vars: Mapping[str, Json]
    output: Json
    outputs: Mapping[str, Json]
    starts: tuple[str, ...]
    unclear: tuple[str, ...]
    trace: Counter[str] = field(default_factory=Counter)
