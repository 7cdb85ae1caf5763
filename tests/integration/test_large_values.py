"""Large values through the engine: put aside, handed on unread, read by whoever looks inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import nodeling
from exec_calls import is_alive
from nodeling import Context, Workflow, node
from nodeling_runtime import shelf
from nodeling_runtime.blobs import Blob
from nodeling_runtime.dispatch.worker.hub import close_all
from programs import need

MIB = 2**20
COUNT = 2_800_000  # numbers, which are more than 20 MiB of JSON
MAKER = """
def run(ctx, inputs):
    if inputs.get("raw"):
        return {"table": ctx.write_blob(b"ARROW1" + bytes(1000), "application/vnd.apache.arrow.file")}
    return list(range(inputs["count"]))
"""
TAKER = """
def run(ctx, inputs):
    if "table" in inputs:
        with ctx.open_blob(inputs["table"]) as file:
            return file.read().startswith(b"ARROW1")
    rows = inputs["rows"] if isinstance(inputs, dict) else inputs
    return [len(rows), rows[-1]]
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / ".nodeling").mkdir()
    write(tmp_path, "maker", MAKER)
    write(tmp_path, "taker", TAKER)
    write(tmp_path, "judge", "def run(ctx, inputs):\n    return list(range(inputs['count']))\n", output=LIST)
    yield tmp_path
    close_all()
    assert eventually(lambda: not leftovers()), leftovers()


LIST = {"type": "array", "items": {"type": "string"}}


def leftovers() -> list[Path]:
    """What lies on the shelf of this process, locks aside."""
    root = Path(shelf.shelf().root)
    return [path for path in root.rglob("*") if path.name != shelf.LOCK]


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes to hold; a run's thread may hold its result for a moment longer."""
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def write(project: Path, name: str, code: str, **manifest: Any) -> None:
    folder = project / "nodes" / name
    folder.mkdir(parents=True)
    said = {"name": name, "version": "1.0.0", "runtime": {"type": "runtime.python3"}, **manifest}
    (folder / "config.json").write_text(json.dumps(said), encoding="utf-8")
    (folder / "node.py").write_text(code, encoding="utf-8")


