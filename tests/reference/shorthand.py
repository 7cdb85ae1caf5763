"""Short names for writing scenarios by hand and for reading their results."""

from __future__ import annotations

from typing import Any

from reference.interpreter import interpret
from reference.model import Attempt, Json, Link, Scenario, Settings, Step
from reference.result import Result


def ok(
    name: str, ms: int = 10, output: Json = None, sets: dict[str, Json] | None = None, **keys: Any
) -> Step:
    """A leaf that succeeds."""
    deletes: tuple[str, ...] = keys.pop("deletes", ())
    return Step(name, attempts=(Attempt(ms, output=output, set=sets or {}, delete=deletes),), **keys)


def bad(name: str, ms: int = 10, code: int = 5000, sets: dict[str, Json] | None = None, **keys: Any) -> Step:
    """A leaf that fails in every attempt."""
    return Step(name, attempts=(Attempt(ms, fail=code, set=sets or {}),), **keys)


def on(step: str, *words: str, **keys: Any) -> Link:
    """A link, by default for success."""
    return Link(step, words or ("success",), **keys)


def run(*steps: Step, **keys: Any) -> Result:
    """Interpret these steps under the settings and interruptions given by name."""
    settings = Settings(keys.pop("on_failure", "continue"), keys.pop("max_concurrent", None))
    return interpret(Scenario(steps, settings, **keys))


def ends(result: Result) -> dict[str, str]:
    """How each step ended: `succeeded`, `skipped(upstream)`, …"""
    return {
        path: step.status + (f"({step.reason})" if step.reason else "") for path, step in result.steps.items()
    }


def span(result: Result, path: str) -> tuple[int | None, int | None]:
    """When a step started and ended."""
    return result.steps[path].started_ms, result.steps[path].ended_ms


def seen(result: Result, path: str) -> dict[str, Json]:
    """The context keys a step saw."""
    return dict(result.steps[path].seen or {})
