from __future__ import annotations

import json
from typing import Any

from nodeling.results import RunResult, StepResult
from nodeling_runtime.cli.summary import MOST_CHILDREN, Timeline, summary_lines


def step(name: str, status: str = "succeeded", **given: Any) -> StepResult:
    data = given.pop("output", None)
    values = {"reason": None, "attempts": 1, "duration_ms": 12.0, "metrics": {}, "error": None, **given}
    return StepResult(
        name=name, status=status, held=None if data is None else json.dumps(data).encode(), **values
    )


def lines(
    *steps: StepResult, timeline: Timeline | None = None, verbose: bool = False, **given: Any
) -> list[str]:
    values = {"status": "succeeded", "error": None, "duration_ms": 20.0, **given}
    result = RunResult(run_id="r", workflow="flow", steps={one.name: one for one in steps}, **values)
    found = list(summary_lines(result, timeline or Timeline(), verbose=verbose))
    return [_unstyled(line) for line in found]


def _unstyled(line: str) -> str:
    from click import unstyle

    return unstyle(line)


def container(children: list[dict[str, Any]]) -> dict[str, Any]:
    done = sum(child["status"] == "succeeded" for child in children)
    info = {
        "total": len(children),
        "completed": done,
        "failed": len(children) - done,
        "timed_out": 0,
        "concurrent_peak": 3,
        "work_ms": 1500,
        "duration_ms": 500,
        "leaked": 1,
        "children": children,
    }
    return {"execution_info": info}


def child(name: str, status: str = "succeeded") -> dict[str, Any]:
    return {"name": name, "status": status, "attempts": 1, "duration_ms": 5}


def test_a_step_that_did_not_run_says_why() -> None:
    found = lines(step("a"), step("b", "skipped", reason="upstream", attempts=0, duration_ms=0))
    assert any("b" in line and "skipped (upstream)" in line for line in found)


def test_an_error_is_shown_with_what_to_try() -> None:
    error = {
        "code": 4001,
        "message": "refused\nits inputs",
        "details": {"hint": "give it a name"},
        "step": "a",
    }
    found = lines(step("a", "failed", error=error), status="failed", error=error)
    assert any(line.endswith("[4001] refused its inputs") for line in found[:-1])
    assert any(line.endswith("try: give it a name") for line in found)
    assert found[-1] == "failed in 20 ms: step 'a': [4001] refused its inputs"


def test_a_container_is_summed_up_in_one_line() -> None:
    found = lines(step("work", output=container([child("x"), child("y", "failed")])))
    assert any(
        "2 children: 1 succeeded, 1 failed; at most 3 at once; 1.5 s of work in 500 ms; 1 given up" in line
        for line in found
    )


def test_children_of_one_name_are_told_apart_by_their_place() -> None:
    found = "\n".join(lines(step("each", output=container([child("body"), child("body")]))))
    assert "body [0]" in found
    assert "body [1]" in found


def test_a_wide_container_names_only_those_that_did_not_succeed() -> None:
    many = [child(f"c{n}", "failed" if n in (7, 90) else "succeeded") for n in range(100)]
    found = lines(step("work", output=container(many)))
    assert [line.split()[-3:] for line in found[3:-1]] == [["5", "ms", "failed"]] * 2
    assert ["c7" in found[3], "c90" in found[4]] == [True, True]
    bad = [child(f"c{n}", "failed") for n in range(50)]
    assert any(
        f"and {50 - MOST_CHILDREN} more" in line for line in lines(step("work", output=container(bad)))
    )


def test_a_failed_container_is_summed_up_from_its_error() -> None:
    details = {
        **container([child("x", "failed")]),
        "errors": [{"index": 0, "code": 4000, "message": "no good"}],
    }
    error = {"code": "container.failed", "message": "x failed", "details": details}
    found = "\n".join(lines(step("work", "failed", error=error), status="failed", error=error))
    assert "1 child: 1 failed" in found
    assert "[4000] no good" in found


def test_steps_that_start_at_one_moment_are_told_but_not_one_that_another_caused() -> None:
    timeline = Timeline()
    timeline.hear({"event": "run.started", "ts": 10.0})
    for path, at, after in (
        ("a", 10.0, []),
        ("b", 10.001, []),
        ("c", 10.002, ["a"]),
        ("d", 10.002, ["b"]),
        ("e", 11.0, []),
    ):
        timeline.hear({"event": "step.started", "step": path, "ts": at, "waited_for": after})
    timeline.hear({"event": "step.started", "step": "a/child", "ts": 10.0})
    assert timeline.together() == [["a", "b"], ["c", "d"]]
    found = lines(step("a"), timeline=timeline, verbose=True)
    assert "started together: a, b" in found


def test_calls_that_never_returned_are_told() -> None:
    assert "2 calls never returned and were given up" in lines(step("a"), leaked=2)[-1]
    assert "1 call never returned and was given up" in lines(step("a"), leaked=1)[-1]


def test_a_traceback_is_for_the_verbose_and_moves_no_cursor() -> None:
    error = {
        "code": 4000,
        "message": "m",
        "details": {"traceback": "one\n\x1b[2Jtwo\n", "stderr": "only line"},
    }
    plain = lines(step("a", "failed", error=error), status="failed", error=error)
    assert any(line.endswith("--verbose shows the traceback") for line in plain)
    assert not any("stderr" in line for line in plain)
    told = lines(step("a", "failed", error=error), status="failed", error=error, verbose=True)
    assert any(line.endswith("?[2Jtwo") for line in told)
