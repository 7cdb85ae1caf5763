"""The orchestration classes: right where descriptions of them are wrong."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeling.errors import ConfigError
from nodeling_bridges.powercenter.api import (
    ConfigManager,
    DependencyManager,
    ParallelExecutor,
    RecoveryManager,
    TaskStatus,
    TaskType,
    Workflow,
    WorkflowDAGProcessor,
    WorkflowLink,
    WorkflowMonitor,
    WorkflowScheduler,
    WorkflowTask,
    WorkflowTaskExecutor,
)
from unit_exports import chain, command, decision, export, instance, link, workflow

PATIENCE = 30.0


def shell(name: str, text: str = "true", **more: Any) -> WorkflowTask:
    return WorkflowTask(name, TaskType.COMMAND, name, command=text, **more)


def made(tasks: dict[str, str], *links: tuple[str, ...], **more: Any) -> Workflow:
    given = {name: shell(name, text) for name, text in tasks.items()}
    return Workflow("wf", "wf", tasks=given, links=[WorkflowLink(*one) for one in links], **more)


def diamond() -> Workflow:
    return made(dict.fromkeys("abcd", "true"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))


def finished(workflow: Workflow, config: Any = None, **more: Any) -> Any:
    scheduler = WorkflowScheduler(config or ConfigManager(), **more)
    execution = scheduler.wait(scheduler.execute_workflow(workflow), PATIENCE)
    assert execution is not None
    return execution


# -- what can be said before


def test_a_diamond_has_three_groups() -> None:
    assert WorkflowDAGProcessor().get_execution_order(diamond()) == [["a"], ["b", "c"], ["d"]]


def test_predecessors_alone_make_edges_too() -> None:
    workflow = made(dict.fromkeys("abc", "true"))
    workflow.tasks["b"].predecessors.add("a")
    workflow.tasks["c"].predecessors.update("ab")
    assert WorkflowDAGProcessor().get_execution_order(workflow) == [["a"], ["b"], ["c"]]


def test_an_empty_workflow_is_one_without_groups() -> None:
    processor, empty = WorkflowDAGProcessor(), Workflow("none", "none")
    assert processor.get_execution_order(empty) == []
    assert processor.get_critical_path(empty) == []
    assert processor.analyze_workflow_complexity(empty)["workflow_depth"] == 0
    assert finished(empty_run()).status is TaskStatus.COMPLETED


def empty_run() -> Workflow:
    return Workflow("none", "none")


def test_all_nine_figures_are_there_and_right() -> None:
    workflow = diamond()
    workflow.tasks["b"].task_type = TaskType.DECISION
    figures = WorkflowDAGProcessor().analyze_workflow_complexity(workflow)
    assert figures == {
        "total_tasks": 4,
        "total_links": 4,
        "max_parallel_tasks": 2,
        "workflow_depth": 3,
        "critical_path": figures["critical_path"],
        "task_types": {**{kind.value: 0 for kind in TaskType}, "command": 3, "decision": 1},
        "has_decision_points": True,
        "has_parallel_branches": True,
        "complexity_score": 2 * 4 + 3 * 2 + 5 + 2,
    }
    assert figures["critical_path"][0] == "a"
    assert len(figures["critical_path"]) == 3


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_groups_are_those_of_the_longest_way_and_circles_are_told(pairs: list[tuple[int, int]]) -> None:
    workflow = made({str(i): "true" for i in range(8)}, *((str(a), str(b)) for a, b in pairs))
    processor = WorkflowDAGProcessor()

    def depth(name: str, seen: tuple[str, ...] = ()) -> int:
        if name in seen:
            raise RecursionError
        before = [str(a) for a, b in pairs if str(b) == name]
        return 1 + max((depth(one, (*seen, name)) for one in before), default=-1)

    try:
        depths = {name: depth(name) for name in workflow.tasks}
    except RecursionError:
        with pytest.raises(ValueError, match="goes round in a circle"):
            processor._validate_workflow(workflow)
        circle = processor._build_execution_graph(workflow).circle()
        assert circle[0] == circle[-1]
        assert all((int(a), int(b)) in pairs for a, b in zip(circle, circle[1:], strict=False))
        return
    processor._validate_workflow(workflow)
    order = processor.get_execution_order(workflow)
    assert {name: i for i, group in enumerate(order) for name in group} == depths


def test_an_export_becomes_objects() -> None:
    text = export(
        workflow(
            command("a", "echo hi"), decision("d", "$a.Status = SUCCEEDED"),
            instance("a", "Command", FAIL_PARENT_IF_INSTANCE_FAILS="YES"), instance("d", "Decision", TREAT_INPUTLINK_AS_AND="NO"),
            *chain(["a"]), link("a", "d", "$a.Status = SUCCEEDED"),
        )
    )  # fmt: skip
    one, other = (WorkflowDAGProcessor().process_workflow_xml(text) for _ in range(2))
    assert one.workflow_id != other.workflow_id
    assert (one.tasks["a"].command, one.tasks["a"].fail_parent_on_failure) == ("echo hi", True)
    assert one.tasks["d"].treat_input_links_as == "or"
    assert one.links == [WorkflowLink("a", "d", "success")]
    assert finished(one).completed_tasks == {"a", "d"}


# -- single tasks


def test_a_command_gives_its_code_and_its_output() -> None:
    task = shell("c", "echo hello")
    result = WorkflowTaskExecutor(ConfigManager()).execute_task(task)
    assert (result.success, result.return_value) == (True, 0)
    assert "hello" in result.message
    assert task.status is TaskStatus.COMPLETED
    assert task.start_time is not None
    assert task.end_time is not None


def test_a_command_that_fails_says_how_and_the_executor_takes_any_configuration() -> None:
    task = shell("c", "exit 3")
    result = WorkflowTaskExecutor(MagicMock()).execute_task(task)
    assert (result.success, result.return_value, task.status) == (False, 3, TaskStatus.FAILED)
    assert "exit code 3" in str(task.error_message)


def test_a_command_runs_in_its_folder(tmp_path: Path) -> None:
    task = shell("c", "pwd", working_directory=str(tmp_path))
    assert str(tmp_path) in WorkflowTaskExecutor(ConfigManager()).execute_task(task).message


@pytest.mark.parametrize(
    ("condition", "success", "value"),
    [
        ("1 = 1", True, True),
        ("'SUCCESS' = 'x'", True, False),  # a text that speaks of success is no success
        ("__import__('os').getpid() > 0", False, None),
        ("nonsense", False, None),
        ("NULL = 1", True, None),
    ],
)
def test_a_decision_is_what_its_condition_says(condition: str, success: bool, value: Any) -> None:
    task = WorkflowTask("d", TaskType.DECISION, "d", condition=condition)
    result = WorkflowTaskExecutor(ConfigManager()).execute_task(task)
    assert (result.success, result.return_value) == (success, value)


def test_a_session_is_done_by_what_it_is_bound_to_and_by_nothing_else() -> None:
    task = WorkflowTask(
        "s", TaskType.SESSION, "s", mapping_name="m", session_config={"commit_interval": 1000}
    )
    unbound = WorkflowTaskExecutor(ConfigManager()).execute_task(task)
    assert not unbound.success
    assert "the session 's' is bound to nothing" in unbound.message
    seen: dict[str, Any] = {}

    def load(ctx: Any) -> dict[str, int]:
        seen.update(ctx.config)
        return {"rows": 7}

    result = WorkflowTaskExecutor(ConfigManager(bindings={"m": load})).execute_task(task)
    assert (result.success, result.return_value) == (True, {"rows": 7})
    assert (seen["mapping"], seen["commit_interval"]) == ("m", "1000")


# -- whole workflows


def test_a_diamond_runs_every_task_and_its_middle_at_once(tmp_path: Path) -> None:
    meet = threading.Barrier(2, timeout=PATIENCE)

    def wait(ctx: Any) -> int:
        return meet.wait()

    workflow = diamond()
    for name in "bc":
        workflow.tasks[name] = WorkflowTask(name, TaskType.SESSION, name, mapping_name="m")
    execution = finished(workflow, ConfigManager(bindings={"m": wait}))
    assert execution.status is TaskStatus.COMPLETED
    assert execution.completed_tasks == set("abcd")
    assert all(result.success for result in execution.task_results.values())


def test_a_failure_link_fires_after_a_failure_and_a_condition_is_asked() -> None:
    workflow = made(
        {"bad": "false", "mend": "true", "never": "true", "asked": "true"},
        ("bad", "mend", "failure"), ("bad", "never", "success"),
        ("mend", "asked", "unconditional", "$bad.Status = FAILED"),
    )  # fmt: skip
    workflow.tasks["bad"].fail_parent_on_failure = False
    execution = finished(workflow)
    assert execution.completed_tasks == {"mend", "asked"}
    assert (execution.failed_tasks, execution.skipped_tasks) == ({"bad"}, {"never"})
    assert execution.status is TaskStatus.COMPLETED


def test_a_failure_fails_the_workflow_and_by_strategy_ends_it() -> None:
    tasks = {"bad": "false", "other": "true", "after": "true"}
    workflow = made(tasks, ("other", "after"))
    assert finished(workflow).status is TaskStatus.FAILED
    assert workflow.tasks["after"].status is TaskStatus.COMPLETED
    stopping = made({"bad": "false", "long": "sleep 60"}, recovery_strategy="fail_task_and_stop_workflow")
    execution = finished(stopping)
    assert execution.status is TaskStatus.FAILED
    assert stopping.tasks["long"].status is TaskStatus.FAILED


def test_as_many_workflows_as_there_are_workers_do_not_starve_each_other() -> None:
    scheduler = WorkflowScheduler(ConfigManager(), max_workers=2)
    runs = [scheduler.execute_workflow(diamond()) for _ in range(6)]
    assert len(set(runs)) == 6
    for run in runs:
        execution = scheduler.wait(run, PATIENCE)
        assert execution is not None
        assert execution.status is TaskStatus.COMPLETED
    assert scheduler.get_active_executions() == []


def test_a_run_is_readable_while_it_goes_on_and_after_its_end() -> None:
    go = threading.Event()
    workflow = Workflow("wf", "wf", tasks={"s": WorkflowTask("s", TaskType.SESSION, "s", mapping_name="m")})
    scheduler = WorkflowScheduler(ConfigManager(bindings={"m": lambda ctx: go.wait(PATIENCE)}))
    run = scheduler.execute_workflow(workflow, "mine")
    assert run == "mine"
    assert scheduler.get_active_executions() == ["mine"]
    with pytest.raises(ValueError, match="there is a run 'mine' already"):
        scheduler.execute_workflow(diamond(), "mine")
    go.set()
    assert scheduler.wait(run, PATIENCE) is scheduler.get_execution_status(run)
    execution = scheduler.get_execution_status(run)
    assert execution is not None
    assert execution.status is TaskStatus.COMPLETED
    assert execution.end_time is not None
    assert scheduler.get_execution_status("no such run") is None
    scheduler.shutdown()


def test_a_cancelled_run_ends_what_it_runs(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    scheduler = WorkflowScheduler(ConfigManager())
    run = scheduler.execute_workflow(
        made({"long": f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 60"})
    )
    ticking = threading.Event()
    for _ in range(3000):
        if pid.exists():
            break
        ticking.wait(0.01)
    assert scheduler.cancel_execution(run)
    execution = scheduler.wait(run, PATIENCE)
    assert execution is not None
    assert (execution.status, execution.error_message, execution.cancelled) == (
        TaskStatus.FAILED,
        "cancelled",
        True,
    )
    number = pid.read_text(encoding="utf-8").strip()
    stat = Path("/proc", number, "stat")
    assert not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    assert not scheduler.cancel_execution(run)
    assert not scheduler.cancel_execution("no such run")


def test_a_callback_that_fails_is_logged_and_the_next_one_is_called(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    scheduler = WorkflowScheduler(ConfigManager())

    def fails(execution: Any) -> None:
        raise RuntimeError("mine")

    scheduler.add_execution_callback(fails)
    scheduler.add_execution_callback(lambda execution: told.append(execution.execution_id))
    with caplog.at_level(logging.ERROR):
        run = scheduler.execute_workflow(diamond())
        scheduler.wait(run, PATIENCE)
    assert told == [run]
    assert "a callback failed" in caplog.text
    assert "mine" in caplog.text


def test_what_cannot_run_is_refused_before_it_starts() -> None:
    scheduler = WorkflowScheduler(ConfigManager())
    with pytest.raises(ValueError, match="circle: (a → b → a|b → a → b)"):
        scheduler.execute_workflow(made({"a": "true", "b": "true"}, ("a", "b"), ("b", "a")))
    with pytest.raises(ValueError, match="'nobody', which is no task"):
        scheduler.execute_workflow(made({"a": "true"}, ("a", "nobody")))
    unbound = Workflow(
        "wf", "wf", tasks={n: WorkflowTask(n, TaskType.SESSION, n, mapping_name=n) for n in "xy"}
    )
    with pytest.raises(ConfigError, match=r"'x' is bound to nothing; the session 'y' is bound to nothing"):
        scheduler.execute_workflow(unbound)
    assert scheduler.get_active_executions() == []


# -- around it


def test_dependencies_are_told_by_links_and_status() -> None:
    workflow = diamond()
    manager = DependencyManager(workflow)
    assert manager.get_ready_tasks() == ["a"]
    assert (manager.upstream("d"), manager.downstream("a")) == (set("abc"), set("bcd"))
    workflow.tasks["a"].status = TaskStatus.COMPLETED
    assert manager.get_ready_tasks() == ["b", "c"]
    workflow.tasks["b"].status = TaskStatus.FAILED
    assert manager.blocking("d") == ["c"]
    workflow.tasks["c"].status = TaskStatus.COMPLETED
    assert manager.get_ready_tasks() == []
    workflow.tasks["d"].treat_input_links_as = "or"
    assert manager.get_ready_tasks() == ["d"]


def test_tasks_run_at_once_within_a_bound_and_a_failure_keeps_none_of_the_others() -> None:
    lock, now, peak = threading.Lock(), [0], [0]
    full = threading.Barrier(2, timeout=PATIENCE)

    def count(ctx: Any) -> int:
        with lock:
            now[0] += 1
            peak[0] = max(peak[0], now[0])
        full.wait()
        with lock:
            now[0] -= 1
        return 1

    tasks = [WorkflowTask(f"s{i}", TaskType.SESSION, f"s{i}", mapping_name="m") for i in range(6)]
    results = ParallelExecutor(ConfigManager(bindings={"m": count}), max_workers=2).execute_tasks(
        [*tasks, shell("bad", "exit 2")]
    )
    assert (len(results), peak[0]) == (7, 2)
    assert [name for name, result in results.items() if not result.success] == ["bad"]
    assert {task.status for task in tasks} == {TaskStatus.COMPLETED}
    assert ParallelExecutor(ConfigManager()).execute_tasks([]) == {}


def test_a_monitor_tells_of_runs() -> None:
    scheduler = WorkflowScheduler(ConfigManager())
    monitor = WorkflowMonitor(scheduler)
    run = scheduler.execute_workflow(made({"a": "true", "b": "exit 5"}))
    scheduler.wait(run, PATIENCE)
    snapshot = monitor.snapshot(run)
    assert (snapshot["status"], snapshot["failed"], snapshot["tasks"]["completed"]) == ("failed", ["b"], 1)
    assert "b (command) failed" in monitor.report(run)
    assert "exit code 5" in monitor.report(run)
    assert monitor.finished == [run]
    with pytest.raises(KeyError, match="no run"):
        monitor.snapshot("nothing")


def test_recovery_runs_what_failed_and_what_follows_and_nothing_else(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    tasks = {name: f"echo {name} >> {seen}" for name in "abcd"}
    workflow = made({**tasks, "b": "false"}, ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))
    scheduler = WorkflowScheduler(ConfigManager())
    recovery = RecoveryManager(scheduler)
    run = scheduler.execute_workflow(workflow)
    execution = scheduler.wait(run, PATIENCE)
    assert execution is not None
    assert recovery.tasks_to_recover(execution) == ["b", "d"]
    workflow.tasks["b"].command = tasks["b"]
    again = recovery.recover(run)
    assert again is not None
    second = scheduler.wait(again, PATIENCE)
    assert second is not None
    assert (second.status, second.completed_tasks) == (TaskStatus.COMPLETED, {"b", "d"})
    assert sorted(seen.read_text(encoding="utf-8").split()) == ["a", "b", "c", "d"]
    assert recovery.recover(again) is None
    with pytest.raises(KeyError):
        recovery.recover("nothing")
