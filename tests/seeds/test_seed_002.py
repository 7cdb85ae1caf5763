"""The four workflows of the document of parallel patterns: its own code, but for import lines and addresses.

What it omits is supplied: the call that builds the first workflow, imports, splitters, combiners and edges.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeling_bridges.kailash.api import Workflow
from nodeling_bridges.kailash.api.nodes.code import PythonCodeNode
from nodeling_bridges.kailash.api.runtime import LocalRuntime
from unit.plugins.http_stage import Asked, Server, served

NAME = "002_e6e92eae95c96649.txt"
HOME = Path(os.environ.get("NODELING_SEEDS", Path(__file__).parents[3] / "shared" / "seeds"))
SEED = HOME / NAME
PATIENCE = 60.0
HERE = "nodeling_bridges.kailash.api"

pytestmark = pytest.mark.skipif(not SEED.is_file(), reason=f"there is no {NAME} in {HOME}")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NODELING_HTTP_ALLOW", "127.0.0.1")
    with served() as made:
        yield made


def text() -> str:
    return SEED.read_text(encoding="utf-8")


def code(title: str, url: str = "") -> str:
    """The code below a heading: its imports lead here, its addresses to a server of the test."""
    part = text().split(f"### {title}\n", 1)[1]
    found = re.search(r"```python\n(.*?)```", part, re.DOTALL)
    assert found is not None
    mended = re.sub(r"^from kailash\b", f"from {HERE}", found[1], flags=re.MULTILINE)
    return re.sub(r"https://([\w.]+)/", rf"{url}/\1/", mended)


def imported() -> dict[str, Any]:
    """Every name that the document imports anywhere."""
    names: dict[str, Any] = {}
    lines = sorted(set(re.findall(r"^from kailash.*$", text(), re.MULTILINE)))
    assert len(lines) == 11
    for line in lines:
        exec(line.replace("from kailash", f"from {HERE}", 1), names)
    return names


def as_json(value: Any) -> Callable[[Asked], Any]:
    body = json.dumps(value).encode()
    return lambda _asked: (200, {"Content-Type": "application/json"}, body)


def test_every_import_line_of_the_document_works() -> None:
    assert {
        "LLMAgentNode",
        "NodeParameter",
        "RestClientNode",
        "MergeNode",
        "LocalRuntime",
    } <= imported().keys()


def test_four_servers_are_asked_at_once_and_their_answers_stand_under_their_names(server: Server) -> None:
    together = threading.Barrier(4)
    keys: dict[str, str] = {}

    def waiting(asked: Asked) -> Any:
        together.wait(PATIENCE)  # breaks, unless four requests are here at one time
        name = asked.path.split("/")[1].split(".")[1]
        keys[name] = asked.headers["api-key"]
        return 200, {"Content-Type": "application/json"}, json.dumps({"from": name}).encode()

    for site, page in (
        ("weather", "current"),
        ("news", "headlines"),
        ("stocks", "market"),
        ("traffic", "conditions"),
    ):
        server.routes[f"/api.{site}.com/{page}"] = waiting
    source = code("Basic Parallel API Aggregation", server.url)
    forgotten = "\nworkflow = create_parallel_api_workflow()\nruntime = LocalRuntime()"
    names: dict[str, Any] = {}
    exec(source.replace("\nruntime = LocalRuntime()", forgotten), names)
    results, run_id = names["result"]
    assert run_id
    assert results["data_merger"]["merged_data"] == {
        f"{name}_data": {"from": name} for name in ("weather", "news", "stocks", "traffic")
    }
    assert keys == {name: f"{name}-key" for name in ("weather", "news", "stocks", "traffic")}


HELPERS = """
def calculate_complex_score(record): return record["n"] * 2
def classify_record(record): return "even" if record["n"] % 2 == 0 else "odd"
def fetch_enrichment(record): return {"square": record["n"] ** 2}
result = [record for chunk in data for record in chunk["data"]]
"""


def test_chunks_are_distributed_processed_and_put_together_in_order() -> None:
    names = imported()
    exec(code("Parallel Data Processing"), names)
    workflow: Workflow = names["create_parallel_batch_processor"]()
    workflow.connect("data_splitter", "chunk_router", mapping={"result": "splitter_result"})
    for number in range(4):
        node = f"chunk_processor_{number}"
        workflow.nodes[node].config["transformations"].insert(0, HELPERS)
        workflow.connect("chunk_router", node, mapping={f"processor_{number}": "data"})
        workflow.connect(node, "result_aggregator", mapping={"result": f"processor_{number}_results"})
    rows = [{"n": n, "original_index": n} for n in range(4_500)]
    results, _ = LocalRuntime().execute(workflow, parameters={"data_splitter": {"input_data": rows}})
    assert results["data_splitter"]["result"]["total_chunks"] == 5
    found = results["result_aggregator"]["result"]
    assert (found["total_processed"], found["processing_complete"]) == (4_500, True)
    assert [row["n"] for row in found["processed_records"]] == list(range(4_500))
    assert found["processed_records"][7] == {
        "n": 7,
        "original_index": 7,
        "processed": True,
        "score": 14,
        "category": "odd",
        "enriched_data": {"square": 49},
    }


def test_a_service_that_fails_and_one_that_is_slow_take_their_fallbacks(server: Server) -> None:
    server.routes["/stable.api.com/data"] = as_json({"rows": 3})
    server.answer("/flaky.api.com/data", 500, b"out of order")
    server.routes["/slow.api.com/data"] = lambda _asked: (server.hanging.wait(PATIENCE), (200, {}, b""))[1]
    names = imported()
    exec(code("Parallel Workflow with Error Isolation", server.url), names)
    workflow: Workflow = names["create_resilient_parallel_workflow"]()
    assert workflow.nodes["slow_service_api"].config["timeout"] == 10_000
    workflow.nodes["slow_service_api"].config["timeout"] = 500
    results, _ = LocalRuntime().execute(workflow)
    found = results["final_aggregator"]["merged_data"]
    assert found["reliable_service_result"] == {
        "service": "reliable_service",
        "status": "success",
        "data": {"rows": 3},
    }
    cached = {"message": "Using cached data", "cached_values": [1, 2, 3]}
    for service, said in (("flaky_service", "answered 500"), ("slow_service", "did not answer in 500 ms")):
        one = found[f"{service}_result"]
        assert said in one.pop("error")
        assert one == {"service": service, "status": "failed", "data": cached, "fallback_used": True}
    assert results["reliable_service_failure"] is None
    assert results["flaky_service_success"] is None
    assert results["flaky_service_api"]["status_code"] == 500


SPLIT = "result = {f'partition_{i}': documents[i::4] for i in range(4)}"
DEAL = "\nresult.update({f'partition_{i}': shuffled_data[i::2] for i in range(2)})\n"
COMBINE = """
both = reducer_0_results['reduced_data'] + reducer_1_results['reduced_data']
result = {one['key']: one['count'] for one in both}
"""


def test_words_are_mapped_shuffled_and_reduced() -> None:
    names = imported()
    exec(code("Parallel Map-Reduce Pattern"), names)
    workflow: Workflow = names["create_mapreduce_workflow"]()
    workflow.nodes["shuffler"].config["code"] += DEAL
    workflow.add_node("input_splitter", PythonCodeNode(name="input_splitter", code=SPLIT))
    workflow.add_node("output_combiner", PythonCodeNode(name="output_combiner", code=COMBINE))
    texts = [{"text": words} for words in ("a b c", "b c", "c", "A a", "d", "c d")]
    parameters = {
        "input_splitter": {"documents": texts},
        **{f"mapper_{number}": {"partition_id": number} for number in range(4)},
        **{f"reducer_{number}": {"reducer_id": number} for number in range(2)},
    }
    results, _ = LocalRuntime().execute(workflow, parameters=parameters)
    assert results["output_combiner"]["result"] == {"a": 3, "b": 2, "c": 4, "d": 2}
    assert sum(results[f"mapper_{number}"]["result"]["records_processed"] for number in range(4)) == 6
    assert results["shuffler"]["result"]["unique_keys"] == 4


def test_the_limits_that_the_document_names_are_taken() -> None:
    found = re.search(r"runtime_config = (\{.*?\})", text(), re.DOTALL)
    assert found is not None
    workflow = Workflow("example", name="Example")
    workflow.runtime = LocalRuntime()  # type: ignore[attr-defined]
    workflow.workflow.add_node("one", PythonCodeNode(name="one", code="result = 1"))
    workflow.workflow.runtime_config = eval(found[1])
    document = workflow.prepare({}).native.document
    assert document["settings"] == {"max_concurrent": 10}
    assert document["steps"][0]["timeout"] == "30000ms"
    assert document["steps"][0]["inputs"]["timeout_ms"] == 30_000
    assert LocalRuntime().execute(workflow)[0]["one"] == {"result": 1}


def test_two_of_five_branches_are_enough_where_that_is_said(server: Server) -> None:
    names = imported()
    workflow = Workflow("partial")
    found = re.search(r"^aggregator = (MergeNode\(.*?\n\))", text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    workflow.add_node("aggregator", eval(found[1], names))
    for number in range(5):
        server.answer(f"/{number}", 200 if number < 2 else 500, b"fine")
        workflow.add_node(f"api_{number}", names["RestClientNode"](url=f"{server.url}/{number}"))
        workflow.connect(f"api_{number}", "aggregator", mapping={"response": f"r{number}"})
    results, _ = LocalRuntime().execute(workflow)
    assert results["aggregator"]["merged_data"] == {"r0": "fine", "r1": "fine"}
    assert results["aggregator"]["missing"] == ["r2", "r3", "r4"]
