"""Random scenarios, legal by construction, that reach every rule.

References go to ancestors only, links stay within their phase, and no two things happen in one instant:
a scenario whose outcome would hang on such a tie is thrown away and drawn again. The features counted by
the interpreter say which rules a scenario really exercised; `REQUIRED` is the list that a suite of many
scenarios must reach.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from reference.drafts import Drawer
from reference.interpreter import interpret
from reference.model import Kind, Scenario, Settings
from reference.result import Result

MAX_TRIES = 200
FOCUS: tuple[Kind | None, ...] = (
    "sequence",
    "sequence",
    "parallel",
    "parallel",
    "try",
    None,
    None,
    None,
    None,
)
WEATHER = ((0.02, 0.5, 0.1, 5), (0.12, 0.4, 0.8, 15), (0.3, 0.2, 1.2, 20), (0.25, 0.2, 0.4, 90))
"""Kinds of scenario, as (how often leaves fail, how often they write, how often rare keys appear,
how much failure links weigh)."""
WEATHER_WEIGHTS = (6, 3, 2, 2)


def random_scenario(rng: random.Random, size: int = 12) -> Scenario:
    """Draw a scenario of at most this many steps whose outcome is clear."""
    return random_case(rng, size)[0]


def random_case(rng: random.Random, size: int = 12) -> tuple[Scenario, Result]:
    """Draw a scenario and interpret it."""
    for _ in range(MAX_TRIES):
        scenario = _draw(rng, size)
        result = interpret(scenario)
        if rng.random() < 0.22:
            scenario = _interrupted(rng, scenario, result.ended_ms)
            result = interpret(scenario)
        if not result.unclear:
            return scenario, result
    raise AssertionError(f"no clear scenario in {MAX_TRIES} tries")


def random_cases(seed: int, count: int, size: int = 12) -> Iterator[tuple[Scenario, Result]]:
    """The scenarios of one seed, each drawn from its own number so that any can be drawn again alone."""
    for number in range(count):
        yield random_case(random.Random(f"{seed}:{number}"), size)


def features(scenario: Scenario, result: Result) -> Counter[str]:
    """Which rules this scenario exercised, and how often."""
    found = Counter(result.trace)
    found[f"run.ended_{result.run_status}"] += 1
    for step in scenario.walk():
        found[f"kind.{step.kind}"] += 1
    for end in result.steps.values():
        found[f"status.{end.status}" + (f".{end.reason}" if end.reason else "")] += 1
        if end.handled is not None:
            found["failure.handled" if end.handled else "failure.unhandled"] += 1
        if end.limit:
            found[f"killed.{end.limit}"] += 1
    found.update(_tombstones(scenario, result))
    return found


def _tombstones(scenario: Scenario, result: Result) -> Counter[str]:
    """Deletions that took a key away from somebody who would otherwise have seen it."""
    deleting = {step.name for step in scenario.walk() if any(item.delete for item in step.attempts)}
    found: Counter[str] = Counter()
    for path, step in result.steps.items():
        if path.rsplit("/", 1)[-1] in deleting and step.status == "succeeded" and step.seen:
            found["context.tombstone"] += 1
    return found


def _draw(rng: random.Random, size: int) -> Scenario:
    weather = rng.choices(WEATHER, WEATHER_WEIGHTS)[0]
    drawer = Drawer(rng, max(rng.randint(min(3, size), size) for _ in range(2)), *weather, rng.choice(FOCUS))
    steps = drawer.scope(drawer.left, depth=0, outer=())
    settings = Settings(
        on_failure="stop" if rng.random() < 0.45 else "continue",
        max_concurrent=rng.choice([1, 2, 2, 3]) if rng.random() < 0.45 else None,
    )
    return Scenario(steps, settings)


def _interrupted(rng: random.Random, scenario: Scenario, ended_ms: int) -> Scenario:
    """The same with a cancel or a run timeout somewhere in the middle."""
    moment = rng.randint(1, max(2, ended_ms))
    if rng.random() < 0.5:
        return replace(scenario, cancel_at_ms=moment)
    return replace(scenario, run_timeout_ms=moment)


REQUIRED: tuple[str, ...] = (
    *(f"on.{word}.{fate}" for word in ("success", "failure", "done", "skipped") for fate in ("met", "unmet")),
    "on.any.met",
    "on.list",
    "implicit.met",
    "implicit.unmet",
    "link_if.true",
    "link_if.false",
    "link_if.raises",
    "if.true",
    "if.false",
    "if.raises",
    *(f"join.{join}.{fate}" for join in ("all", "any", "at_least") for fate in ("met", "unmet")),
    *(f"skipped.{reason}" for reason in ("inactive", "condition", "upstream", "stopped")),
    *(f"cancelled.{reason}" for reason in ("stopped", "stopped_by", "cancelled", "run_timeout")),
    "failure.handled",
    "failure.unhandled",
    "on_error_continue",
    "on_failure.stop",
    "on_failure.waits",
    "stop",
    "retry.used",
    "retry.used_with_on",
    "retry.refused",
    "retry.refused_with_on",
    "retry.exhausted",
    "killed.timeout",
    "killed.deadline",
    "bound.reached",
    "phase.on_error",
    "phase.on_error_not_needed",
    "phase.on_error_passed_over",
    "phase.always",
    "phase.always_after_cancel",
    "recover.succeeded",
    "recover.failed",
    "nested_scope",
    "run.cancelled",
    "run.run_timeout",
    "context.conflict_at_join",
    "context.failed_writes_seen_by_body",
    "context.failed_writes_seen_by_on_error",
    "context.failed_container_seen",
    "context.tombstone",
    "conflict_at_scope_end",
    "merge.last",
    "merge.deep",
    "merge_at_scope_end.last",
    "merge_at_scope_end.deep",
    "set_var",
    "parallel.fail_fast",
    "parallel.partial",
    "parallel.succeeded",
    "parallel.bound_reached",
    "parallel.min_success_unmet",
    "parallel.conflict",
    "parallel.merge.last",
    "parallel.merge.deep",
    "try.caught",
    "try.catch_failed",
    "try.finally",
    "try.finally_failed",
)
"""The features that a suite must show often: each in more than a hundred of 4,000 scenarios."""
