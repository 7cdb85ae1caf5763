"""Recipes that run: what a scriptlet sees and leaves, what a failure means, and what is never loaded."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

import nodeling
from cli_calls import invoke, nodectl, write_node
from nodeling.results import RunResult

STEPS = """
import os
import pathlib
import sys

from orchestrator.context import Context
from scriptlets.framework import BaseScriptlet, register_scriptlet
from src.core.logger import get_logger

logger = get_logger(__name__)


@register_scriptlet
class Write(BaseScriptlet):
    def run(self, context: Context, params):
        print("this goes to the log")
        for key, value in params.items():
            context.set(key, value, who=self.name)
        return {"wrote": sorted(params), "by": self.name}


@register_scriptlet
class Read(BaseScriptlet):
    def run(self, context, params):
        return {key: context.get(key) for key in params["keys"]} | {"who": context.who(params["keys"][0])}


@register_scriptlet
class Answer(BaseScriptlet):
    def run(self, context, params):
        context.set("answered", params["answer"])
        return params["answer"]


@register_scriptlet
class Flaky(BaseScriptlet):
    def run(self, context, params):
        counter = pathlib.Path(params["counter"])
        tries = int(counter.read_text()) + 1 if counter.exists() else 1
        counter.write_text(str(tries))
        if tries < params["good"]:
            raise RuntimeError(f"attempt {tries}")
        return {"tries": tries}


@register_scriptlet
class Where(BaseScriptlet):
    def run(self, context, params):
        logger.debug("a word to whoever looks for a fault")
        return {"here": os.getcwd(), "debug": os.getenv("DEBUG"), "secret": os.getenv("MY_SECRET")}


@register_scriptlet
class Hang(BaseScriptlet):
    def run(self, context, params):
        while True:
            pass


@register_scriptlet
class Crash(BaseScriptlet):
    def run(self, context, params):
        os.kill(os.getpid(), 9)


system = os.system
Stolen = pathlib.Path
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own.py").write_text(STEPS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project: Path, body: str, name: str = "recipe.yaml") -> Path:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(body), encoding="utf-8")
    return path


def step(name: str, function: str, args: str = "{}", more: str = "") -> str:
    return f"{{name: {name}, module: own, function: {function}, args: {args}{more and ', ' + more}}}"


def ran(project: Path, *steps: str, head: str = "", inputs: Any = None) -> RunResult:
    text = f"{head}\nsteps:\n" + "\n".join(f"  - {one}" for one in steps)
    return nodeling.load(write(project, text)).run(inputs)


def test_what_a_scriptlet_sets_those_behind_it_see(project: Path) -> None:
    result = ran(
        project,
        step("first", "Write", "{config.a: 1, plain: [1]}"),
        step("second", "Read", "{keys: [config.a, plain, recipe.name], x: '#{config.a}'}"),
        head="metadata: {name: demo}",
    )
    assert result.status == "succeeded", result.error
    assert result.outputs["first"] == {"wrote": ["config.a", "plain"], "by": "Write"}
    second = result.outputs["second"]
    assert second == {"config.a": 1, "plain": [1], "recipe.name": "demo", "who": "first"}


def test_two_that_ran_side_by_side_are_read_as_the_list_has_them(project: Path) -> None:
    result = ran(
        project,
        step("a", "Write", "{k: 1}", "depends_on: []"),
        step("b", "Write", "{k: 2}"),
        step("c", "Read", "{keys: [k]}", "depends_on: [b, a]"),
    )
    assert result.status == "succeeded", result.error
    assert result.outputs["c"]["k"] == 2


@pytest.mark.parametrize(("answer", "said"), [("0", None), ("7", "exit code 7"), ("true", "neither a dict")])
def test_zero_is_success_and_any_other_exit_code_a_failure(
    project: Path, answer: str, said: str | None
) -> None:
    result = ran(
        project,
        step("a", "Answer", f"{{answer: {answer}}}"),
        step("h", "Read", "{keys: [answered, recipe.error]}", "trigger: on_error"),
    )
    if said is None:
        assert (result.status, result.outputs["a"]) == ("succeeded", None)
        return
    assert result.status == "failed"
    assert said in str(result.steps["a"].error)
    seen = result.outputs["h"]
    assert seen["answered"] == json.loads(answer)
    assert (seen["recipe.error"]["step"], said in seen["recipe.error"]["message"]) == ("a", True)


def test_a_step_whose_keys_are_missing_has_failed(project: Path) -> None:
    success = "success: {ctx_has_keys: [k, x.y]}"
    result = ran(project, step("a", "Write", "{k: 1}", success))
    assert result.status == "failed"
    assert "does not hold 'x.y'" in str(result.error)
    assert ran(project, step("a", "Write", "{k: 1, x.y: 2}", success)).status == "succeeded"


def test_a_failing_scriptlet_is_tried_again(project: Path) -> None:
    more = "error_handling: {retry_attempts: 2, retry_delay: 0.01}"
    result = ran(project, step("a", "Flaky", "{counter: tries, good: 3}", more))
    assert result.status == "succeeded", result.error
    assert result.outputs["a"] == {"tries": 3}


