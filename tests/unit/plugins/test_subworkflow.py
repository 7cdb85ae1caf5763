"""`subworkflow`: another workflow as one step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodeling.errors import ConfigError
from nodeling.testing import run_workflow

ECHO = {"echo": lambda inputs: inputs.get("value")}


class Files:
    """Workflow files that include one another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, steps: list[Any], **more: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"name": path.stem, "steps": steps, **more}), encoding="utf-8")
        return path

    def run(self, steps: list[Any], body: Any = None) -> Any:
        return run_workflow(self.write("main.json", steps), body, nodes=ECHO)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def include(name: str, step: str = "other", **more: Any) -> dict[str, Any]:
    return {"name": step, "node": "subworkflow", "workflow": name, **more}


def echo(value: Any, name: str = "say", **more: Any) -> dict[str, Any]:
    return {"name": name, "node": "echo", "inputs": {"value": value}, **more}


def test_its_output_is_the_included_workflows(files: Files) -> None:
    files.write("other.json", [echo("${ctx.request.body.n + 1}")])
    assert files.run([include("other.json", inputs={"n": "${ctx.request.body}"})], 4).output == 5


def test_an_output_that_is_written_down_counts(files: Files) -> None:
    files.write(
        "other.json", [echo(1, "a"), echo(2, "b")], output={"both": "${[steps.a.output, ctx.vars.b]}"}
    )
    assert files.run([include("other.json")]).output == {"both": [1, 2]}


@pytest.mark.parametrize("name", ["other", "other.json", "./other.json"])
def test_the_suffix_may_be_left_out(files: Files, name: str) -> None:
    files.write("other.json", [echo(1)])
    assert files.run([include(name)]).output == 1


def test_a_path_starts_at_the_folder_of_the_workflow_that_names_it(files: Files) -> None:
    files.write("deep/inner.json", [echo("inner")])
    files.write("deep/middle.json", [include("inner.json", "inside")])
    assert files.run([include("deep/middle.json")]).output == "inner"


def test_it_sees_its_inputs_and_nothing_else(files: Files) -> None:
    files.write("other.json", [echo("${has(ctx.vars.secret) || has(ctx.request.body.outer)}")])
    steps = [echo(1, "secret"), include("other.json", inputs={"n": 1})]
    assert files.run(steps, {"outer": 1}).output is False


def test_steps_of_the_including_workflow_are_unknown_to_it(files: Files) -> None:
    files.write("other.json", [echo("${steps.before.output}")])
    with pytest.raises(ConfigError) as caught:
        files.run([echo(1, "before"), include("other.json")])
    (fault,) = caught.value.faults
    assert fault.code == "workflow.unknown_step" and str(fault.file).endswith("other.json")


def test_no_writes_leave(files: Files) -> None:
    files.write("other.json", [echo(1, "inner", set_var="left")])
    steps = [include("other.json"), echo("${has(ctx.vars.left) || has(ctx.vars.inner)}", "after")]
    assert files.run(steps).output is False


def test_inputs_that_its_schema_refuses_fail_the_step(files: Files) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    files.write("other.json", [echo("${ctx.request.body.n}")], inputs=schema)
    result = files.run([include("other.json", inputs={"n": "${ctx.request.body}"})], "text")
    error = result.steps["other"].error
    assert result.status == "failed" and error is not None and error["code"] == "run.input"
    assert "integer" in error["message"]
    assert files.run([include("other.json", inputs={"n": "${ctx.request.body}"})], 3).output == 3


def test_a_failure_inside_names_its_step(files: Files) -> None:
    files.write("other.json", [echo("${ctx.request.body.none.at.all}", "broken")])
    error = files.run([include("other.json")]).steps["other"].error
    assert error is not None and error["details"]["step"] == "broken"


def test_names_may_be_the_same_in_both(files: Files) -> None:
    files.write("other.json", [echo("inner", "same")])
    steps = [echo("outer", "same"), include("other.json"), echo("${steps.same.output}", "after")]
    assert files.run(steps).output == "outer"


def test_one_file_may_be_included_often(files: Files) -> None:
    files.write("other.json", [echo("${ctx.request.body.n}")])
    steps = [include("other.json", "a", inputs={"n": 1}), include("other.json", "b", inputs={"n": 2})]
    assert files.run(steps).outputs["a"] == 1
    each = {"name": "each", "node": "for-each", "in": [1, 2], "do": include("other", inputs={"n": "${item}"})}
    assert files.run([each]).output["results"] == [1, 2]


def test_faults_of_an_included_file_are_said_once_with_its_name(files: Files) -> None:
    files.write("other.json", [{"name": "x", "node": "nothing-like-it"}])
    with pytest.raises(ConfigError) as caught:
        files.run([include("other.json", "a"), include("other.json", "b")])
    (fault,) = caught.value.faults
    assert str(fault.file).endswith("other.json") and fault.code == "registry.unknown"


def test_a_workflow_cannot_include_itself_not_even_around_a_corner(files: Files) -> None:
    files.write("b.json", [include("c.json", "to-c")])
    files.write("c.json", [include("b.json", "to-b")])
    with pytest.raises(ConfigError) as caught:
        files.run([include("b.json")])
    (fault,) = caught.value.faults
    assert fault.message == "this workflow includes itself: b.json → c.json → b.json"


def chain(files: Files, length: int) -> Path:
    """`length` workflows inside one another."""
    files.write(f"w{length - 1}.json", [echo("bottom")])
    for i in reversed(range(length - 1)):
        files.write(f"w{i}.json", [include(f"w{i + 1}.json")])
    return files.folder / "w0.json"


def test_sixteen_workflows_may_be_inside_one_another(files: Files) -> None:
    assert run_workflow(chain(files, 16), nodes=ECHO).output == "bottom"


def test_seventeen_may_not(files: Files) -> None:
    with pytest.raises(ConfigError) as caught:
        run_workflow(chain(files, 17), nodes=ECHO)
    (fault,) = caught.value.faults
    assert fault.code == "workflow.depth" and str(fault.file).endswith("w15.json")


def test_the_depth_counts_by_every_way_down(files: Files) -> None:
    chain(files, 16)
    with pytest.raises(ConfigError) as caught:
        files.run([include("w1.json", "short"), include("w0.json", "long")])
    assert {fault.code for fault in caught.value.faults} == {"workflow.depth"}


def test_wide_inclusion_is_read_once_a_file(files: Files) -> None:
    """Each of fifteen files includes the next one four times: a thousand million ways down, sixteen files."""
    files.write("w15.json", [echo("bottom")])
    for i in range(15):
        files.write(f"w{i}.json", [include(f"w{i + 1}.json", f"s{k}") for k in range(4)])
    from nodeling_runtime.engine.loaded import load_file

    faults = load_file(files.folder / "w0.json").faults
    assert {fault.code for fault in faults} == {"registry.unknown"}


def test_a_file_that_is_not_there_is_named(files: Files) -> None:
    with pytest.raises(ConfigError) as caught:
        files.run([include("gone.yaml")])
    (fault,) = caught.value.faults
    assert fault.message.startswith("there is no workflow file '") and fault.pointer == "/steps/0/workflow"
