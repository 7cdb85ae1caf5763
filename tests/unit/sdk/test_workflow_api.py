"""Workflows built in Python are the same documents as files, and run the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import nodeling
from nodeling import ConfigError, RunFailed, StoreError, Workflow, WorkflowError, ctx, node, step, task
from nodeling_runtime import blob_values
from nodeling_runtime.engine import options


@node
def add(a: int, b: int = 1) -> int:
    return a + b


@node
def pair(value: int) -> dict[str, int]:
    return {"half": value // 2, "whole": value}


def built() -> Workflow:
    with Workflow("sums", version="2.0.0", description="adds", output="${steps.last.output}") as wf:
        first = step("first", add, inputs={"a": ctx.request.body.start})
        split = step("split", pair, inputs={"value": first.output})
        step("last", add, inputs={"a": split.output["whole"], "b": split.output.half})
    return wf


def test_references_are_written_as_expressions() -> None:
    assert str(ctx.vars["a-b"].rows[0]) == '${ctx.vars["a-b"].rows[0]}'
    assert str(ctx.vars.rows[1:3]) == "${ctx.vars.rows[1:3]}"
    assert str(ctx.vars.rows[:2]) == "${ctx.vars.rows[:2]}"
    assert built().document["steps"][2]["inputs"] == {
        "a": "${steps.split.output.whole}",
        "b": "${steps.split.output.half}",
    }


def test_a_built_workflow_runs_and_tells_how_it_went() -> None:
    result = built().run({"start": 3})
    assert (result.status, result.output) == ("succeeded", 6)
    assert result.outputs == {"first": 4, "split": {"half": 2, "whole": 4}, "last": 6}
    assert result.steps["first"].attempts == 1
    assert "sums" in repr(result)
    assert "StepResult('last', succeeded" in repr(result)
    assert result.raise_for_status() is result


def test_it_runs_on_the_callers_loop_and_inside_a_running_one() -> None:
    async def main() -> tuple[Any, Any]:
        mine = await built().arun({"start": 1})
        other = built().run({"start": 2})  # what a notebook does
        return mine.output, other.output

    assert asyncio.run(main()) == (3, 4)


def test_tasks_are_steps_made_of_functions() -> None:
    with Workflow("tasks") as wf:

        @task(needs=[])
        def one() -> int:
            return 1

        @task(name="two", needs=[one], inputs={"value": one.output})
        def doubled(value: int) -> int:
            return value * 2

        @task(needs=["one", {"step": doubled, "on": "done"}], inputs={"x": doubled.output})
        def three(x: int) -> int:
            return x + 1

    assert wf.document["steps"][2]["needs"] == ["one", {"step": "two", "on": "done"}]
    assert wf.run().output == 3


def test_containers_nest_in_python_too() -> None:
    wf = Workflow("nested")
    wf.definitions["add"] = add
    wf.step(
        "each",
        "for-each",
        in_=[1, 2, 3],
        do={"name": "plus", "node": "add", "inputs": {"a": "${item}", "b": "${index}"}},
    )
    assert wf.run().output["results"] == [1, 3, 5]


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_it_exports_to_a_file_and_back(tmp_path: Path, suffix: str) -> None:
    wf = built()
    path = tmp_path / f"sums.{suffix}"
    path.write_text(wf.to_yaml() if suffix == "yaml" else wf.to_json(), encoding="utf-8")
    again = nodeling.load(path)
    assert again.document == wf.document
    again.definitions = wf.definitions
    assert again.run({"start": 5}).output == built().run({"start": 5}).output


def test_run_takes_a_file_a_document_and_options(tmp_path: Path) -> None:
    document = {"name": "d", "steps": [{"name": "p", "node": "parallel", "nodes": []}]}
    assert nodeling.run(document).output["results"] == []
    path = tmp_path / "d.json"
    path.write_text(nodeling.load(document).to_json(), encoding="utf-8")
    assert nodeling.run(path).succeeded
    with pytest.raises(ConfigError, match=r"there is no file .*absent\.yaml$") as caught:
        nodeling.run(tmp_path / "absent.yaml")
    assert caught.value.code == "document.not_found"


def test_all_faults_are_listed_before_anything_runs() -> None:
    wf = Workflow("faulty")
    wf.definitions["add"] = add
    wf.step("a", "ad", inputs={"a": 1})
    wf.step("b", add, inputs={"a": "text", "c": 1}, neds=["a"])
    with pytest.raises(ConfigError) as caught:
        wf.run()
    said = str(caught.value)
    for words in ("'ad'", "did you mean 'add'", "'neds'", "did you mean 'needs'", "unknown key 'c'"):
        assert words in said
    assert [fault.severity for fault in wf.check()].count("error") == len(caught.value.faults)


def test_parameters_change_inputs_and_unknown_names_are_refused() -> None:
    wf = Workflow("parameters")
    wf.step("only", add, inputs={"a": 1}, parameters={"b": 10})
    assert wf.run().output == 11
    assert wf.run(parameters={"only": {"b": 20}}).output == 21
    with pytest.raises(ConfigError, match="did you mean 'only'"):
        wf.run(parameters={"onli": {"b": 20}})
    with pytest.raises(ConfigError, match="takes no input 'bb'"):
        wf.run(parameters={"only": {"bb": 20}})


def test_wrong_options_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no option 'max_concurent'"):
        built().run({"start": 1}, max_concurent=3)
    with pytest.raises(StoreError, match="no store answers to redis://"):
        built().run({"start": 1}, store="redis://x")
    with pytest.raises(ConfigError, match="add `store`"):
        built().run({"start": 1}, key="k")
    with pytest.raises(ConfigError, match="no JSON value"):
        built().run({"start": {1, 2}})
    with pytest.raises(ConfigError, match="`timeout`"):
        built().run({"start": 1}, timeout="soon")


def test_a_failed_run_is_a_result_until_somebody_insists() -> None:
    @node
    def fail() -> int:
        raise ValueError("no")

    wf = Workflow("fails")
    wf.step("bad", fail)
    result = wf.run()
    assert (result.status, result.output) == ("failed", None)
    assert result.error is not None
    assert (result.error["code"], result.error["step"]) == (4000, "bad")
    with pytest.raises(RunFailed, match=r"step 'bad': \[4000\] ValueError: no"):
        result.raise_for_status()


def test_the_workflows_own_input_schema_is_checked_first() -> None:
    schema = {"type": "object", "properties": {"start": {"type": "integer"}}, "required": ["start"]}
    wf = Workflow("typed", inputs=schema)
    wf.step("only", add, inputs={"a": "${ctx.request.body.start}"})
    assert wf.run({"start": 1}).output == 2
    result = wf.run({"start": "one"})
    assert result.error is not None
    assert (result.status, result.error["code"]) == ("failed", "run.input")
    assert result.steps["only"].status == "pending"


def test_a_run_that_takes_too_long_ends_with_its_own_code() -> None:
    @node
    async def slow() -> int:
        await asyncio.Event().wait()
        return 1

    wf = Workflow("slow")
    wf.step("only", slow)
    result = wf.run(timeout="50ms")
    assert result.error is not None
    assert result.error["code"] == 9005
    assert result.error["details"]["limit"] == "run_timeout"
    assert result.steps["only"].status == "cancelled"


def test_two_functions_of_one_name_and_steps_outside_a_workflow_are_refused() -> None:
    wf = Workflow("clash")
    wf.step("a", add)

    @node(name="add")
    def other(a: int) -> int:
        return a

    with pytest.raises(WorkflowError, match="two functions are called 'add'"):
        wf.step("b", other)
    with pytest.raises(WorkflowError, match="no workflow to add a step to"):
        step("c", add)


def test_a_cancelled_arun_ends_the_run_in_order_and_stays_cancelled() -> None:
    ended: list[str] = []

    @node
    async def forever() -> int:
        await asyncio.Event().wait()
        return 1

    @node
    def tidy() -> int:
        ended.append("tidy")
        return 1

    wf = Workflow("long")
    wf.step("work", forever)
    wf.step("clean", tidy, trigger="always")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await wf.arun()

    asyncio.run(main())
    assert ended == ["tidy"]


def test_a_value_larger_than_may_travel_is_refused_at_every_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_values, "LARGEST_JSON_BLOB", 17 * 2**20)
    monkeypatch.setattr(options, "LARGEST_JSON", 17 * 2**20)
    big = "x" * (17 * 2**20)

    @node
    def swell() -> str:
        return big

    wf = Workflow("big")
    wf.step("only", swell)
    error = wf.run().steps["only"].error
    assert error is not None
    assert error["code"] == 4005
    assert "17.0 MiB is more than the 17 MiB" in error["message"]
    with pytest.raises(ConfigError, match="more than the 17 MiB"):
        wf.run(big)


def test_a_hint_and_the_thread_of_a_failed_node_are_kept() -> None:
    @node
    def refuse() -> int:
        raise nodeling.NodeError("closed", code=7002, hint="come back tomorrow")

    events: list[Any] = []
    wf = Workflow("hint")
    wf.step("only", refuse, on_error="continue")
    error = wf.run(on_event=events.append).steps["only"].error
    assert error is not None
    assert error["details"]["hint"] == "come back tomorrow"
    ended = next(event for event in events if event["event"] == "step.finished")
    assert ended["handled"] is True
    assert ended["worker"].startswith("nodeling-")


def test_a_workflows_own_function_is_meant_whatever_else_bears_its_name() -> None:
    @node(name="merge")  # there is an installed node of that name, of a later version
    def mine(left: int, right: int) -> int:
        return left + right

    with Workflow("own") as workflow:
        step("sum", mine, inputs={"left": 1, "right": 2})
    assert workflow.run().output == 3
