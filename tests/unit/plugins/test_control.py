"""control, decision, assign: what they do to the steps around them."""

from __future__ import annotations

from typing import Any

import pytest

from nodeling import Context, NodeError, Workflow, node
from nodeling.results import RunResult


def run(steps: list[dict[str, Any]], body: Any = None, **more: Any) -> RunResult:
    return Workflow.from_document({"name": "test", "steps": steps, **more}).run(body, timeout=30)


def says(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "node": "assign", "inputs": {"set": {f"{name}_spoke": True}}, **keys}


def control(action: str, target: str = "parent", **keys: Any) -> dict[str, Any]:
    return {"name": "control", "node": "control", "inputs": {"action": action, "target": target}, **keys}


def statuses(result: RunResult) -> dict[str, str]:
    return {
        name: f"{step.status}" + (f"({step.reason})" if step.reason else "")
        for name, step in result.steps.items()
    }


WAITS = {"node": "timer", "needs": [], "for": "20s"}


def test_failing_itself_is_an_ordinary_failure() -> None:
    result = run([control("fail", "self", on_error="continue"), says("next")])
    assert result.status == "succeeded"
    assert statuses(result) == {"control": "failed", "next": "succeeded"}


@pytest.mark.parametrize(
    "handling",
    [
        [control("fail", on_error="continue"), says("next")],
        [control("fail", needs=[]), says("handler", needs=[{"step": "control", "on": "failure"}])],
        [control("fail"), says("handler", trigger="on_error", recover=True)],
    ],
)
def test_nothing_handles_the_failure_of_a_parent(handling: list[dict[str, Any]]) -> None:
    result = run(handling)
    assert result.status == "failed"
    assert (result.error or {})["step"] == "control"
    assert result.steps[handling[1]["name"]].status == "succeeded"


def test_failing_the_parent_lets_independent_steps_finish() -> None:
    result = run([control("fail", needs=[]), says("other", needs=[]), says("after", needs=["other"])])
    assert result.status == "failed"
    assert statuses(result) == {"control": "failed", "other": "succeeded", "after": "succeeded"}


def inside(step: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"name": "inner", "node": "sequence", "steps": [says("before"), step, says("behind")], **keys}


def test_a_parent_is_the_scope_that_the_step_stands_in() -> None:
    stopped = run([inside(control("stop")), says("next")])
    assert stopped.status == "succeeded"
    assert statuses(stopped) == {"inner": "succeeded", "next": "succeeded"}
    assert stopped.steps["inner"].output["action"] == "stop"
    failed = run([inside(control("fail"), on_error="continue"), says("next")])
    assert failed.status == "succeeded" and failed.steps["inner"].status == "failed"
    aborted = run([inside(control("abort"), on_error="continue"), says("next")])
    assert (aborted.steps["inner"].error or {})["code"] == 9006
    assert aborted.steps["next"].status == "succeeded"


def test_the_top_fails_whatever_its_containers_make_of_it() -> None:
    held = {
        "name": "safe",
        "node": "try",
        "try": inside(control("fail", "top")),
        "catch": says("caught"),
    }
    result = run([held, says("next")])
    assert result.status == "failed"
    assert statuses(result) == {"safe": "succeeded", "next": "succeeded"}
    error = result.error or {}
    assert error["step"] == "control" and error["code"] == 4000 and error["message"] == "failed on purpose"


@pytest.mark.parametrize(("action", "status"), [("stop", "succeeded"), ("abort", "cancelled")])
def test_the_top_ends_from_deep_within(action: str, status: str) -> None:
    steps = [
        {"name": "waits", **WAITS},
        {"name": "deep", "node": "sequence", "needs": [], "steps": [inside(control(action, "top"))]},
        says("never", needs=["deep"]),
        says("always", trigger="always"),
    ]
    result = run(steps)
    assert result.status == status
    found = statuses(result)
    assert found["always"] == "succeeded"
    assert found["waits"] == ("cancelled(stopped)" if action == "stop" else "cancelled(aborted)")
    assert found["never"] == ("skipped(stopped)" if action == "stop" else "cancelled(aborted)")
    assert result.duration_ms < 15_000


def test_stopping_does_not_hide_an_earlier_failure() -> None:
    bad = {"name": "bad", "node": "control", "inputs": {"action": "fail", "target": "self"}, "needs": []}
    result = run([bad, control("stop", needs=[{"step": "bad", "on": "done"}])])
    assert result.status == "failed"


def test_a_run_that_was_stopped_at_the_top_level_itself() -> None:
    result = run([says("first"), control("stop", "top"), says("never")])
    assert result.status == "succeeded"
    assert statuses(result) == {"first": "succeeded", "control": "succeeded", "never": "skipped(stopped)"}


def test_a_call_that_fails_stops_nothing() -> None:
    @node
    def confused(ctx: Context) -> None:
        ctx.end_scope("stop")
        raise NodeError("no", code=4400)

    workflow = Workflow.from_document(
        {"name": "t", "steps": [{"name": "c", "node": "confused", "needs": []}, says("other", needs=[])]}
    )
    workflow.definitions["confused"] = confused
    result = workflow.run(timeout=30)
    assert result.status == "failed" and result.steps["other"].status == "succeeded"


def test_an_attempt_that_is_repeated_asks_anew() -> None:
    @node
    def second_thoughts(ctx: Context) -> int:
        if ctx.attempt == 1:
            ctx.end_scope("fail", "top")
            raise NodeError("once more", code=5000)
        return ctx.attempt

    workflow = Workflow.from_document(
        {
            "name": "t",
            "steps": [{"name": "s", "node": "second-thoughts", "retry": {"attempts": 2, "delay": 1}}],
        }
    )
    workflow.definitions["second-thoughts"] = second_thoughts
    result = workflow.run(timeout=30)
    assert (result.status, result.output) == ("succeeded", 2)


def test_a_decision_steers_by_links() -> None:
    steps = [
        {"name": "ask", "node": "decision", "needs": [], "inputs": {"condition": "${ctx.request.body > 3}"}},
        says("yes", needs=[{"step": "ask", "if": "${steps.ask.output.condition == true}"}]),
        says("no", needs=[{"step": "ask", "if": "${steps.ask.output.value == 0}"}]),
    ]
    assert statuses(run(steps, 5)) == {"ask": "succeeded", "yes": "succeeded", "no": "skipped(upstream)"}
    assert statuses(run(steps, 1)) == {"ask": "succeeded", "yes": "skipped(upstream)", "no": "succeeded"}


def test_assigned_variables_are_seen_and_deleted_ones_are_not() -> None:
    steps = [
        {"name": "a", "node": "assign", "inputs": {"set": {"x": 1, "y": "${ctx.request.body}"}}},
        {"name": "b", "node": "assign", "inputs": {"set": {"z": "${ctx.vars.x + 1}"}, "delete": ["y"]}},
        {"name": "c", "node": "assign", "inputs": {"set": {"all": ["${ctx.vars.z}", "${has(ctx.vars.y)}"]}}},
    ]
    assert run(steps, 7).output == {"all": [2, False]}
    assert (
        run(
            [
                {"name": "a", "node": "assign", "inputs": {"set": {"b": 1}}},
                {"name": "b", "node": "timer", "for": 1},
            ]
        ).status
        == "failed"
    )
