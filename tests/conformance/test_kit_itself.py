"""The kit's own promises: manifest and cases name each other, and broken nodes are caught."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling.testing.conformance import Case, load_behaviours, load_cases, run_suite
from nodeling.testing.conformance.building import Names, build
from nodeling.testing.conformance.matching import difference
from nodeling.testing.conformance.wire_schema import SCHEMAS, frame_fault

NAMES = Names({"blobs": "/b", "work": "/w"})
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"


def test_every_behaviour_has_a_case_and_every_case_a_behaviour() -> None:
    behaviours = {name: one for name, one in load_behaviours().items() if not name.startswith("host.")}
    cases = load_cases()
    assert {case.behaviour for case in cases} == set(behaviours)
    assert len({case.id for case in cases}) == len(cases) >= 150
    for case in cases:
        assert behaviours[case.behaviour]["section"] == case.section, case.id


def test_every_section_a_case_names_stands_in_the_page() -> None:
    headings = set(re.findall(r"^## (\d+)\. ", PAGE.read_text(encoding="utf-8"), re.M))
    rules = set(re.findall(r"\*\*(F\d+)\*\*", PAGE.read_text(encoding="utf-8")))
    for case in load_cases():
        section, _, rule = case.section.partition(" ")
        assert section in headings, case.id
        assert not rule or rule in rules, case.id


def _frames(steps: Any) -> list[Any]:
    found = []
    for step in steps:
        found.extend(_frames(step.get("steps", [])))
        sent = step.get("send", [])
        found.extend(sent if isinstance(sent, list) else [sent])
    return found


ODD_ON_PURPOSE = {
    "hello.version-is-no-boolean",
    "invoke.input-absent",
    "invoke.unknown-method",
    "invoke.private-method",
    "invoke.unknown-notification",
    "invoke.config-is-no-object",
    "invoke.text-id",
    "hello.unknown-params",
    "node.unknown-method",
    "node.unknown-notification",
}


def test_what_the_kit_sends_fits_the_schema_unless_the_case_is_about_that() -> None:
    validator = jsonschema_rs.validator_for(
        json.loads((SCHEMAS / "nsp.host.v1.json").read_text(encoding="utf-8"))
    )
    for case in load_cases():
        if case.id in ODD_ON_PURPOSE:
            continue
        for frame in _frames(case.steps):
            built = build(frame, NAMES)
            if built["method"] == "node/invoke":
                built["params"].setdefault("node", "kitchen-sink")
            assert frame_fault(built, "host") is None, (case.id, frame_fault(built, "host"))
            assert validator.is_valid(built), case.id


MEMBER = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        4000,
        9003,
        "x",
        "2.0",
        [],
        {},
        {"output": 1},
        {"code": 4000, "message": "m"},
        "node/log",
    ]
)
FRAME = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "1.0"])},
    optional=dict.fromkeys(("id", "method", "params", "result", "error", "x-more"), MEMBER),
)


@given(FRAME)
@settings(deadline=None, max_examples=300)
def test_the_kits_own_schema_reader_agrees_with_a_real_one(frame: dict[str, Any]) -> None:
    for side in ("node", "host"):
        schema = json.loads((SCHEMAS / f"nsp.{side}.v1.json").read_text(encoding="utf-8"))
        assert (frame_fault(frame, side) is None) == jsonschema_rs.is_valid(schema, frame)


BAD_NODE = """
import json, sys
for line in sys.stdin:
    call = json.loads(line)
    good = {"jsonrpc": "2.0", "id": call["id"], "result": {"output": 1}}
    print(json.dumps(good), flush=True)
    %s
"""
ONCE = [{"send": {"jsonrpc": "2.0", "id": 9, "method": "node/invoke", "params": {"input": {"do": "echo"}}}}]


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        ("print(json.dumps(good), flush=True)", "second terminal frame"),
        (
            'print(\'{"jsonrpc":"2.0","method":"node/log","params":{"id":9,"level":"info","message":"x"}}\')',
            "after",
        ),
        ('print(\'{"jsonrpc":"2.0","id":4,"error":{"code":9003,"message":"x"}}\')', "breaks its schema"),
        ("import time; time.sleep(30)", "did not exit"),
    ],
)
def test_a_node_with_a_bad_habit_is_red(habit: str, said: str) -> None:
    case = Case("bad.habit", "5", "x", (*ONCE, {"expect": {"id": 9}}), hello=False)
    report = run_suite([sys.executable, "-I", "-S", "-c", BAD_NODE % habit], cases=[case])
    assert [result.status for result in report.results] == ["failed"]
    assert said in report.results[0].reason


def test_a_node_that_answers_once_is_green_and_an_unclaimed_case_is_listed() -> None:
    case = Case("good.habit", "5", "x", (*ONCE, {"expect": {"id": 9, "result": {"output": 1}}}), hello=False)
    unclaimed = Case("not.claimed", "5", "x", (), needs=("flight",))
    report = run_suite([sys.executable, "-I", "-S", "-c", BAD_NODE % "pass"], cases=[case, unclaimed])
    assert [result.status for result in report.results] == ["passed", "skipped"]
    assert report.to_json()["skipped"] == 1 and "flight" in report.results[1].reason


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"$is": {"a": 1}}, {"a": 1, "b": 2}, False),
        ({"$is": 1}, True, False),
        ({"a": {"$absent": True}}, {"a": None}, False),
        ({"a": {"$any": True}}, {}, False),
        ([1, {"$min": 2}], [1, 1], False),
        ({"$not": {"$contains": "x"}}, "ax", False),
        ({"$one_of": [1, 2]}, 2, True),
        ({"$type": "integer"}, True, False),
        ({"$length": 2}, [1, 2], True),
    ],
)
def test_patterns_mean_what_they_say(pattern: Any, value: Any, matches: bool) -> None:
    assert (difference(pattern, value, NAMES) is None) is matches