def run(project: Path, *steps: dict[str, Any], **more: Any) -> nodeling.RunResult:
    path = project / "flow.json"
    path.write_text(json.dumps({"name": "flow", "steps": list(steps), **more}), encoding="utf-8")
    return nodeling.run(path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every time that the host decodes a file."""
    found: list[str] = []
    decoded = Blob.decoded

    def note(self: Blob) -> Any:
        found.append(self.name)
        return decoded(self)

    monkeypatch.setattr(Blob, "decoded", note)
    return found


@pytest.mark.parametrize(
    "inputs",
    [
        {"rows": "${steps.make.output}"},
        "${steps.make.output}",
        {"rows": "${ctx.vars.make}"},
        {"rows": "${ctx.response.data}"},
        {"rows": "js/ctx.vars.make"},
        {"rows": "${steps.make.output ?? []}"},
    ],
    ids=["member", "whole", "variable", "response", "javascript", "default"],
)
def test_a_large_value_is_handed_on_by_whatever_names_it_and_never_decoded(
    project: Path, reads: list[str], inputs: Any
) -> None:
    result = run(
        project,
        {"name": "make", "node": "maker", "inputs": {"count": 300_000}},
        {"name": "take", "node": "taker", "inputs": inputs},
    )
    assert result.output == [300_000, 299_999], result
    assert reads == []


def test_twenty_mebibytes_pass_between_steps_and_the_host_never_decodes_them(
    project: Path, reads: list[str]
) -> None:
    result = run(
        project,
        {"name": "make", "node": "maker", "inputs": {"count": COUNT}},
        {"name": "take", "node": "taker", "inputs": {"rows": "${steps.make.output}"}},
    )
    assert result.output == [COUNT, COUNT - 1], result
    assert reads == []
    data = result.steps["make"].data
    assert data is not None and len(data) > 20 * MIB  # asking for the value is what reads it
    assert len(reads) == 1


JAVASCRIPT = """
export default async function (ctx, inputs) {
  if (inputs.table) {
    const table = new Uint8Array(await (await ctx.openBlob(inputs.table)).bytes());
    return { back: await ctx.writeBlob(table.reverse(), "application/octet-stream"), size: table.length };
  }
  return [inputs.rows.length, inputs.rows.at(-1)];
}
"""


def test_a_python_worker_and_a_javascript_worker_pass_values_and_bytes(
    project: Path, reads: list[str]
) -> None:
    need("node")
    write(project, "script", JAVASCRIPT, runtime={"type": "runtime.nodejs", "entry": "node.mjs"})
    (project / "nodes" / "script" / "node.py").rename(project / "nodes" / "script" / "node.mjs")
    result = run(
        project,
        {"name": "make", "node": "maker", "inputs": {"count": COUNT}},
        {"name": "rows", "node": "script", "inputs": {"rows": "${steps.make.output}"}},
        {"name": "draw", "node": "maker", "inputs": {"raw": True}},
        {"name": "turn", "node": "script", "inputs": "${steps.draw.output}"},
    )
    assert result.succeeded, result
    assert result.steps["rows"].output == [COUNT, COUNT - 1]
    assert reads == []
    turned = result.steps["turn"].output
    with result.open_blob(turned["back"]) as file:
        assert file.read() == bytes(1000) + b"1WORRA"


def test_an_expression_reads_the_file_it_looks_into_once(project: Path, reads: list[str]) -> None:
    result = run(
        project,
        {"name": "make", "node": "maker", "inputs": {"count": 300_000}},
        {"name": "one", "node": "taker", "inputs": {"rows": "${steps.make.output[0:3]}"}},
        {"name": "two", "node": "taker", "if": "${size(steps.make.output) == 300000}", "inputs": [5]},
    )
    assert result.steps["one"].output == [3, 2], result
    assert result.steps["two"].output == [1, 5]
    assert len(reads) == 1


def test_fault_26_an_output_that_its_schema_refuses_is_read_refused_and_not_kept(
    project: Path, reads: list[str]
) -> None:
    result = run(project, {"name": "make", "node": "judge", "inputs": {"count": 300_000}})
    error = result.steps["make"].error
    assert error is not None and error["code"] == 4006
    assert result.steps["make"].held is None
    assert len(reads) == 1
    small = run(project, {"name": "make", "node": "judge", "inputs": {"count": 3}})
    assert small.steps["make"].error is not None and small.steps["make"].error["code"] == 4006
    assert small.steps["make"].held is None


def test_an_input_schema_reads_only_what_it_looks_at(project: Path, reads: list[str]) -> None:
    rows: dict[str, Any] = {"description": "whatever"}
    schema = {"type": "object", "properties": {"rows": rows, "k": {"type": "integer"}}, "required": ["rows"]}
    write(project, "open", TAKER, inputs=schema)
    write(project, "typed", TAKER, inputs={**schema, "properties": {"rows": {"type": "object"}}})
    steps: list[dict[str, Any]] = [
        {"name": "make", "node": "maker", "inputs": {"count": 300_000}},
        {"name": "open", "node": "open", "inputs": {"rows": "${steps.make.output}", "k": 1}},
    ]
    assert run(project, *steps).output == [300_000, 299_999]
    assert reads == []
    typed = {"name": "typed", "node": "typed", "inputs": {"rows": "${steps.make.output}"}}
    error = run(project, *steps, typed).steps["typed"].error
    assert error is not None and error["code"] == 4001
    assert len(reads) == 1


def test_bytes_pass_as_a_handle_and_outlive_the_run_with_its_result(project: Path) -> None:
    result = run(
        project,
        {"name": "make", "node": "maker", "inputs": {"raw": True}},
        {"name": "take", "node": "taker", "inputs": {"table": "${steps.make.output.table}"}},
        {"name": "all", "node": "taker", "inputs": "${steps.make.output}"},
    )
    assert (result.steps["take"].output, result.steps["all"].output) == (True, True), result
    handle = result.steps["make"].output["table"]
    about = handle["$blob"]
    assert (about["media_type"], about["size"], about["encoding"]) == (
        "application/vnd.apache.arrow.file",
        1006,
        "raw",
    )
    with result.open_blob(handle) as file:
        assert file.read(6) == b"ARROW1"
    with pytest.raises(nodeling.NodelingError, match="no output of this run"):
        result.open_blob({"$blob": {"path": "other"}})


def test_in_process_nodes_give_and_take_what_is_too_large_for_memory_twice(reads: list[str]) -> None:
    @node
    def swell(count: int) -> str:
        return "x" * count

    @node
    def measure(text: str) -> int:
        return len(text)

    @node
    def keep(context: Context) -> Any:
        return [context.write_blob(b"abc", "text/plain")]

    @node
    def look(context: Context, handles: list[Any]) -> str:
        with context.open_blob(handles[0]) as file:
            return file.read().decode()

    wf = Workflow("large")
    wf.step("swell", swell, inputs={"count": 17 * MIB})
    wf.step("measure", measure, inputs={"text": "${steps.swell.output}"})
    wf.step("keep", keep)
    wf.step("look", look, inputs={"handles": "${steps.keep.output}"})
    result = wf.run()
    assert result.steps["measure"].output == 17 * MIB, result
    assert result.steps["look"].output == "abc"
    assert result.steps["swell"].output == "x" * 17 * MIB


def test_a_handle_is_no_context_variable_in_process_or_out_of_it(project: Path) -> None:
    code = "def run(ctx, inputs):\n    ctx.set('t', [ctx.write_blob(b'abc')])\n"
    write(project, "here", code, runtime={"type": "python"})
    write(project, "there", code)
    for name in ("here", "there"):
        error = run(project, {"name": "x", "node": name}).steps["x"].error
        assert error is not None
        assert error["code"] == "context.blob"


@pytest.mark.parametrize("kind", ["parallel", "for-each", "sequence", "while", "race", "if-else", "try"])
def test_containers_hand_on_unread(project: Path, reads: list[str], kind: str) -> None:
    make = {"name": "make", "node": "maker", "inputs": {"count": 300_000}}
    keys: dict[str, Any] = {
        "parallel": {"nodes": [make]},
        "for-each": {"in": [1], "do": make},
        "sequence": {"steps": [make]},
        "while": {"while": "${iteration < 1}", "do": make},
        "race": {"nodes": [make]},
        "if-else": {"if": True, "then": make},
        "try": {"try": make, "catch": {"name": "other", "node": "taker", "inputs": [1]}},
    }[kind]
    into = {"parallel": ".results[0]", "for-each": ".results[0]", "race": ".results[0]", "while": ".output"}
    rows = f"${{steps.box.output{into.get(kind, '')}}}"
    result = run(
        project,
        {"name": "box", "node": kind, **keys},
        {"name": "take", "node": "taker", "inputs": {"rows": rows}},
    )
    assert result.output == [300_000, 299_999], result
    assert reads == []


def test_a_failed_container_tells_of_its_large_results_by_reference(project: Path, reads: list[str]) -> None:
    nodes = [
        {"name": "make", "node": "maker", "inputs": {"count": 300_000}},
        {"name": "fail", "node": "maker", "inputs": {}},
    ]
    execution = {"error_handling": "continue-partial", "min_success": 2}
    result = run(project, {"name": "box", "node": "parallel", "execution": execution, "nodes": nodes})
    error = result.steps["box"].error
    assert error is not None and error["code"] == "container.min_success"
    assert error["details"]["results"][0]["$blob"]["size"] > MIB
    assert json.dumps(result.to_json()["error"])
    assert reads == []


def test_a_handle_of_nowhere_is_4001_in_process_and_out_of_it(project: Path) -> None:
    code = 'def run(ctx, inputs):\n    ctx.open_blob({"$blob": {"path": "nowhere", "size": 1}})\n'
    write(project, "here", code, runtime={"type": "python"})
    write(project, "there", code)
    for name in ("here", "there"):
        error = run(project, {"name": "x", "node": name}).steps["x"].error
        assert error is not None
        assert (error["code"], error["retryable"]) == (4001, False)


def test_what_no_result_refers_to_is_gone_when_the_run_is(project: Path) -> None:
    result = run(
        project,
        {
            "name": "loop",
            "node": "while",
            "while": "${iteration < 3}",
            "do": {"name": "make", "node": "maker", "inputs": {"count": 300_000}},
        },
        {"name": "end", "node": "taker", "inputs": [1]},
        output="${steps.end.output}",
    )
    assert result.output == [1, 1], result
    files = [path.name for path in leftovers() if path.name.startswith("b-")]
    last = list(result.steps["loop"].held.blobs)  # type: ignore[union-attr]
    assert files == last  # those of the rounds before are gone
    del result
    assert eventually(lambda: not [path for path in leftovers() if path.name.startswith("b-")])


def test_the_input_of_a_run_may_be_large(project: Path, reads: list[str]) -> None:
    path = project / "flow.json"
    step = {"name": "take", "node": "taker", "inputs": {"rows": "${ctx.request.body}"}}
    path.write_text(json.dumps({"name": "flow", "steps": [step]}), encoding="utf-8")
    result = nodeling.run(path, list(range(COUNT)))
    assert result.output == [COUNT, COUNT - 1], result
    assert reads == []


def test_a_killed_runtime_leaves_no_file_behind(project: Path) -> None:
    noted = project / "noted"
    write(
        project,
        "stay",
        "import os, time\n"
        "def run(ctx, inputs):\n"
        "    open(inputs['noted'], 'w').write(str(os.getpid()))\n"
        "    time.sleep(1000)\n",
    )
    steps = [
        {"name": "make", "node": "maker", "inputs": {"count": 300_000}},
        {"name": "stay", "node": "stay", "inputs": {"rows": "${steps.make.output}", "noted": str(noted)}},
    ]
    (project / "flow.json").write_text(json.dumps({"name": "flow", "steps": steps}), encoding="utf-8")
    command = [sys.executable, "-m", "nodeling_runtime", "run", "flow.json"]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert eventually(lambda: noted.exists() and noted.read_text() != "")
    worker = noted.read_text()
    folder = Path(f"/proc/{process.pid}/fd")
    (lock,) = [os.readlink(fd) for fd in folder.iterdir() if os.readlink(fd).endswith(f"/{shelf.LOCK}")]
    root = Path(lock).parent
    assert len(list(root.rglob("b-*"))) == 2  # the runtime's, and the worker's name for it
    process.kill()
    process.wait(10)
    assert eventually(lambda: not root.exists() and not is_alive(int(worker)))


def test_a_shelf_that_nobody_locks_goes_when_another_is_made(tmp_path: Path) -> None:
    mine, left = shelf.Shelf(str(tmp_path)), shelf.Shelf(str(tmp_path))
    Path(left.new_path()).write_bytes(b"x")
    left.forget()  # as a kill does
    another = shelf.Shelf(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [Path(mine.root).name, Path(another.root).name]
    )
    for one in (mine, another):
        one.close()
    assert list(tmp_path.iterdir()) == []
