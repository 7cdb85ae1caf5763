"""The engine, judged by the reference interpreter on thousands of random workflows in virtual time.

The fixed seed makes a failure reproducible; a fresh one is drawn in every run and named in the failure,
so that no two runs look at the same workflows only.
"""

from __future__ import annotations

import json
import random
import secrets
from collections import Counter

import pytest

from reference import adapter
from reference.compare import differences
from reference.graphs import REQUIRED, features, random_case
from reference.model import Scenario

FIXED_SEED = 2024
COUNT = 4_000
FRESH_COUNT = 500
LARGE_COUNT = 300
LEAST = 100


def judged(seed: str, size: int) -> Counter[str]:
    """Compare one scenario; the features it exercised."""
    scenario, expected = random_case(random.Random(seed), size)
    found = differences(expected, adapter.engine_account(scenario))
    if found:
        pytest.fail(f"seed {seed!r}, size {size}\n" + told(scenario) + "\n" + "\n".join(found))
    return features(scenario, expected)


def told(scenario: Scenario) -> str:
    """The scenario as a document, one step a line."""
    document = scenario.to_document()
    lines = [json.dumps(step) for step in document.pop("steps")]
    return "\n".join([json.dumps(document), f"cancel at {scenario.cancel_at_ms}", *lines])


def test_the_engine_does_what_the_interpreter_says_and_every_rule_is_reached_often() -> None:
    reached: Counter[str] = Counter()
    for number in range(COUNT):
        reached.update(judged(f"{FIXED_SEED}:{number}", 12))
    assert {name: reached[name] for name in REQUIRED if reached[name] < LEAST} == {}


def test_workflows_that_nobody_has_seen_before_end_as_the_interpreter_says() -> None:
    fresh = secrets.randbits(32)
    print(f"fresh seed {fresh}")
    for number in range(FRESH_COUNT):
        judged(f"{fresh}:{number}", 12)


def test_larger_workflows_end_as_the_interpreter_says() -> None:
    for number in range(LARGE_COUNT):
        judged(f"{FIXED_SEED}:large:{number}", 30)
