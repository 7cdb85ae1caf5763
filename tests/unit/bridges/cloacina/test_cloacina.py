"""Tasks, their contexts and their rules: what each sees, when it runs, and how a run ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nodeling_bridges.cloacina.api as cloaca
from nodeling.errors import ConfigError, NodelingError
from nodeling.values import InvalidValue
from nodeling_bridges.cloacina.context import merged
from nodeling_bridges.cloacina.rules import checked, holds

PATIENCE = 30.0
QUICK = {"retry_attempts": 1}


def run(name: str, context: dict[str, Any] | None = None, **config: Any) -> cloaca.WorkflowResult:
    runner = cloaca.DefaultRunner.with_config("sqlite://:memory:", cloaca.DefaultRunnerConfig(**config))
    with runner:
        return runner.execute(name, cloaca.Context(context or {}))


def writes(key: str, value: Any) -> Callable[[Any], Any]:
    def write(context: Any) -> Any:
        context.set(key, value)
        return context

    write.__name__ = f"write_{key}"
    return write


# -- contexts


def test_a_task_sees_what_its_own_dependencies_left_and_nothing_else() -> None:
    seen: dict[str, list[str]] = {}

    def look(context: Any) -> None:
        seen["d"] = sorted(context.keys())

    with cloaca.WorkflowBuilder("sees"):
        cloaca.task(writes("a", 1), id="a")
        cloaca.task(writes("b", 2), id="b", dependencies=["a"])
        cloaca.task(writes("c", 3), id="c", dependencies=["a"])
        cloaca.task(look, id="d", dependencies=["b"])
    assert run("sees", {"given": 0}).status == "Completed"
    assert seen["d"] == ["a", "b", "given"]


def test_contexts_that_meet_are_merged_by_the_rule() -> None:
    got: dict[str, Any] = {}

    def end(context: Any) -> None:
        got.update(context.to_dict())

    first = threading.Event()

    def late(context: Any) -> Any:
        first.wait(PATIENCE)
        return writes("one", {"x": 2, "list": [2, 3]})(context)

    def early(context: Any) -> Any:
        context.set("one", {"x": 1, "y": 1, "list": [1, 2]})
        first.set()
        return context

    with cloaca.WorkflowBuilder("meets"):
        cloaca.task(late, id="late")
        cloaca.task(early, id="early")
        cloaca.task(end, id="end", dependencies=["late", "early"])
    assert run("meets").status == "Completed"
    assert got["one"]["y"] == 1
    assert sorted(got["one"]["list"]) == [1, 2, 3]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("kl", min_size=1, max_size=1), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.text("xyz", min_size=1, max_size=1), JSON, max_size=3), max_size=3))
def test_merging_keeps_every_key_and_one_context_as_it_is(contexts: list[dict[str, Any]]) -> None:
    found = merged(contexts)
    assert set(found) == {key for context in contexts for key in context}
    if len(contexts) == 1:
        assert found == contexts[0]
    for key, value in found.items():
        given_values = [context[key] for context in contexts if key in context]
        if not isinstance(value, (dict, list)):
            assert value == given_values[-1]


def test_every_leaf_is_in_the_final_context() -> None:
    with cloaca.WorkflowBuilder("leaves"):
        for number in range(3):
            cloaca.task(writes(f"leaf{number}", number), id=f"leaf{number}")
    assert run("leaves", {"given": True}).final_context.to_dict() == {
        "given": True, "leaf0": 0, "leaf1": 1, "leaf2": 2,
    }  # fmt: skip


def test_a_key_that_was_deleted_is_gone_for_what_follows() -> None:
    def clear(context: Any) -> None:
        context.delete("big")
        assert context.remove("big") is None

    with cloaca.WorkflowBuilder("deletes"):
        cloaca.task(writes("big", [1] * 100), id="make")
        cloaca.task(clear, id="clear", dependencies=["make"])
    assert "big" not in run("deletes").final_context


def test_a_context_is_a_mapping_that_refuses_what_is_no_json() -> None:
    context = cloaca.Context({"a": 1})
    context["b"] = [2]
    assert ("a" in context, len(context), context["b"], list(context)) == (True, 2, [2], ["a", "b"])
    assert cloaca.Context.from_json(context.to_json()) == context
    with pytest.raises(InvalidValue):
        context.set("c", object())
    with pytest.raises(InvalidValue):
        context.set("c", float("nan"))
    with pytest.raises(ValueError, match="already"):
        context.insert("a", 2)
    with pytest.raises(KeyError):
        context.update("zzz", 2)
    context.update("a", 3)
    context.insert("c", 4)
    context.update_from_dict({"d": 5})
    assert context.to_dict() == {"a": 3, "b": [2], "c": 4, "d": 5}
    del context["d"]
    copied = context.to_dict()
    copied["b"].append(9)
    assert context["b"] == [2]


# -- honesty


def test_a_failure_is_a_failure_and_says_what_the_task_lacked() -> None:
    def needs(context: Any) -> None:
        context.get("dataset")["rows"]

    with cloaca.WorkflowBuilder("lacks"):
        cloaca.task(writes("dataset", {"rows": 1}), id="prepare")
        cloaca.task(needs, id="use", **QUICK)
    done = threading.Event()
    result = run("lacks")
    assert result.status == "Failed"
    assert result.error_message is not None
    assert "use: TypeError" in result.error_message
    assert "it asked for 'dataset'" in result.error_message
    assert result.tasks["prepare"].status == "Completed"
    assert not done.is_set()


def test_whoever_waits_for_a_failed_task_runs_and_sees_what_the_others_left() -> None:
    def fail(context: Any) -> None:
        raise ValueError("batch 2 is broken")

    def aggregate(context: Any) -> None:
        found = [n for n in (1, 2, 3) if context.get(f"batch_{n}")]
        if not found:
            raise ValueError("every batch failed")
        context.set("found", found)
        context.set("partial_failure", len(found) < 3)

    def build(name: str, broken: tuple[int, ...]) -> None:
        with cloaca.WorkflowBuilder(name):
            for number in (1, 2, 3):
                function = fail if number in broken else writes(f"batch_{number}", [number])
                cloaca.task(function, id=f"batch_{number}", **QUICK)
            names = ["batch_1", "batch_2", "batch_3"]
            cloaca.task(aggregate, id="aggregate", dependencies=names, **QUICK)

    build("partial", (2,))
    result = run("partial")
    assert (result.final_context["found"], result.final_context["partial_failure"]) == ([1, 3], True)
    assert (result.status, result.tasks["batch_2"].status) == ("Failed", "Failed")
    build("nothing", (1, 2, 3))
    assert "every batch failed" in str(run("nothing").error_message)


def test_a_task_that_returns_something_else_fails() -> None:
    with cloaca.WorkflowBuilder("returns"):
        cloaca.task(lambda context: 5, id="five", **QUICK)
    assert "five returned int" in str(run("returns").error_message)


# -- retries


def test_a_task_is_tried_as_often_as_it_says() -> None:
    tries: list[int] = []

    def flaky(context: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("not yet")

    with cloaca.WorkflowBuilder("tries"):
        cloaca.task(flaky, id="flaky", retry_attempts=3, retry_backoff="fixed", retry_delay_ms=1)
    result = run("tries")
    assert (result.status, result.tasks["flaky"].attempts, len(tries)) == ("Completed", 3, 3)


@pytest.mark.parametrize(
    ("settings", "native"),
    [
        ({}, {"attempts": 3, "delay": 1000, "max_delay": 60000, "backoff": "exponential", "jitter": "full"}),
        ({"attempts": 1}, None),
        ({"condition": "never"}, None),
        (
            {"backoff": "linear", "delay_ms": 5, "jitter": False, "condition": "transient"},
            {
                "attempts": 3,
                "delay": 5,
                "max_delay": 60000,
                "backoff": "linear",
                "jitter": "none",
                "on": ["transient"],
            },
        ),
    ],
)
def test_a_policy_becomes_a_steps_retry(settings: dict[str, Any], native: Any) -> None:
    assert cloaca.RetryPolicy(**settings).native() == native


@pytest.mark.parametrize(
    "settings",
    [
        {"retry_backoff": "expontial"},
        {"retry_condition": "sometimes"},
        {"retry_attempts": 0},
        {"retry_delay_ms": "1s"},
    ],
)
def test_a_misspelt_policy_is_refused_where_it_is_written(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        cloaca.task(lambda context: None, id="x", **settings)
    with pytest.raises(TypeError, match="not both"):
        cloaca.task(lambda context: None, id="x", retry=cloaca.RetryPolicy(), retry_attempts=2)


# -- rules


@pytest.mark.parametrize(
    ("rule", "runs"),
    [
        (cloaca.always(), True),
        (cloaca.task_success("bad"), False),
        (cloaca.task_failed("bad"), True),
        (cloaca.all_of(cloaca.task_failed("bad"), cloaca.task_success("good")), True),
        (cloaca.any_of(cloaca.task_success("bad"), cloaca.task_skipped("good")), False),
        (cloaca.none_of(cloaca.task_success("bad")), True),
        (cloaca.context_value("rows", ">", 3), True),
        (cloaca.context_value("rows", "lt", 3), False),
        (cloaca.context_value("rows", "exists"), True),
        (cloaca.any_of(cloaca.all_of(cloaca.task_success("bad")), cloaca.task_success("good")), True),
    ],
)
def test_a_trigger_rule_decides_whether_a_task_runs(rule: Any, runs: bool) -> None:
    def fail(context: Any) -> None:
        raise ValueError("no")

    with cloaca.WorkflowBuilder("ruled"):
        cloaca.task(fail, id="bad", **QUICK)
        cloaca.task(writes("rows", 5), id="good")
        cloaca.task(writes("ran", True), id="end", dependencies=["bad", "good"], trigger_rules=rule)
    result = run("ruled")
    assert result.tasks["end"].status == ("Completed" if runs else "Skipped")


VALUES = (
    st.none()
    | st.integers(-2, 2)
    | st.text("ab", max_size=2)
    | st.lists(st.integers(0, 2), max_size=2)
    | st.booleans()
)


@given(
    VALUES,
    st.sampled_from(["==", "!=", ">", "<", "contains", "not_contains", "exists", "not_exists"]),
    VALUES,
)
def test_a_comparison_has_an_answer_and_its_opposite_the_other(held: Any, operator: str, wanted: Any) -> None:
    def answer(word: str, context: dict[str, Any]) -> bool:
        return holds(checked(cloaca.context_value("k", word, wanted)), {}, context)

    opposite = {"==": "!=", "contains": "not_contains", "exists": "not_exists"}.get(operator)
    for context in ({"k": held}, {}):
        found = answer(operator, context)
        assert isinstance(found, bool)
        if opposite is not None:
            assert answer(opposite, context) is not found


def test_what_is_no_rule_is_refused() -> None:
    for wrong in ("x", {"type": "Sometimes"}, {"type": "All", "conditions": [{"type": "TaskSuccess"}]}):
        with pytest.raises(ValueError, match=r"no (trigger rule|condition)"):
            cloaca.task(lambda context: None, id="x", trigger_rules=wrong)
    with pytest.raises(ValueError, match="no operator"):
        cloaca.context_value("k", "~", 1)


# -- running


def test_tasks_overlap_for_real_and_never_more_than_the_bound() -> None:
    lock, now, peak = threading.Lock(), [0], [0]
    pair = threading.Barrier(2, timeout=PATIENCE)

    def work(context: Any) -> None:
        with lock:
            now[0] += 1
            peak[0] = max(peak[0], now[0])
        pair.wait()
        with lock:
            now[0] -= 1

    with cloaca.WorkflowBuilder("overlap"):
        for number in range(6):
            cloaca.task(work, id=f"t{number}", **QUICK)
    assert run("overlap", max_concurrent_tasks=2).status == "Completed"
    assert peak[0] == 2


def test_a_task_that_defers_gives_its_place_to_others() -> None:
    gate = threading.Event()

    def waits(context: Any, handle: Any) -> None:
        handle.defer_until(gate.is_set, poll_interval_ms=1)
        context.set("waited", True)

    def opens(context: Any) -> None:
        gate.set()

    with cloaca.WorkflowBuilder("defers"):
        cloaca.task(waits, id="waits", **QUICK)
        cloaca.task(opens, id="opens", **QUICK)
    result = run("defers", max_concurrent_tasks=1)
    assert (result.status, result.final_context["waited"]) == ("Completed", True)


def test_callbacks_are_told_and_one_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    def fail(context: Any) -> None:
        raise ValueError("no")

    def breaks(*ignored: Any) -> None:
        raise RuntimeError("callback")

    with cloaca.WorkflowBuilder("told"):
        cloaca.task(
            writes("k", 1), id="good", on_success=lambda name, context: told.append((name, context["k"]))
        )
        cloaca.task(
            fail, id="bad", on_failure=lambda name, error, context: told.append((name, error)), **QUICK
        )
        cloaca.task(writes("z", 1), id="odd", on_success=breaks)
    with caplog.at_level(logging.ERROR):
        result = run("told")
    assert sorted(told) == [("bad", "ValueError: no"), ("good", 1)]
    assert "a callback of task odd failed" in caplog.text
    assert result.tasks["odd"].status == "Completed"


def test_a_workflow_may_be_built_by_hand_or_by_a_constructor() -> None:
    @cloaca.task(id="loose_a")
    def first(context: Any) -> None:
        context.set("first", 1)

    @cloaca.task(dependencies=[first])
    def loose_b(context: Any) -> None:
        context.set("second", context["first"] + 1)

    def construct() -> Any:
        builder = cloaca.WorkflowBuilder("constructed").description("by hand").tag("team", "x")
        return builder.add_task("loose_a").add_task(loose_b).build()

    cloaca.register_workflow_constructor("constructed", construct)
    assert run("constructed").final_context["second"] == 2
    with pytest.raises(ConfigError, match="no task is called 'nowhere'"):
        cloaca.WorkflowBuilder("w").add_task("nowhere")


def test_what_is_wrong_with_a_workflow_is_said_when_it_is_built() -> None:
    with pytest.raises(ConfigError) as refused, cloaca.WorkflowBuilder("wrong"):
        cloaca.task(lambda context: None, id="load_data")
        cloaca.task(lambda context: None, id="a", dependencies=["load_date"])
        cloaca.task(lambda context: None, id="b", trigger_rules=cloaca.task_success("c"))
    assert "names 'load_date', which is no task here; did you mean 'load_data'?" in str(refused.value)
    assert "'b' names 'c'" in str(refused.value)
    with pytest.raises(ConfigError, match="two tasks"), cloaca.WorkflowBuilder("twice"):
        cloaca.task(lambda context: None, id="x")
        cloaca.task(lambda context: None, id="x")
    with pytest.raises(TypeError, match="plain one"):

        @cloaca.task
        async def coroutine(context: Any) -> None: ...

    with pytest.raises(ConfigError, match="no workflow is called 'sees_'"):
        run("sees_")


def test_a_circle_is_refused_with_its_walk() -> None:
    with pytest.raises(ConfigError, match="wait for one another: a → b → c → a$"):
        with cloaca.WorkflowBuilder("circle"):
            cloaca.task(lambda context: None, id="a", dependencies=["c"])
            cloaca.task(lambda context: None, id="b", dependencies=["a"])
            cloaca.task(lambda context: None, id="c", dependencies=["b"])
            cloaca.task(lambda context: None, id="d", dependencies=["a", "c"])
    with pytest.raises(ConfigError, match="there are|there is none|did you mean"):
        run("circle")


@pytest.mark.parametrize(
    ("define", "said"),
    [
        (lambda: cloaca.task(5), "a task is a function, not 5"),
        (lambda: cloaca.task(lambda context: None, id=5), "a task's id is a text, not 5"),
        (lambda: cloaca.task(lambda context: None, id="a/b"), "a task's id has no slash"),
        (
            lambda: cloaca.task(lambda context: None, id="x", dependencies="load"),
            "a list of tasks, not 'load'",
        ),
        (lambda: cloaca.task(lambda context: None, id="x", dependencies=[3]), "not by 3"),
        (lambda: cloaca.DefaultRunner(None), "None is no place for runs"),  # type: ignore[arg-type]
        (lambda: cloaca.DefaultRunner().execute("sees", 3), "is given a context, not 3"),  # type: ignore[arg-type]
        (lambda: cloaca.DefaultRunner().list_cron_schedules(), "there is no scheduler yet"),
        (lambda: cloaca.BackoffStrategy, "has no 'BackoffStrategy'; RetryPolicy"),
    ],
)
def test_what_is_meant_otherwise_is_refused_where_it_is_said(define: Any, said: str) -> None:
    with cloaca.WorkflowBuilder("sees"):
        cloaca.task(lambda context: None, id="only")
    with pytest.raises((TypeError, ValueError, AttributeError, NodelingError), match=said):
        define()


def test_a_workflow_without_a_task_is_refused_when_it_is_built() -> None:
    with pytest.raises(ConfigError, match="it has no task"), cloaca.WorkflowBuilder("nothing"):
        pass


def test_what_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    runner = cloaca.DefaultRunner()
    with pytest.raises(NodelingError, match="there is no scheduler yet"):
        runner.register_cron_workflow("x", "0 2 * * *", "UTC")
    with pytest.raises(ConfigError, match="need PostgreSQL"):
        cloaca.DefaultRunner.with_schema("sqlite://:memory:", "tenant")
    with pytest.raises(ConfigError, match="no name of a schema"):
        cloaca.DefaultRunner.with_schema("postgresql://127.0.0.1/x", "a; drop table runs")
    with pytest.raises(ConfigError, match="no place for runs"):
        cloaca.DefaultRunner("mysql://x")
    runner.shutdown()
    with pytest.raises(ConfigError, match="shut down"):
        runner.execute("sees")


def test_tenants_keep_their_runs_in_schemas_of_their_own(postgres: str) -> None:
    from nodeling_runtime.store.model import RunFilter
    from nodeling_runtime.store.opening import open_store
    from stores import drop_schema

    with cloaca.WorkflowBuilder("tenanted"):
        cloaca.task(writes("a", 1), id="a")
    try:
        for tenant, times in (("acme_bridge", 1), ("other_bridge", 2)):
            with cloaca.DefaultRunner.with_schema(postgres, tenant) as runner:
                for _ in range(times):
                    assert runner.execute("tenanted").status == "Completed"
        for tenant, times in (("acme_bridge", 1), ("other_bridge", 2)):
            store = open_store(f"{postgres}?schema={tenant}")
            try:
                kept = [(row.workflow, row.status) for row in store.runs(RunFilter())]
            finally:
                store.close()
            assert kept == [("tenanted", "succeeded")] * times
    finally:
        for tenant in ("acme_bridge", "other_bridge"):
            drop_schema(f"{postgres}?schema={tenant}")
