"""Blok's workflows: what they say runs here, what cannot come along is told, and nothing is dropped."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import nodeling
from cli_calls import invoke, write_node
from nodeling.errors import ConfigError, Fault
from nodeling.formats import Source, Wishes
from nodeling_bridges.blok.javascript import renamed
from nodeling_bridges.blok.load import convert, load
from nodeling_runtime.documents.reader import parse_document
from nodeling_runtime.examples import run_examples
from nodeling_runtime.registry import read_node

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "blok"
NODES = ROOT / "plugins" / "nodeling_bridges" / "blok" / "nodes"
STAND_INS = {
    "lookup": "def run(ctx, inputs):\n    return {**inputs, 'name': f\"customer {inputs['id']}\"}\n",
    "mood": "def run(ctx, inputs):\n    return {'word': 'glad' if 'good' in inputs['text'] else 'sad'}\n",
    "risky": "def run(ctx, inputs):\n    if inputs['fail']: raise ValueError('declined')\n    return 1\n",
    "audit": "def run(ctx, inputs):\n    return inputs['text']\n",
}
ORDER = {"id": 7, "kind": "rental", "cost": 12, "declined": False}
ORDER["items"] = [{"sku": "a", "price": 2, "quantity": 3}, {"sku": "b", "price": 1, "quantity": 1}]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, code in STAND_INS.items():
        write_node(tmp_path, name, code)
    for path in FIXTURES.glob("*.json"):
        shutil.copy(path, tmp_path)
    return tmp_path


def converted(steps: list[Any], wishes: Wishes | None = None, **more: Any) -> dict[str, Any]:
    text = json.dumps({"name": "flow", "trigger": {"manual": {}}, "steps": steps, **more}, indent=1)
    document = parse_document(text, name="flow.json")
    return convert(Source("flow.json", text, document.data, document.locate), wishes or Wishes()).document


def refused(steps: list[Any], **more: Any) -> list[Fault]:
    with pytest.raises(ConfigError) as caught:
        converted(steps, **more)
    return list(caught.value.faults)


def value_of(given: Any, *, names: tuple[str, ...] = ("fetch",)) -> Any:
    """What a value of the second generation becomes."""
    steps = [{"id": name, "use": "n", "inputs": {}} for name in names]
    return converted([*steps, {"id": "last", "use": "n", "inputs": {"x": given}}])["steps"][-1]["inputs"]["x"]


def first(given: Any, *, names: tuple[str, ...] = ("fetch",)) -> Any:
    """What a value of the first generation becomes."""
    steps = [{"name": name, "node": "n", "type": "module"} for name in (*names, "last")]
    return converted(steps, nodes={"last": {"inputs": {"x": given}}})["steps"][-1]["inputs"]["x"]


# --- Whole documents ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (ORDER, {}),
        ({**ORDER, "declined": True}, {"charged": False, "reason": "ValueError: declined"}),
        ({**ORDER, "kind": "digital"}, {"lines": 0, "first": None, "key": "L-7"}),
    ],
)
def test_the_second_generation_runs(project: Path, body: dict[str, Any], changes: dict[str, Any]) -> None:
    usual = {"lines": 2, "first": 6, "key": None, "charged": True, "reason": None, "tries": 3}
    wanted = {**usual, "hello": "customer 7", "told": "told customer 7", **changes}
    result = nodeling.run(project / "fulfilment.json", body)
    assert result.status == "succeeded", result.error
    assert result.output == wanted


def test_a_kind_that_no_case_has_fails_with_the_documents_own_words(project: Path) -> None:
    result = nodeling.run(project / "fulfilment.json", {**ORDER, "kind": "lunar"})
    assert result.status == "failed"
    assert result.error is not None and "Unknown kind" in result.error["message"]


def desk(project: Path, function: str, **body: Any) -> Any:
    request = {"method": "POST", "params": {"function": function}, "body": {"customer": 3, **body}}
    (project / "request.json").write_text(json.dumps(request), encoding="utf-8")
    done = invoke("run", project / "support-desk.json", "--request", project / "request.json", "--json")
    return json.loads(done.stdout)


def test_the_first_generation_runs(project: Path) -> None:
    result = desk(project, "create", text="all good", fail=False, cost=5)
    assert result["status"] == "succeeded", result
    assert result["output"] == {
        "title": "Ticket of customer 3, $5 at stake",
        "again": "customer 3",
        "mood": "glad",
        "shout": "ALL GOOD",
        "before": 1,
    }
    statuses = {name: step["status"] for name, step in result["steps"].items()}
    assert statuses["old-audit"] == statuses["notes"] == statuses["never"] == "skipped"


def test_what_is_tried_is_rescued_and_a_truthy_text_is_a_condition(project: Path) -> None:
    result = desk(project, "create", text="bad", fail=True, cost=5)
    assert result["output"]["before"] == "rescued: ValueError: declined"
    assert desk(project, "open")["output"] == "list of open"
    assert desk(project, "")["output"] == "method not allowed"


@pytest.mark.parametrize("name", ["fulfilment", "support-desk"])
def test_a_converted_document_checks_clean_and_gives_the_same(project: Path, name: str) -> None:
    before = invoke("convert", f"{name}.json")
    assert before.exit_code == 0
    (project / "native.yaml").write_text(before.stdout, encoding="utf-8")
    checked = invoke("check", "native.yaml")
    assert checked.exit_code == 0, checked.stderr
    body: dict[str, Any] = ORDER if name == "fulfilment" else {"customer": 1, "function": ""}
    request = {"method": "GET", "params": {"function": ""}, "body": body}
    (project / "request.json").write_text(json.dumps(request), encoding="utf-8")
    found = [
        json.loads(invoke("run", file, "--request", "request.json", "--json").stdout)["output"]
        for file in (f"{name}.json", "native.yaml")
    ]
    assert found[0] == found[1] is not None


def test_everything_that_stays_behind_is_told_with_its_line(project: Path) -> None:
    said = invoke("check", "fulfilment.json", "support-desk.json").output
    for line in (
        "fulfilment.json:5:14: the trigger (http)",
        "fulfilment.json:5:75: middleware does not run here",
        "support-desk.json:58:18: `nodes.forgotten` belongs to no step",
    ):
        assert line in said
    kept = load(json.loads((FIXTURES / "fulfilment.json").read_text(encoding="utf-8")))["metadata"]["blok"]
    assert kept["ui"] == {"order": {"x": 10, "y": 20}}
    assert kept["trigger"]["http"]["path"] == "/orders"


# --- Which documents ------------------------------------------------------------------------------


def test_native_documents_are_left_alone(project: Path) -> None:
    path = project / "native.json"
    step = {"name": "a", "node": "@blok-ts/if-else", "if": "${true}", "then": {"name": "b", "node": "audit"}}
    path.write_text(json.dumps({"name": "n", "steps": [step], "nodes": {"b": {"inputs": {"text": "x"}}}}))
    assert json.loads(invoke("run", path, "--json").stdout)["output"] == "x"


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"$ref": {"step": "fetch", "path": ["data", 0, "a-b"]}}, '${ctx.vars.fetch.data[0]["a-b"]}'),
        ({"$ref": {"step": "fetch"}}, "${ctx.vars.fetch}"),
        ({"$ref": {"step": "@trigger", "path": ["body", "in"]}}, '${ctx.request.body["in"]}'),
        ({"$ref": {"step": "fetch", "path": ["rows", "length"]}}, "js/ctx.vars.fetch.rows.length"),
        ({"$tpl": ["a ", {"$ref": {"step": "fetch"}}, "${b}"]}, "a ${ctx.vars.fetch}$${b}"),
        ({"$tpl": ["plain ${x}"]}, "plain $${x}"),
        ({"$ref": {"step": "fetch"}, "more": 1}, {"$ref": {"step": "fetch"}, "more": 1}),
        ("js/ctx.state.fetch.x + ctx.req.body.y", "js/ctx.vars.fetch.x + ctx.request.body.y"),
        ("js/ctx.state['fetch']?.x", "js/ctx.vars['fetch']?.x"),
        ("js/`a ${ctx.state.fetch} 'ctx.state'`", "js/`a ${ctx.vars.fetch} 'ctx.state'`"),
        ("js/'ctx.state.x'", "js/'ctx.state.x'"),
        ("js/a.ctx.state", "js/a.ctx.state"),
        ([1, {"a": "js/ctx.prev.data"}], [1, {"a": "js/ctx.response.data"}]),
        ("plain", "plain"),
    ],
)
def test_values_of_the_second_generation(given: Any, wanted: Any) -> None:
    assert value_of(given) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("${ctx.request.body.id}", "${ctx.request.body.id}"),
        ("${ctx.vars['a-b'].x}", '${ctx.vars["a-b"].x}'),
        ("${data.name}", "${ctx.response.data.name}"),
        ("${name.first}", "${ctx.response.data.name.first}"),
        ("${ctx.request.body.a || 'x'}", "js/ctx.request.body.a || 'x'"),
        ("to ${ctx.request.body.a}!", "to ${ctx.request.body.a}!"),
        ("to ${a.b()}!", "js/`to ${(a.b()) ?? null.unresolved}!`"),
        ("cost $${ctx.request.body.a}", "js/`cost \\$${(ctx.request.body.a) ?? null.unresolved}`"),
        ("${process.env.HOME}/x", "${ctx.env.HOME}/x"),
        ("js/ctx.vars['fetch'].data.rows", "js/(ctx.vars.fetch.data ?? ctx.vars.fetch).rows"),
        ("js/vars.fetch.data", "js/(ctx.vars.fetch.data ?? ctx.vars.fetch)"),
        ("js/vars.other.data", "js/vars.other.data"),
        ("js/data.slice(0, 10)", "js/data.slice(0, 10)"),
        ("js/'a ${ctx.request.body.x}' + 'b'", "js/`a ${ctx.request.body.x}` + 'b'"),
        ("js/${ctx.request.body.n} + 1", "js/(ctx.request.body.n) + 1"),
        ("js/`a ${ctx.request.body.x}`", "js/`a ${ctx.request.body.x}`"),
    ],
)
def test_values_of_the_first_generation(given: str, wanted: str) -> None:
    assert first(given) == wanted


def test_variables_of_the_environment_are_allowed_by_name() -> None:
    steps = [
        {"id": "a", "use": "n", "inputs": {"x": "js/process.env.KEY", "y": "Bearer ${process.env.TOKEN}"}}
    ]
    assert converted(steps)["settings"] == {"env": ["KEY", "TOKEN"]}


@pytest.mark.parametrize("bad", ["js/ctx.nope.nope", "${ctx.nope.nope}", "a ${ctx.nope['x'] || y.z} b"])
def test_what_does_not_resolve_is_an_error_and_no_text(project: Path, bad: str) -> None:
    steps = [{"name": "a", "node": "audit", "type": "module"}]
    document = {"name": "f", "trigger": {}, "steps": steps, "nodes": {"a": {"inputs": {"text": bad}}}}
    (project / "f.json").write_text(json.dumps(document), encoding="utf-8")
    done = invoke("run", "f.json", "--json")
    assert done.exit_code in (1, 65)
    assert '"output": "' not in done.stdout


def test_an_undefined_part_of_a_text_is_an_error(project: Path) -> None:
    steps = [{"name": "a", "node": "audit", "type": "module"}]
    nodes = {"a": {"inputs": {"text": "hello ${ctx.request.body.x || ctx.request.body.y}"}}}
    (project / "f.json").write_text(
        json.dumps({"name": "f", "trigger": {}, "steps": steps, "nodes": nodes}), encoding="utf-8"
    )
    assert invoke("run", "f.json", "--input", '{"y": "you"}', "--quiet").stdout.strip() == '"hello you"'
    done = invoke("run", "f.json", "--input", "{}", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["error"]["code"].startswith("expr.")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "`${`${1}`}`",
        "'\\''+\"\\\"\"",
        "/* ctx.state */ 1",
        "1.5.ctx",
        "`\\`${ctx",
        "ctx?.['state']",
        "[...ctx.a]",
    ],
)
def test_any_javascript_without_a_known_path_comes_back_as_it_is(text: str) -> None:
    assert renamed(text, lambda root, members: root + "".join(member.written for member in members)) == text


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "code", "said"),
    [
        ({"id": "a", "use": "@blokjs/redis-kv"}, "blok.node", "--bind @blokjs/redis-kv=my-node"),
        ({"id": "a", "use": "n", "set_var": True}, "blok.set_var", "ephemeral"),
        ({"id": "a", "subworkflow": "js/ctx.request.body.kind"}, "blok.subworkflow", "switch"),
        ({"id": "a", "subworkflow": "b", "wait": False}, "blok.subworkflow", "wait for it"),
        ({"id": "a", "loop": {"while": "aIndex < 3", "do": []}}, "blok.loop", "write ctx.state.aIndex"),
        ({"id": "a", "branch": {"then": []}}, "blok.shape", ""),
        ({"id": "a", "use": "n", "inputs": {"x": {"$ref": {"path": []}}}}, "blok.shape", ""),
        ({"id": "a", "use": "n", "inputs": {"x": {"$ref": {"step": "z", "path": [None]}}}}, "blok.shape", ""),
        ({"id": "a", "use": "n", "inputs": {"x": {"$ref": {"step": "z", "path": [{}]}}}}, "blok.shape", ""),
        ({"id": "a", "use": "@blokjs/ctx-publish", "inputs": [1]}, "blok.shape", ""),
        ({"id": "a", "use": "@blokjs/api-call", "inputs": "url"}, "blok.shape", ""),
        ({"id": "a", "wait": {"until": 10**15}}, "blok.shape", ""),
        ({"id": "a"}, "blok.shape", ""),
        ("no step", "blok.shape", ""),
    ],
)
def test_what_would_mean_something_else_is_refused_with_its_line(step: Any, code: str, said: str) -> None:
    faults = refused([{"id": "z", "use": "n"}, step])
    assert [fault.code for fault in faults][:1] == [code]
    assert faults[0].line is not None and faults[0].line > 5
    assert said in (faults[0].hint or "")


def test_a_stop_in_the_last_branch_needs_no_mark() -> None:
    inner = [{"name": "a", "node": "n"}, {"name": "b", "node": "n", "stop": True}]
    branch = [{"name": "if", "node": "@blok-ts/if-else"}]
    nodes = {"if": {"conditions": [{"type": "if", "condition": "true", "steps": inner}]}}
    kept = converted(branch, nodes=nodes)["steps"][0]["conditions"][0]["steps"]
    assert [step.get("active", True) for step in kept] == [True, False]


def test_a_stop_on_one_of_several_steps_at_once_is_refused() -> None:
    children = [{"name": "a", "node": "n", "stop": True}, {"name": "b", "node": "n"}]
    faults = refused([{"name": "p", "node": "parallel-execution"}], nodes={"p": {"nodes": children}})
    assert [fault.code for fault in faults] == ["blok.stop"]


def test_all_faults_are_listed_at_once() -> None:
    steps = [{"id": f"s{n}", "use": "@blokjs/unknown"} for n in range(3)]
    assert len(refused(steps)) == 3


def test_a_bound_node_stands_for_a_shipped_one() -> None:
    wishes = Wishes(bindings={"@blokjs/redis-kv": "my-kv"})
    step = converted([{"id": "a", "use": "@blokjs/redis-kv", "inputs": {"key": "k"}}], wishes)["steps"][0]
    assert step == {"name": "a", "node": "my-kv", "inputs": {"key": "k"}}


def test_an_api_call_is_a_request_whose_body_is_the_output() -> None:
    inputs = {"url": "https://h/", "method": "post", "body": {"a": 1}, "responseType": "application/json"}
    (step,) = converted(
        [{"id": "call", "use": "@blokjs/api-call", "inputs": inputs, "retry": {"maxAttempts": 2}}]
    )["steps"]
    assert step["retry"] == {"attempts": 2, "delay": 1000, "max_delay": 30000, "factor": 2, "jitter": "none"}
    request, body = step["steps"]
    assert request["inputs"] == {"url": "https://h/", "method": "POST", "json": {"a": 1}}
    assert body["inputs"]["value"] == '${steps["call-request"].output.body}'


@pytest.mark.parametrize(("node", "fails"), [("json-schema", True), ("json-validator", False)])
def test_data_that_does_not_fit_its_schema_fails_or_is_told(project: Path, node: str, fails: bool) -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}
    data = {"$ref": {"step": "@trigger", "path": ["body"]}}
    step = {"id": "judged", "use": f"@blokjs/{node}", "inputs": {"schema": schema, "data": data}}
    document = converted([step])
    (project / "f.json").write_text(json.dumps(document), encoding="utf-8")
    assert nodeling.run(project / "f.json", [1, 2]).output["valid"] is True
    wrong = nodeling.run(project / "f.json", [1, "x"])
    assert (wrong.status == "failed") is fails
    assert fails or wrong.output["valid"] is False


class Echo(BaseHTTPRequestHandler):
    """Answers with what was sent."""

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"sent":' + sent + b"}")

    def log_message(self, *args: Any) -> None:
        return


def test_an_api_call_of_the_first_generation_sends_what_the_step_before_gave(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODELING_HTTP_ALLOW", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            steps = [
                {"name": name, "node": node} for name, node in (("a", "lookup"), ("b", "@blok/api-call"))
            ]
            call = {"url": f"http://127.0.0.1:{server.server_port}/", "method": "POST"}
            nodes = {"a": {"inputs": {"id": 4}}, "b": {"inputs": call}}
            text = json.dumps({"name": "f", "trigger": {}, "steps": steps, "nodes": nodes})
            (project / "f.json").write_text(text, encoding="utf-8")
            result = nodeling.run(project / "f.json")
        finally:
            server.shutdown()
            thread.join(30)
    assert result.output == {"sent": {"id": 4, "name": "customer 4"}}, result.error


def test_a_name_that_is_borne_twice_is_told_apart_and_read_as_before() -> None:
    branch = {"name": "if", "node": "@blok-ts/if-else"}
    arms = [
        {"type": kind, "condition": "x", "steps": [{"name": "same", "node": "n"}]} for kind in ("if", "else")
    ]
    document = converted([branch], nodes={"if": {"conditions": arms}, "same": {"inputs": {"a": 1}}})
    steps = [arm["steps"][0] for arm in document["steps"][0]["conditions"]]
    assert [step["name"] for step in steps] == ["same", "same-2"]
    assert [step.get("set_var") for step in steps] == [None, None]
    assert steps[0]["inputs"] == steps[1]["inputs"] == {"a": 1}


def test_of_steps_with_one_name_the_last_one_that_ran_is_read(project: Path) -> None:
    def told(text: str) -> dict[str, Any]:
        return {"id": "said", "use": "audit", "inputs": {"text": text}}

    reads = {"id": "last", "use": "audit", "inputs": {"text": {"$ref": {"step": "said", "path": []}}}}
    inner = {"id": "if", "branch": {"when": "ctx.request.body.x === 1", "then": [told("inner")]}}
    document = {"name": "f", "trigger": {"manual": {}}, "steps": [told("one"), told("two"), inner, reads]}
    path = project / "twice.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert invoke("check", path).exit_code == 0, invoke("check", path).output
    assert [nodeling.run(path, {"x": x}).output for x in (1, 2)] == ["inner", "two"]


# --- Nodes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("manifest", sorted(NODES.glob("*/config.json")), ids=lambda path: path.parent.name)
def test_every_example_of_the_bridges_nodes_holds(manifest: Path) -> None:
    spec = read_node(manifest.parent, "nodeling")
    assert spec.manifest.examples
    assert [result for result in run_examples(spec) if not result.passed] == []
