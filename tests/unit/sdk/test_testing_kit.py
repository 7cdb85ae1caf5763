"""The test kit that authors get: nodes alone, workflows with fakes, a context of one's own."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys

import pytest

from nodeling import Context, FlowNode, Node, NodeError, NodelingError, Workflow, node, step
from nodeling.errors import ConfigError
from nodeling.testing import Fake, FakeContext, run_node, run_workflow


def add(a: int, b: int = 2) -> int:
    return a + b


def everything(ctx: Context, inputs):
    ctx.log("hello", level="warning")
    ctx.progress(1, 2, "half")
    ctx.metric("rows", 3)
    ctx.set("seen", inputs)
    ctx.set("limit", ctx.get("limit") + 1)
    ctx.delete("old")
    return {"config": ctx.config, "body": ctx.request.body, "limit": ctx.get("limit")}


def test_a_typed_function_is_run_with_its_schemas_on_guard():
    assert run_node(add, {"a": 1}).output == 3
    refused = run_node(add, {"a": "x"})
    assert (refused.status, refused.code) == ("failed", 4001)
    assert "expected integer" in refused.error["message"]


def test_what_a_node_did_is_laid_open():
    outcome = run_node(
        everything, {"x": 1}, {"mode": "fast"}, {"limit": 4, "old": True}, request={"body": "B"}
    )
    assert outcome.succeeded and outcome.code is None
    assert outcome.output == {"config": {"mode": "fast"}, "body": "B", "limit": 5}
    assert outcome.vars == {"seen": {"x": 1}, "limit": 5}
    assert outcome.logs == ["hello"]
    assert outcome.progress == [{"progress": 1, "total": 2, "message": "half"}]
    assert outcome.metrics["rows"] == 3


def test_inputs_that_look_like_expressions_are_handed_over_as_they_are():
    def echo(ctx, inputs):
        return inputs

    strange = {"a": "${1 + 1}", "b": "js/ctx", "c": ["$${x}"]}
    assert run_node(echo, strange).output == strange


def test_variables_that_cannot_be_given_are_the_tests_own_fault():
    with pytest.raises(ConfigError, match="`vars` cannot be given"):
        run_node(add, {"a": 1}, vars={"": 1})
    assert run_node(lambda ctx, inputs: ctx.vars["node"], vars={"node": "mine"}).output == "mine"


def test_a_failing_node_keeps_its_code_and_what_it_wrote():
    def fails(ctx, inputs):
        ctx.set("half", 1)
        raise NodeError("no more", code=4711, retryable=False)

    outcome = run_node(fails)
    assert (outcome.status, outcome.code, outcome.vars) == ("failed", 4711, {"half": 1})
    assert outcome.output is None


def test_classes_coroutines_and_generators_run_too():
    class Sync(Node):
        def handle(self, ctx, inputs):
            return "sync"

    class Async(Node):
        async def handle(self, ctx, inputs):
            return "async"

    class Chunks(Node):
        def handle(self, ctx, inputs):
            yield from inputs["items"]

    class AsyncChunks(Node):
        async def handle(self, ctx, inputs):
            for item in inputs["items"]:
                yield item

    assert run_node(Sync).output == "sync"
    assert run_node(Async).output == "async"
    for kind in (Chunks, AsyncChunks):
        outcome = run_node(kind, {"items": [1, 2]})
        assert outcome.output == outcome.chunks == [1, 2]


def test_a_decorated_function_keeps_its_options():
    @node(name="named", secrets=["API_KEY"], env=["KIT_SEEN"])
    def named(ctx: Context, text: str) -> str:
        """Says it."""
        return f"{text} {ctx.secrets['API_KEY']}"

    assert run_node(named, {"text": "hi"}, secrets={"API_KEY": "k"}).output == "hi k"
    assert "NODELING_SECRET_API_KEY" not in os.environ
    with pytest.raises(ConfigError, match="no value for the secret API_KEY"):
        run_node(named, {"text": "hi"})


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "first-of"
    home.mkdir()
    config = {"type": "object", "properties": {"nodes": {"x-nodeling": "steps"}}, "required": ["nodes"]}
    manifest = {"name": "first-of", "version": "3.0.0", "flow": True, "config": config}
    (home / "config.json").write_text(json.dumps(manifest), encoding="utf-8")
    (home / "node.py").write_text(
        "from nodeling import FlowNode\n"
        "class First(FlowNode):\n"
        "    async def handle(self, ctx, inputs, flow):\n"
        "        run = await flow.start(inputs['nodes'][0]).wait()\n"
        "        return [run.status, run.output]\n",
        encoding="utf-8",
    )
    return home


def test_a_folder_with_a_container_is_run_with_fakes_for_children(folder):
    child = Fake("from the child")
    keys = {"nodes": [{"name": "c", "node": "http-request", "inputs": {"url": "${ctx.vars.url}"}}]}
    outcome = run_node(folder, step=keys, nodes={"http-request": child}, vars={"url": "u"})
    assert outcome.output == ["succeeded", "from the child"]
    assert child.calls == [{"url": "u"}]


def test_a_container_class_needs_its_manifest():
    class Alone(FlowNode):
        pass

    with pytest.raises(TypeError, match="give the folder with its config.json"):
        run_node(Alone)


def test_keys_of_a_step_may_be_given_for_any_node():
    flaky = Fake(outputs=[NodeError("not yet"), "now"])
    outcome = run_node(flaky_node(flaky), {}, step={"retry": {"attempts": 3, "delay": 1}})
    assert (outcome.output, outcome.attempts) == ("now", 2)
    with pytest.raises(ConfigError, match="did you mean 'retry'"):
        run_node(add, {"a": 1}, step={"retyr": 3})


def flaky_node(fake):
    def flaky(ctx, inputs):
        return fake(inputs)

    return flaky


def test_a_node_that_hangs_is_given_up():
    async def hangs(ctx, inputs):
        import asyncio

        await asyncio.sleep(60)

    outcome = run_node(hangs, timeout=0.05)
    assert outcome.status == "cancelled" and outcome.code == "step.cancelled"


DOCUMENT = {
    "name": "report",
    "steps": [
        {"name": "fetch", "node": "http-request", "inputs": {"url": "${ctx.request.body.url}"}},
        {"name": "sum", "node": "add-up", "inputs": {"rows": "${steps.fetch.output}"}},
    ],
}


def test_a_workflow_runs_with_fakes_functions_and_values():
    fetch = Fake([1, 2])
    result = run_workflow(
        DOCUMENT, {"url": "u"}, nodes={"http-request": fetch, "add-up": lambda rows: sum(rows)}
    )
    assert result.output == 3 and fetch.calls == [{"url": "u"}]
    assert run_workflow(DOCUMENT, {"url": "u"}, nodes={"http-request": [5], "add-up": 7}).output == 7


def test_a_fake_can_fail_and_remembers_each_call():
    fetch = Fake(error=(4040, "gone"))
    result = run_workflow(DOCUMENT, {"url": "u"}, nodes={"http-request": fetch, "add-up": 0})
    assert result.status == "failed" and result.error["code"] == 4040
    assert repr(fetch) == "Fake(called 1 times)"
    with pytest.raises(ValueError, match="at least one output"):
        Fake(outputs=[])


def test_a_fake_hides_the_node_of_that_name(tmp_path):
    home = tmp_path / "nodes" / "ask-server"
    home.mkdir(parents=True)
    (home / "config.json").write_text('{"name": "ask-server", "version": "1.0.0"}', encoding="utf-8")
    (home / "node.py").write_text("def run(ctx, inputs):\n    return 'real'\n", encoding="utf-8")
    file = tmp_path / "flow.json"
    file.write_text(
        json.dumps({"name": "f", "steps": [{"name": "a", "node": "ask-server"}]}), encoding="utf-8"
    )
    assert run_workflow(file).output == "real"
    assert run_workflow(file, nodes={"ask-server": "fake"}).output == "fake"


def test_a_fake_says_when_a_version_keeps_it_out():
    document = {"name": "w", "steps": [{"name": "a", "node": "http-request@^1"}]}
    with pytest.raises(ConfigError, match=r"cannot stand in for 'http-request@\^1'"):
        run_workflow(document, nodes={"http-request": 1})


def test_a_workflow_built_in_python_is_left_as_it_was():
    with Workflow("built") as workflow:
        step("one", add, inputs={"a": 1})
    assert run_workflow(workflow, nodes={"add": 99}).output == 99
    assert run_workflow(workflow).output == 3


def test_a_context_of_ones_own_is_looked_into_afterwards():
    ctx = FakeContext(
        vars={"limit": 3, "old": 1}, config={"mode": "x"}, request={"body": 5}, secrets={"K": "v"}
    )
    assert everything(ctx, "in") == {"config": {"mode": "x"}, "body": 5, "limit": 4}
    assert ctx.written == {"seen": "in", "limit": 4, "old": None}
    assert (ctx.logs, ctx.metrics, ctx.secrets["K"]) == (["hello"], {"rows": 3}, "v")
    assert ctx.work_dir.is_dir() and ctx.work_dir == ctx.work_dir
    assert not ctx.cancelled
    kept = ctx.work_dir
    ctx.cancel()
    assert ctx.cancelled and ctx.response["success"] is True and ctx.error is None
    with pytest.raises(NodelingError):
        ctx.set("", 1)
    del ctx
    gc.collect()
    assert not kept.exists()


def test_pytest_finds_the_two_fixtures(nodeling_node, nodeling_workflow):
    assert nodeling_node is run_node and nodeling_workflow is run_workflow


def test_the_pytest_plugin_costs_a_session_nothing_but_the_sdk():
    code = (
        "import json, sys, pytest; before = set(sys.modules)\n"
        "import nodeling.testing.pytest_plugin\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    brought = set(json.loads(done.stdout))
    assert "nodeling" in brought
    assert brought <= {"nodeling", *sys.stdlib_module_names}
    assert not brought & {"asyncio", "sqlite3", "concurrent"}


def test_a_fake_context_keeps_the_blobs_that_a_node_writes() -> None:
    ctx = FakeContext()
    handle = ctx.write_blob(b"abc", "text/plain")
    assert handle["$blob"]["size"] == 3
    with ctx.open_blob(handle) as file:
        assert file.read() == b"abc"
    with pytest.raises(ValueError, match="plain name"):
        ctx.open_blob({"$blob": {"path": "../x", "size": 1}})
