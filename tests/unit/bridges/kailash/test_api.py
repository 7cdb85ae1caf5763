"""The Python API: nodes as classes, what they are told, how a run ends, and the bounds that hold."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeling.errors import ConfigError
from nodeling_bridges.kailash.api import (
    AsyncLocalRuntime,
    LocalRuntime,
    Node,
    NodeParameter,
    ParallelRuntime,
    Workflow,
    WorkflowBuilder,
    WorkflowExecutionError,
    register_node,
)
from nodeling_bridges.kailash.api.nodes.api import HTTPRequestNode, RestClientNode
from nodeling_bridges.kailash.api.nodes.base import AsyncNode
from nodeling_bridges.kailash.api.nodes.code import PythonCodeNode
from nodeling_bridges.kailash.api.nodes.data import DirectoryReaderNode, FileProcessorNode, SQLReaderNode
from nodeling_bridges.kailash.api.nodes.logic import MergeNode, SwitchNode
from nodeling_bridges.kailash.api.nodes.transform import DataTransformer, FilterNode, ValidationNode
from nodeling_bridges.kailash.api.runtime.circuit import CircuitBreaker, CircuitBreakerConfig
from unit.plugins.http_stage import Server, served

PATIENCE = 60.0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NODELING_HTTP_ALLOW", "127.0.0.1")
    with served() as made:
        yield made


class Adder(Node):
    """Adds two numbers."""

    def get_parameters(self) -> dict[str, NodeParameter]:
        return {
            "a": NodeParameter("a", int, required=True),
            "b": NodeParameter("b", int, default=10),
            "mode": NodeParameter("mode", str, default="plain", choices=["plain", "double"]),
        }

    def run(self, **inputs: Any) -> dict[str, Any]:
        total = inputs["a"] + inputs["b"]
        return {"sum": total * 2 if inputs["mode"] == "double" else total}


class Waiting(Node):
    """Ends when as many run at one time as the barrier asks for."""

    def __init__(self, together: threading.Barrier, **config: Any) -> None:
        self._together = together
        super().__init__(**config)

    def run(self, **inputs: Any) -> dict[str, Any]:
        self._together.wait(PATIENCE)
        return {"thread": threading.get_ident()}


# -- nodes of one's own


def test_a_node_of_ones_own_gets_defaults_and_its_outputs_are_named() -> None:
    workflow = Workflow("own")
    workflow.add_node("one", Adder, a=1)
    workflow.add_node("two", Adder(b=5, mode="double"))
    workflow.connect("one", "two", mapping={"sum": "a"})
    results, _ = LocalRuntime().execute(workflow, parameters={"one": {"b": 2}})
    assert (results["one"], results["two"]) == ({"sum": 3}, {"sum": 16})


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "needs 'a'"),
        ({"one": {"a": 1, "mode": "dubble"}}, "cannot be 'dubble'"),
        ({"one": {"a": "x"}}, "is int, not str"),
    ],
)
def test_a_node_that_fails_fails_the_run_though_nobody_waits_for_it(parameters: Any, said: str) -> None:
    workflow = Workflow("leaf")
    workflow.add_node("one", Adder)
    workflow.add_node("other", PythonCodeNode(name="other", code="result = 1"))
    with pytest.raises(WorkflowExecutionError) as caught:
        LocalRuntime().execute(workflow, parameters=parameters)
    assert caught.value.failed == ["one"]
    assert caught.value.results["other"] == {"result": 1}
    error = caught.value.results["one"]["error"]
    assert said in f"{error['message']} {error.get('details')}"


def test_a_misspelt_parameter_is_refused_where_it_is_written() -> None:
    for wrong in (
        lambda: Adder(aa=1),
        lambda: RestClientNode(ulr="x"),
        lambda: Workflow("w").add_node("x", "Adder"),
    ):
        with pytest.raises(ConfigError) as caught:
            wrong()
        assert caught.value.hint
    workflow = Workflow("w").add_node("ask", RestClientNode(url="http://example.com"))
    with pytest.raises(ConfigError, match="no parameter 'heders'"):
        LocalRuntime().execute(workflow, parameters={"ask": {"heders": {}}})
    with pytest.raises(ConfigError, match="name 'aks'"):
        LocalRuntime().execute(workflow, parameters={"aks": {"headers": {}}})
    with pytest.raises(ConfigError, match="has no option 'max_concurency'"):
        LocalRuntime(max_concurency=3)


def test_code_that_is_no_python_is_told_before_anything_runs() -> None:
    workflow = Workflow("broken").add_node("one", PythonCodeNode(name="one", code="result = (\n"))
    workflow.add_node("two", PythonCodeNode(name="two", code="result = n"))
    with pytest.raises(ConfigError, match="the code is no Python: line 1"):
        LocalRuntime().execute(workflow, parameters={"n": 1})


def test_a_registered_class_is_known_by_its_name() -> None:
    register_node("AdderForTest")(Adder)
    workflow = Workflow("named")
    workflow.add_node("one", "AdderForTest", a=1)
    assert LocalRuntime().execute(workflow)[0]["one"] == {"sum": 11}


def test_functions_and_coroutines_are_nodes_too() -> None:
    class Later(AsyncNode):
        def get_parameters(self) -> dict[str, NodeParameter]:
            return {"x": NodeParameter("x")}

        async def async_run(self, **inputs: Any) -> dict[str, Any]:
            await asyncio.sleep(0)
            return {"y": inputs["x"] + 1}

    workflow = Workflow("functions")
    workflow.add_node("double", PythonCodeNode.from_function(lambda x: x * 2, name="double"))
    workflow.add_node("later", Later())
    workflow.connect("double", "later", mapping={"result": "x"})
    assert LocalRuntime().execute(workflow, parameters={"x": 4})[0]["later"] == {"y": 9}


def test_a_node_can_be_run_alone() -> None:
    assert FilterNode(field="n", operator=">", value=1).execute(data=[{"n": 1}, {"n": 2}]) == {
        "filtered_data": [{"n": 2}],
        "result": [{"n": 2}],
    }


# -- the builder and the serialised form


def test_every_shape_of_the_builder_s_calls_makes_the_same_workflow() -> None:
    config = {"code": "result = n + 1"}
    orders = []
    for shape in range(5):
        builder = WorkflowBuilder()
        if shape == 0:
            builder.add_node("PythonCodeNode", "one", config)
        elif shape == 1:
            builder.add_node(PythonCodeNode, "one", config)
        elif shape == 2:
            builder.add_node(PythonCodeNode(name="one", code=config["code"]), "one")
        elif shape == 3:
            builder.add_node("one", PythonCodeNode, **config)
        else:
            builder.add_node("one", "PythonCodeNode", config)
        made_up = builder.add_node("PythonCodeNode", {"code": "result = m * 2"})
        builder.add_connection("one", "result", made_up, "m")
        builder.add_workflow_inputs("one", {"number": "n"})
        workflow = builder.build("built")
        assert LocalRuntime().execute(workflow, parameters={"number": 4})[0][made_up] == {"result": 10}
        orders.append(workflow.get_execution_order())
    assert orders == [["one", "PythonCodeNode_1"]] * 5


def test_a_workflow_goes_into_its_serialised_form_and_back(tmp_path: Path) -> None:
    workflow = Workflow("back", name="Back", description="goes back")
    workflow.add_node("one", PythonCodeNode(name="one", code="result = {'n': 1}"))
    workflow.add_node("two", SwitchNode(condition="n == 1"))
    workflow.connect("one", "two", mapping={"result.n": "n"})
    workflow.runtime_config = {"task_timeout": 20_000}
    again = Workflow.from_dict(workflow.to_dict())
    assert again.to_dict() == workflow.to_dict()
    assert LocalRuntime().execute(again)[0] == LocalRuntime().execute(workflow)[0]
    workflow.save(tmp_path / "back.yaml", format="yaml")
    import nodeling

    assert nodeling.run(tmp_path / "back.yaml").outputs["two"]["true_output"] == {"n": 1}


def test_build_tells_every_fault() -> None:
    builder = WorkflowBuilder()
    builder.add_node("PythonCodeNode", "one", {"code": "result = 1"})
    builder.connect("one", "nobody", {"result": "x"})
    builder.connect("noone", "one", {"result": "x"})
    with pytest.raises(ConfigError) as caught:
        builder.build()
    assert len(caught.value.faults) == 2


# -- runtimes: at once, and no more than is said


def test_as_many_run_at_once_as_the_bound_says() -> None:
    together = threading.Barrier(16)
    workflow = Workflow("wide")
    for number in range(16):
        workflow.add_node(f"n{number}", Waiting(together))
    results, run_id = asyncio.run(ParallelRuntime(max_workers=16).execute(workflow))
    assert run_id
    assert len({one["thread"] for one in results.values()}) == 16
    again = asyncio.run(AsyncLocalRuntime(max_concurrent_nodes=16).execute_workflow_async(workflow))
    assert len(again[0]) == 16


@pytest.mark.parametrize("where", ["runtime", "workflow"])
def test_never_more_than_max_parallel_tasks_run_at_once(where: str) -> None:
    lock, now, peaks = threading.Lock(), [0], [0]
    pair = threading.Barrier(2)

    class Counting(Node):
        def run(self, **inputs: Any) -> dict[str, Any]:
            with lock:
                now[0] += 1
                peaks[0] = max(peaks[0], now[0])
            pair.wait(PATIENCE)  # two are here at once; a third would be counted while they wait
            with lock:
                now[0] -= 1
            return {}

    workflow = Workflow("bounded")
    for number in range(8):
        workflow.add_node(f"n{number}", Counting())
    if where == "workflow":
        workflow.runtime_config = {"max_parallel_tasks": 2}
    LocalRuntime(**({"max_concurrency": 2} if where == "runtime" else {})).execute(workflow)
    assert peaks[0] == 2


def test_code_that_loops_for_ever_ends_at_the_task_timeout() -> None:
    workflow = Workflow("endless")
    workflow.add_node("loop", PythonCodeNode(name="loop", code="while True: pass"))
    workflow.add_node("fine", PythonCodeNode(name="fine", code="import os; result = os.getpid()"))
    workflow.runtime_config = {"task_timeout": 2_000}
    with pytest.raises(WorkflowExecutionError) as caught:
        LocalRuntime().execute(workflow)
    assert caught.value.failed == ["loop"]
    assert caught.value.results["fine"]["result"] != os.getpid()


def test_a_class_that_does_not_end_is_given_up_at_the_task_timeout() -> None:
    never = threading.Event()

    class Stuck(Node):
        def run(self, **inputs: Any) -> dict[str, Any]:
            never.wait(PATIENCE)
            return {}

    workflow = Workflow("stuck")
    workflow.add_node("stuck", Stuck())
    workflow.runtime_config = {"task_timeout": 300}
    try:
        with pytest.raises(WorkflowExecutionError, match="timed out after 300 ms"):
            LocalRuntime().execute(workflow)
    finally:
        never.set()


def test_code_that_eats_memory_ends_at_the_memory_limit() -> None:
    workflow = Workflow("greedy")
    workflow.add_node("eat", PythonCodeNode(name="eat", code="x = bytearray(200 * 2**20); result = len(x)"))
    assert LocalRuntime().execute(workflow)[0]["eat"]["result"] == 200 * 2**20
    workflow.runtime_config = {"memory_limit": "64MB"}
    with pytest.raises(WorkflowExecutionError, match="more memory"):
        LocalRuntime().execute(workflow)


def test_a_limit_that_cannot_hold_as_it_was_said_is_told(caplog: pytest.LogCaptureFixture) -> None:
    workflow = Workflow("told")
    workflow.add_node("own", Adder, a=1)
    workflow.runtime_config = {"memory_limit": "2GB"}
    with caplog.at_level(logging.WARNING, "nodeling.kailash"):
        LocalRuntime().execute(workflow)
    assert "1024 MB" in caplog.text
    assert "not own" in caplog.text


def test_a_run_ends_at_its_time_limit_and_what_has_a_process_is_killed() -> None:
    workflow = Workflow("long")
    workflow.add_node("loop", PythonCodeNode(name="loop", code="while True: pass"))
    with pytest.raises(WorkflowExecutionError):
        asyncio.run(ParallelRuntime().execute(workflow, time_limit=1.0))


def test_text_is_code_in_a_process_of_its_own_alone(tmp_path: Path) -> None:
    workflow = Workflow("apart")
    workflow.add_node("code", PythonCodeNode(name="code", code="import os; result = os.getpid()"))
    workflow.add_node(
        "lambda", DataTransformer(transformations=["lambda x: __import__('os').getpid()"], data=1)
    )
    file = tmp_path / "one.txt"
    file.write_text("one two", encoding="utf-8")
    process = "lambda text: [__import__('os').getpid(), len(text)]"
    workflow.add_node("files", FileProcessorNode(files=[str(file)], process=process))
    results, _ = LocalRuntime().execute(workflow)
    pids = {
        results["code"]["result"],
        results["lambda"]["result"],
        results["files"]["results"][0]["value"][0],
    }
    assert len(pids) == 3
    assert os.getpid() not in pids


@pytest.mark.parametrize("kind", [RestClientNode, HTTPRequestNode])
def test_a_private_address_is_refused(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODELING_HTTP_ALLOW", raising=False)
    workflow = Workflow("metadata")
    workflow.add_node("ask", kind(url="http://169.254.169.254/latest/meta-data/"))
    with pytest.raises(WorkflowExecutionError) as caught:
        LocalRuntime().execute(workflow)
    assert caught.value.results["ask"]["error"]["code"] == 4003


# -- circuits


def test_an_open_circuit_leaves_the_server_alone_until_it_is_tried_again(server: Server) -> None:
    server.answer("/sick", 503, b"")
    workflow = Workflow("sick")
    workflow.add_node("ask", RestClientNode(url=f"{server.url}/sick"))
    runtime = LocalRuntime(circuit_breaker={"failure_threshold": 2, "recovery_timeout": 3_600})
    said = []
    for _ in range(4):
        with pytest.raises(WorkflowExecutionError) as caught:
            runtime.execute(workflow)
        said.append(caught.value.results["ask"]["error"]["message"])
    assert len(server.asked) == 2
    assert said[2] == said[3] == "the circuit of 'ask' is open after 2 failures in a row"


def test_a_circuit_lets_one_call_through_when_its_time_is_over() -> None:
    now = [0.0]
    breaker = CircuitBreaker(CircuitBreakerConfig(2, 10), clock=lambda: now[0])
    for _ in range(2):
        assert breaker.admit("w", "n") is None
        breaker.record("w", "n", "failed")
    assert breaker.state("w", "n") == "open"
    assert breaker.admit("w", "n") == {"node": "n", "failures": 2, "wait_ms": 10_000}
    now[0] = 11
    assert breaker.state("w", "n") == "half_open"
    assert breaker.admit("w", "n") is None
    assert breaker.admit("w", "n") is not None
    breaker.record("w", "n", "cancelled")
    assert breaker.admit("w", "n") is None
    breaker.record("w", "n", "failed")
    assert breaker.state("w", "n") == "open"
    now[0] = 22
    assert breaker.admit("w", "n") is None
    breaker.record("w", "n", "succeeded")
    assert breaker.state("w", "n") == "closed"
    assert breaker.state("other", "n") == "closed"


def test_a_circuit_that_was_to_be_tried_and_was_not_is_tried_the_next_time(server: Server) -> None:
    server.answer("/sick", 503, b"")
    workflow = Workflow("tried")
    workflow.add_node("first", PythonCodeNode(name="first", code="result = 1 / divisor"))
    workflow.add_node("ask", RestClientNode(url=f"{server.url}/sick"))
    workflow.connect("first", "ask", mapping={"result": "params"})
    runtime = LocalRuntime(circuit_breaker={"failure_threshold": 1, "recovery_timeout": 0})
    workflow.nodes["first"].config["code"] = "result = {'n': 1 / divisor}"
    for divisor in (1, 0, 1):
        with pytest.raises(WorkflowExecutionError):
            runtime.execute(workflow, parameters={"divisor": divisor})
    assert len(server.asked) == 2


def test_code_without_a_result_gives_the_variables_that_it_sets() -> None:
    workflow = Workflow("several")
    workflow.add_node(
        "code", PythonCodeNode(name="code", code="import math\na = math.floor(2.5)\nb = [a, 1]")
    )
    workflow.add_node("next", PythonCodeNode(name="next", code="result = sum(both)"))
    workflow.connect("code", "next", mapping={"b": "both"})
    results, _ = LocalRuntime().execute(workflow)
    assert results == {"code": {"a": 2, "b": [2, 1]}, "next": {"result": 3}}


@pytest.mark.parametrize("wrong", [{"failure_treshold": 1}, {"failure_threshold": 0}])
def test_a_breaker_that_means_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        LocalRuntime(circuit_breaker=wrong)


# -- nodes of ours


def test_rows_of_several_databases_are_joined_by_a_key(tmp_path: Path) -> None:
    tables = {"users": [(1, "Ann"), (2, "Bo")], "orders": [(1, 30), (1, 12)], "stock": [(2, 7)]}
    workflow = Workflow("join")
    workflow.add_node("joiner", MergeNode(merge_type="merge_dict", key="id"))
    for name, rows in tables.items():
        with sqlite3.connect(tmp_path / f"{name}.db") as connection:
            connection.execute(f"CREATE TABLE t (id INTEGER, {name} TEXT)")
            connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.close()
        reader = SQLReaderNode(connection_string=f"sqlite:///{tmp_path}/{name}.db", query="SELECT * FROM t")
        workflow.add_node(f"{name}_reader", reader)
        workflow.connect(f"{name}_reader", "joiner")
    assert LocalRuntime().execute(workflow)[0]["joiner"]["merged_data"] == [
        {"id": 1, "users": "Ann", "orders": "30"},
        {"id": 1, "users": "Ann", "orders": "12"},
        {"id": 2, "users": "Bo", "stock": "7"},
    ]


def test_a_reader_of_rows_changes_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    sqlite3.connect(tmp_path / "x.db").close()
    with pytest.raises(WorkflowExecutionError):
        SQLReaderNode(connection_string=url, query="CREATE TABLE t (id INTEGER)").execute()


def test_rules_in_python_judge_records() -> None:
    checked = ValidationNode(
        rules=["amount > 0", {"name": "known", "condition": "kind in ['a', 'b']", "level": "warning"}],
        schema={"required": ["amount"]},
    ).execute(data=[{"amount": 1, "kind": "a"}, {"amount": -1, "kind": "c"}, {"kind": "a"}])
    assert (checked["valid"], checked["error_count"], len(checked["warnings"])) == (False, 3, 1)
    with pytest.raises(ConfigError, match="checks nothing"):
        ValidationNode().execute(data=[])


def test_files_of_a_folder_are_found_and_processed(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("word " * number, encoding="utf-8")
    workflow = Workflow("files")
    workflow.add_node("find", DirectoryReaderNode(directory_path=str(tmp_path), pattern="*.txt"))
    workflow.add_node("count", FileProcessorNode(operation="words"))
    workflow.connect("find", "count", mapping={"files": "files"})
    results, _ = LocalRuntime().execute(workflow)
    assert [one["value"] for one in results["count"]["results"]] == [0, 1, 2]


def test_a_timeout_counts_milliseconds_or_seconds_as_its_class_says() -> None:
    times = []
    for kind in (RestClientNode, HTTPRequestNode):
        workflow = Workflow("t").add_node("ask", kind(url="http://example.com", timeout=5))
        times.append(workflow.prepare({}).native.document["steps"][0]["inputs"]["timeout_ms"])
    assert times == [5, 5_000]


def linked(**connection: Any) -> Workflow:
    workflow = Workflow("w")
    workflow.add_node("a", PythonCodeNode(name="a", code="result = 1"))
    workflow.add_node("b", PythonCodeNode(name="b", code="result = x"))
    return workflow.connect("a", "b", **connection)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Workflow("w").add_node("a", 5), "'a' is a node, a class of nodes or the name of one, not 5"),  # type: ignore[arg-type]
        (lambda: Workflow("w").add_node("a", int), "not <class 'int'>"),  # type: ignore[arg-type]
        (lambda: Workflow("w").add_node(5, "MergeNode"), "a node's id is a text, not 5"),  # type: ignore[arg-type]
        (lambda: linked(mapping=5), "`mapping` is a dictionary of outputs and inputs, not 5"),
        (lambda: linked(mapping={1: 2}), "brings 1 into 2, and both are names"),
        (lambda: linked(cycle=True, max_iterations=3), "takes no 'cycle': nothing repeats here"),
        (lambda: LocalRuntime().execute(None), "a runtime runs a Workflow, not None"),  # type: ignore[arg-type]
        (lambda: LocalRuntime().execute(linked(), parameters=5), "parameters are a dictionary"),  # type: ignore[arg-type]
        (lambda: Workflow.from_dict(5), "a serialised workflow is an object, not 5"),  # type: ignore[arg-type]
    ],
)
def test_what_has_the_wrong_shape_is_refused_where_it_is_said(call: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        call()


def test_a_misspelt_argument_of_a_connection_is_refused_as_python_does() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'mappping'"):
        linked(mappping={})