def test_an_expression_that_leads_nowhere_fails_its_step(project: Path) -> None:
    result = ran(project, step("a", "Write", "{k: '#{config.nothing}'}"))
    assert result.status == "failed"
    assert "recipe.yaml:3: config.nothing leads nowhere" in str(result.error)


def test_parameters_are_given_when_the_recipe_is_run(project: Path) -> None:
    head = "parameters: [{name: env, required: true}, {name: mode, default: batch}]"
    one = step("a", "Write", "{k: 'data/#{params.env}/#{params.mode}'}")
    assert ran(project, one, head=head, inputs={"env": "dev"}).status == "succeeded"
    for given, said in (({}, "'env' is required"), ({"env": 1, "mod": 2}, "did you mean 'mode'?")):
        result = ran(project, one, head=head, inputs=given)
        assert result.status == "failed"
        assert said in str(result.error)


def test_a_scriptlet_works_in_the_folder_that_its_module_is_in_and_sees_no_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "x")
    monkeypatch.setenv("DEBUG", "1")
    text = f"steps: [{step('a', 'Where')}]"
    done = nodectl("run", write(project, text, "deep/er/recipe.yaml"), "--json", cwd=project)
    assert done.code == 0, done.err
    assert done.data["outputs"]["a"] == {"here": str(project.resolve()), "debug": "1", "secret": None}
    assert "a word to whoever looks for a fault" in done.err


def test_what_a_scriptlet_prints_disturbs_no_output(project: Path) -> None:
    done = nodectl("run", write(project, f"steps: [{step('a', 'Write', '{k: 1}')}]"), "--json", cwd=project)
    assert done.data["outputs"]["a"]["wrote"] == ["k"]
    assert "this goes to the log" in done.err


def test_a_scriptlet_that_hangs_is_killed_and_one_that_crashes_hurts_nobody(project: Path) -> None:
    result = ran(
        project,
        step("hang", "Hang", "{}", "timeout_seconds: 1, depends_on: []"),
        step("crash", "Crash"),
        step("good", "Write", "{k: 1}"),
    )
    assert result.status == "failed"
    assert [result.steps[name].status for name in ("hang", "crash", "good")] == [
        "failed",
        "failed",
        "succeeded",
    ]
    assert (result.steps["hang"].error or {})["code"] == 9005
    assert (result.steps["crash"].error or {})["code"] == 9003


# -- sub-recipes


def test_a_sub_recipe_sees_the_context_and_leaves_what_it_writes(project: Path) -> None:
    inner = f"""\
        steps:
          - {step("first", "Write", "{inner: '#{config.a}/#{params.x}', changed: 2}")}
          - {step("load", "Read", "{keys: [config, changed]}")}
        """
    write(project, inner, "lib/inner.yaml")
    result = ran(
        project,
        step("first", "Write", "{config: {a: one}, changed: 1}"),
        "{name: sub, type: sub_recipe, recipe_path: lib/inner.yaml, parameters: {x: '#{config.a}'}}",
        step("last", "Read", "{keys: [inner, changed, load, recipe.name]}"),
        head="metadata: {name: outer}",
    )
    assert result.status == "succeeded", result.error
    assert result.outputs["sub"] == {"config": {"a": "one"}, "changed": 2, "who": "recipe-start"}
    last = result.outputs["last"]
    assert last == {"inner": "one/one", "changed": 2, "load": None, "recipe.name": "outer", "who": "sub"}


def test_sub_recipes_side_by_side_do_not_undo_each_other(project: Path) -> None:
    write(project, f"steps: [{step('w', 'Write', '{k: 2}')}]", "one.yaml")
    write(project, f"steps: [{step('w2', 'Write', '{other: 3}')}]", "two.yaml")
    result = ran(
        project,
        step("first", "Write", "{k: 1}"),
        "{name: one, type: sub_recipe, recipe_path: one.yaml, depends_on: [first]}",
        "{name: two, type: sub_recipe, recipe_path: two.yaml, depends_on: [first]}",
        step("last", "Read", "{keys: [k, other]}", "depends_on: [one, two]"),
    )
    assert result.status == "succeeded", result.error
    assert (result.outputs["last"]["k"], result.outputs["last"]["other"]) == (2, 3)


def test_a_sub_recipe_that_fails_fails_its_step_and_one_that_includes_itself_is_refused(
    project: Path,
) -> None:
    write(project, f"steps: [{step('w', 'Answer', '{answer: 1}')}]", "bad.yaml")
    result = ran(project, "{name: sub, type: sub_recipe, recipe_path: bad.yaml}")
    assert result.status == "failed"
    assert "exit code 1" in str(result.error)
    own = write(project, "steps: [{name: sub, type: sub_recipe, recipe_path: own.yaml}]", "own.yaml")
    assert "includes itself" in invoke("check", own).output


# -- recipes of the kind that are found


