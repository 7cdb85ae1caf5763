"""The parts of the exec dispatcher that need no process."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.dispatch.exec_log import LINES_PER_SECOND, MAX_LINE, TAIL_SIZE, LineLog, Redactor
from nodeling_runtime.dispatch.exec_pipes import Collector
from nodeling_runtime.dispatch.exec_result import Ended, outcome_of
from nodeling_runtime.dispatch.process import Exit


def ended(code: int | None = 0, **more: Any) -> Ended:
    known: dict[str, Any] = {"output": "json", "stdout": b"", "stderr": "", "result": None}
    return Ended(name="probe", exit=Exit(code=code, signal=more.pop("signal", None)), **(known | more))


def error(outcome: Outcome) -> CallError:
    assert outcome.output is None
    assert outcome.error is not None
    return outcome.error


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (b"{", 4006),
        (b"[1]", 9004),
        (b"{}", 9004),
        (b'{"output": 1, "error": {}}', 9004),
        (b'{"output": 1, "vars": [1]}', 9004),
        (b'{"output": 1, "vars": {"": 1}}', 9004),
        (b'{"error": {"code": 9003, "message": "I crashed"}}', 9004),
        (b'{"error": {"code": true}}', 9004),
        (b'{"error": {"code": "x"}}', 9004),
        (b'{"error": {"message": "m"}}', 4000),
        (b'{"error": "m"}', 4000),
        (b'{"error": null}', 4000),
        (b'{"error": {"code": -32800, "message": "m"}}', -32800),
        (b'{"error": {"code": 4711, "message": "m"}}', 4711),
    ],
)
def test_a_result_file_is_judged_strictly(result: bytes, code: int) -> None:
    assert error(outcome_of(ended(result=result))).code == code


def test_half_a_result_file_of_a_failing_program_leaves_the_word_to_its_exit_code() -> None:
    assert error(outcome_of(ended(75, result=b'{"outp'))).code == 5000


def test_a_result_file_of_a_killed_program_does_not_count() -> None:
    found = error(outcome_of(ended(None, signal=9, result=b'{"output": 1}')))
    assert (found.code, found.type, found.details["signal"]) == (9003, "NodeProcessError", "SIGKILL")


def test_a_signal_without_a_name_is_given_by_number() -> None:
    assert "signal 99" in error(outcome_of(ended(None, signal=99))).message


def test_an_exit_code_that_speaks_of_a_signal_says_which() -> None:
    assert "128 + SIGKILL" in error(outcome_of(ended(137))).message


def test_an_unknown_end_is_no_success() -> None:
    assert error(outcome_of(ended(None, stdout=b"1"))).code == 9003


def test_an_error_keeps_when_to_try_again() -> None:
    body = {"error": {"code": 5001, "message": "m", "retryable": True, "retry_after_ms": 250, "details": [1]}}
    found = error(outcome_of(ended(result=json.dumps(body).encode())))
    assert (found.retryable, found.retry_after_ms, found.details["details"]) == (True, 250, [1])


def test_a_bad_line_is_named_by_its_number() -> None:
    found = error(outcome_of(ended(output="jsonl", stdout=b"1\n\n1,2\n3")))
    assert found.code == 4006
    assert "line 3" in found.message
    assert '"1,2"' in found.message


def test_text_that_is_not_utf8_is_named_by_its_offset() -> None:
    found = error(outcome_of(ended(output="text", stdout=b"ab\xff")))
    assert found.code == 4006
    assert "offset 2" in found.message


def test_an_excerpt_is_short_and_escaped() -> None:
    found = error(outcome_of(ended(stdout=b"banner\x1b[31m" + b"x" * 10_000)))
    assert len(found.message) < 600
    assert "\x1b" not in found.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(json_values), st.sampled_from([None, 2]))
def test_json_and_jsonl_give_back_what_was_written(values: list[Any], indent: int | None) -> None:
    one = outcome_of(ended(stdout=json.dumps(values, indent=indent).encode())).output
    many = outcome_of(ended(output="jsonl", stdout="\n".join(map(json.dumps, values)).encode())).output
    assert one is not None
    assert many is not None
    assert one.fresh() == many.fresh() == values
    assert b"\n" not in one.data


@settings(deadline=None, max_examples=60)
@given(st.binary(), st.integers(-300, 300), st.sampled_from(["json", "jsonl", "text", "none"]))
def test_only_exit_code_0_ever_gives_an_output(stdout: bytes, code: int, kind: str) -> None:
    how = {"code": code} if code >= 0 else {"code": None, "signal": -code}
    outcome = outcome_of(ended(stdout=stdout, output=kind, **how))
    assert (outcome.output is None) != (outcome.error is None)
    assert code == 0 or outcome.output is None


def line_log(events: list[dict[str, Any]], **secrets: str) -> LineLog:
    return LineLog(lambda kind, body: events.append(body), Redactor(secrets))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]))), st.integers(1, 7)
)
def test_lines_are_the_same_however_they_are_cut(lines: list[str], size: int) -> None:
    events: list[dict[str, Any]] = []
    log = line_log(events)
    data = "".join(line + "\n" for line in lines).encode()
    for start in range(0, len(data), size):
        log.feed(data[start : start + size])
    log.finish()
    assert [event["message"] for event in events] == lines
    assert log.tail() == "\n".join(lines).rstrip()


def test_a_line_without_end_is_passed_on_in_pieces_and_kept_in_bounds() -> None:
    events: list[dict[str, Any]] = []
    log = line_log(events)
    for _ in range(100):
        log.feed(b"x" * 10_000)
    log.finish()
    assert sum(len(event["message"]) for event in events) == 1_000_000
    assert max(len(event["message"]) for event in events) == MAX_LINE
    assert len(log.tail()) == TAIL_SIZE


def test_bytes_that_are_no_text_are_shown_as_replaced() -> None:
    events: list[dict[str, Any]] = []
    log = line_log(events)
    log.feed(b"\xff\xfe\n")
    assert events[0]["message"] == "��"


def test_lines_beyond_the_rate_are_counted() -> None:
    events: list[dict[str, Any]] = []
    log = line_log(events)
    log.feed(b"x\n" * (LINES_PER_SECOND * 3))
    log.finish()
    assert log.dropped + len(events) - 1 == LINES_PER_SECOND * 3
    assert log.dropped >= LINES_PER_SECOND
    assert events[-1]["level"] == "warning"


def test_the_longer_secret_goes_first_and_an_empty_one_replaces_nothing() -> None:
    assert Redactor({"A": "abc", "B": "abcdef", "C": ""})("abcdef abc") == "[redacted] [redacted]"


def test_a_collector_lets_go_of_what_it_kept_when_its_limit_is_passed() -> None:
    told: list[int] = []
    collector = Collector(lambda: told.append(1), limit=10)
    collector.feed(b"x" * 10)
    assert (collector.data(), told) == (b"x" * 10, [])
    collector.feed(b"x")
    assert (collector.data(), told, collector.size) == (b"", [1], 11)