HEALTH = """\
    # as the suite of its own framework has them: test_meta, no dependencies, keys that have to be there
    test_meta:
      test_id: HEALTH-001
      tester: enhanced_runner
      description: a check of the health of something
    steps:
      - idx: 1
        name: setup
        type: python
        module: own
        function: Write
        args: {health.enabled: true}
        success:
          ctx_has_keys:
            - health.enabled
      - idx: 2
        name: check
        type: python
        module: own
        function: Read
        args: {keys: [health.enabled]}
    """
MASTER = """\
    # a composition: an environment's configuration, kept section by section; templates with parameters
    metadata: {name: composition, version: "4.0", deployment_target: production}
    parameters:
      - {name: environment, required: true}
      - {name: enable_ml, default: false}
    steps:
      - name: load_environment
        idx: 1
        type: python
        module: own
        function: Write
        args:
          path: "environments/#{params.environment}/config.json"
          config.features: {reports: true}
          config.output: {formats: [json, csv], folder: "out/#{params.environment}"}
      - name: ingest
        idx: 2
        type: sub_recipe
        recipe_path: project/library/ingest.yaml
        depends_on: [load_environment]
        parameters: {source: csv, level: "#{params.enable_ml ? 'predictive' : 'basic'}"}
        error_handling: {retry_attempts: 1, fallback_action: use_cached_data}
      - name: report
        idx: 3
        type: python
        module: own
        function: Read
        depends_on: [ingest]
        condition: "#{context.get('status') == 'success' and config.features.reports}"
        args: {keys: [target, validated, path]}
        parallel_group: reporting
    """
INGEST = """\
    metadata:
      name: ingest
      template_parameters:
        - {name: source, required: true}
        - {name: depth, default: standard}
    steps:
      - name: write
        type: python
        module: own
        function: Write
        args: {status: success, target: "#{config.output.folder}/#{params.source}/#{params.depth}"}
      - name: validate
        type: python
        module: own
        function: Write
        depends_on: [write]
        condition: "#{params.level in ['standard', 'predictive']}"
        args: {validated: true}
    """


def test_a_suite_of_checks_runs_in_its_order(project: Path) -> None:
    result = nodeling.load(write(project, HEALTH)).run()
    assert result.status == "succeeded", result.error
    assert result.outputs["check"] == {"health.enabled": True, "who": "setup"}


def test_a_composition_of_templates_runs_as_its_parameters_say(project: Path) -> None:
    write(project, INGEST, "project/library/ingest.yaml")
    path = write(project, MASTER, "project/master.yaml")
    checked = invoke("check", path)
    assert checked.exit_code == 0, checked.output
    for word in ("fallback_action", "parallel_group"):
        assert word in checked.output
    basic = nodeling.load(path).run({"environment": "dev"})
    assert basic.status == "succeeded", basic.error
    expected = {"target": "out/dev/csv/standard", "validated": None, "path": "environments/dev/config.json"}
    assert basic.outputs["report"] == {**expected, "who": "ingest"}
    predictive = nodeling.load(path).run({"environment": "dev", "enable_ml": True})
    assert predictive.outputs["report"]["validated"] is True


# -- what is never loaded


@pytest.mark.parametrize(
    ("module", "function", "said"),
    [
        ("elsewhere", "Some", "there is no module 'elsewhere'"),
        ("own", "system", "names 'system', which is no scriptlet"),
        ("own", "Stolen", "names 'Stolen', which is no scriptlet"),
        ("own", "Wrte", "did you mean 'Write'?"),
        ("json5.tool", "Some", "there is no module"),
    ],
)
def test_what_is_not_the_recipes_own_scriptlet_is_not_run(
    project: Path, module: str, function: str, said: str
) -> None:
    (project.parent / "elsewhere.py").write_text("raise SystemExit", encoding="utf-8")
    result = ran(project, f"{{name: a, module: {module}, function: {function}, args: {{command: id}}}}")
    assert result.status == "failed"
    assert said in f"{(result.error or {}).get('message')} {result.error}"


def test_a_converted_document_cannot_name_what_a_recipe_cannot(project: Path) -> None:
    converted = json.loads(
        invoke("convert", write(project, f"steps: [{step('a', 'Read')}]"), "--json").output
    )
    document = converted.get("document", converted)
    document["steps"][1]["do"]["inputs"].update(module="os", function="system")
    result = nodeling.load(document).run()
    assert result.status == "failed"
    assert "a recipe may not name the module 'os'" in str(result.error)


def test_checking_and_converting_import_nothing(project: Path) -> None:
    (project / "own.py").write_text("open('imported', 'w')", encoding="utf-8")
    path = write(project, f"steps: [{step('a', 'Read')}]")
    for command in (("check", path), ("convert", path), ("graph", path), ("run", path, "--dry-run")):
        assert invoke(*command).exit_code == 0, command
    assert not (project / "imported").exists()


def test_a_bound_node_runs_in_the_place_of_a_scriptlet(project: Path) -> None:
    write_node(project, "stand-in", "def run(ctx, inputs):\n    return {'got': inputs['x']}\n")
    path = write(project, f"steps: [{step('a', 'Elsewhere', '{x: 3}')}]")
    done = invoke("run", path, "--bind", "Elsewhere=stand-in", "--quiet", "--store", "none")
    assert json.loads(done.stdout) == {"got": 3}, done.output
