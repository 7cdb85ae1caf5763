"""Recipes as native documents: what is recognised, what each form of `#{…}` becomes, what is refused and where."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeling.errors import ConfigError, WorkflowError
from nodeling.formats import Source, Wishes
from nodeling_bridges.blok.hooks import recognises as is_blok
from nodeling_bridges.framework0.expressions import Expressions, SyntaxFault
from nodeling_bridges.framework0.hooks import recognises, truth
from nodeling_bridges.framework0.load import convert
from nodeling_runtime.documents.reader import parse_document
from nodeling_runtime.engine.loaded import function_table
from nodeling_runtime.expressions.record import Names, to_plain
from nodeling_runtime.expressions.template import compile_template

PARAMS = 'steps["recipe-start"].output.params'
SCOPE: dict[str, Any] = {
    "ctx": {
        "vars": {
            "config": {"a": {"b": [1, 2]}, "on": True, "name": "x", "none": None},
            "config.flat": {"deep": 7},
            "k": "v",
            "n": 3,
            "a.b": "flat",
        }
    },
    "steps": {"recipe-start": {"output": {"params": {"env": "dev", "ml": False, "many": [1]}}}},
}


def source_of(text: str, name: str = "recipe.yaml") -> Source:
    document = parse_document(text, name=name)
    return Source(name, text, document.data, document.locate)


def recipe(*steps: str, head: str = "") -> str:
    return f"{head}\nsteps:\n" + "\n".join(f"  - {step}" for step in steps)


def step(name: str, *more: str) -> str:
    said = ", ".join([f"name: {name}", "module: own.steps", "function: Some", *more])
    return f"{{{said}}}"


def converted(text: str, name: str = "recipe.yaml", **wishes: Any) -> Any:
    return convert(source_of(text, name), Wishes(**wishes))


def steps_of(text: str, **wishes: Any) -> dict[str, Any]:
    return {one["name"]: one for one in converted(text, **wishes).document["steps"]}


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        converted(text)
    return [str(fault) for fault in refused.value.faults if fault.severity == "error"]


def evaluated(text: str) -> Any:
    return to_plain(compile_template(text, function_table()).evaluate(Names(SCOPE)))


def value_of(text: str) -> Any:
    return evaluated(Expressions(PARAMS).value(text))


# -- what is a recipe


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (recipe(step("a")), True),
        (recipe("{name: a, type: sub_recipe, recipe_path: b.yaml}"), True),
        (recipe("{name: a, node: n}"), False),
        (recipe("{name: a, node: n, module: m, function: f}"), False),
        (recipe("{id: a, use: n, module: m, function: f}"), False),
        ("steps: {a: 1}", False),
        ("- 1", False),
    ],
)
def test_a_recipe_is_known_by_what_its_steps_name(text: str, is_one: bool) -> None:
    assert recognises(source_of(text)) is is_one
    assert not (is_one and is_blok(source_of(text)))


# -- expressions


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("#{config.a.b}", [1, 2]),
        ("#{config.flat.deep}", 7),
        ("#{config.none}", None),
        ("#{config['a']['b'][1]}", 2),
        ("#{context.a.b}", "flat"),
        ("#{params.env}", "dev"),
        ("data/#{params.env}/c.json", "data/dev/c.json"),
        ("#{params.env}#{context.n}", "dev3"),
        ("is #{config.a.b}", "is [1,2]"),
        ("#{context.get('k')}", "v"),
        ("#{context.get('missing')}", None),
        ("#{context.get('missing', 5)}", 5),
        ("#{params.get('missing', 'x')}", "x"),
        ("#{context.get('k') == 'v'}", True),
        ("#{context.get('k') == 'v' and not params.ml}", True),
        ("#{context.get('k') != 'v' || config.on}", True),
        ("#{params.ml ? 'predictive' : 'plain'}", "plain"),
        ("#{'predictive' if params.ml else 'plain'}", "plain"),
        ("#{params.env in ['dev', 'test']}", True),
        ("#{params.env not in ['prod']}", True),
        ("#{context.get('k') is None}", False),
        ("#{context.get('missing') is not None}", False),
        ("#{context.n * 2 + 1 >= 7}", True),
        ("#{-context.n}", -3),
        ("#{len(config.a.b)}", 2),
        ("#{params.env.upper()}", "DEV"),
        ("#{config.name.startswith('x')}", True),
        ("#{True}", True),
        ("#{'a}b'}", "a}b"),
        ("cost: ${HOME} #{context.n}", "cost: ${HOME} 3"),
        ("js/steps", "js/steps"),
        ("js/#{params.env}", "js/dev"),
    ],
)
def test_every_form_of_an_expression_gives_what_it_means(text: str, value: Any) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    "text", ["#{config.nothing}", "#{params.nothing}", "a #{context.nothing.deep}", "#{config.a.c == 'x'}"]
)
def test_what_leads_nowhere_is_an_error_and_never_a_text(text: str) -> None:
    with pytest.raises(WorkflowError) as error:
        value_of(text)
    assert error.value.code == "framework0.unresolved"
    assert "leads nowhere" in error.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#{config.a", "#{ is never closed"),
        ("#{}", "something is missing at the end"),
        ("#{a = 1}", "unexpected '='"),
        ("#{env.HOME}", "'env' is known by nobody"),
        ("#{confg.a}", "did you mean 'config'?"),
        ("#{config}", "'config' by itself is no value"),
        ("#{__import__('os').system('id')}", "the method 'system' is not carried over"),
        ("#{open('/etc/passwd')}", "the function 'open' is not carried over"),
        ("#{context.to_dict()}", "the method 'to_dict' is not carried over"),
        ("#{1 < 2 < 3}", "comparisons do not chain"),
        ("#{config.a; 1}", "unexpected ';'"),
        ("#{'never}", "a text is never closed"),
        ("#{" + "(" * 60 + "1" + ")" * 60 + "}", "nested deeper"),
        ("#{" + "not " * 60 + "true}", "nested deeper"),
        ("#{" + "context.get(" * 20 + "'a'" + ")" * 20 + "}", "characters when it is written out"),
        ("#{" + "1+" * 3000 + "1}", "more than 2000 words"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_line(text: str, said: str) -> None:
    (fault,) = faults_of(recipe(step("a", f"args: {{x: {quoted(text)}}}")))
    assert fault.startswith("recipe.yaml:3:")
    assert said in fault


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("#{config.on}", True),
        ("context.get('k') == 'v'", True),
        ("context.get('missing') == True", False),
        ("context.get('missing')", False),
        ("#{config.a.b}", True),
        ("not context.get('k')", False),
        ("#{params.ml}", False),
    ],
)
def test_a_condition_is_true_or_false_whatever_its_value_is(text: str, holds: bool) -> None:
    assert evaluated(Expressions(PARAMS).condition(text)) is holds


def test_a_text_that_says_false_does_not_hold() -> None:
    assert [truth(value) for value in ("false", " True", "no", "", 0, [], None)] == [
        False,
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_condition_is_one_expression() -> None:
    with pytest.raises(SyntaxFault, match="one expression"):
        Expressions(PARAMS).condition("#{config.on} and #{params.ml}")


@given(st.text(alphabet="#${}'\"ajs/().=!?:[] config", max_size=40))
def test_any_text_is_converted_to_what_compiles_or_refused(text: str) -> None:
    try:
        lowered = Expressions(PARAMS).value(text)
    except SyntaxFault:
        return
    made = compile_template(lowered, function_table())
    if "#{" not in text:
        assert made.evaluate(Names({})) == text


# -- steps


def test_a_dependency_that_its_own_condition_kept_back_is_met() -> None:
    steps = steps_of(recipe(step("a"), step("b", "depends_on: [a]"), step("c", "depends_on: [a, b]")))
    assert steps["a"]["needs"] == ["recipe-start"]
    (link,) = steps["b"]["needs"]
    assert (link["step"], link["on"]) == ("a", ["success", "skipped"])
    assert "condition" in link["if"]
    assert steps["c"]["merge"] == "last"


def test_without_any_dependency_the_steps_run_in_their_order() -> None:
    text = recipe(step("a"), step("b"))
    assert all("needs" not in one for one in converted(text).document["steps"])
    parallel = steps_of(recipe(step("a"), step("b"), head="execution: {parallel_execution: true}"))
    assert parallel["b"]["needs"] == ["recipe-start"]


def test_what_execution_says_holds_for_the_run() -> None:
    head = "execution: {timeout_seconds: 90, retry_attempts: 2, max_concurrent_steps: 3}"
    document = converted(recipe(step("a"), head=head)).document
    assert document["settings"] == {"timeout": "90000ms", "max_concurrent": 3}
    assert document["steps"][1]["do"]["retry"] == {"attempts": 3}
    one = converted(recipe(step("a"), head="execution: {parallel_execution: false}")).document
    assert one["settings"] == {"max_concurrent": 1}


def test_a_step_says_its_own_retries_and_its_own_time() -> None:
    more = "timeout_seconds: 1.5, error_handling: {retry_count: 1, retry_delay: 2}"
    child = steps_of(recipe(step("a", more)))["a"]["do"]
    assert child["retry"] == {"attempts": 2, "delay": "2000ms", "backoff": "fixed", "jitter": "none"}
    assert child["timeout"] == "1500ms"


def test_what_is_said_of_a_recipe_is_kept() -> None:
    head = """metadata:
  name: r
  version: "2.0"
  tags: [x, y]
  author: Ann
  estimated_duration: 45-60 seconds
  created_date: 2025-01-05
"""
    document = converted(recipe(step("a"), head=head)).document
    assert (document["name"], document["version"], document["tags"]) == ("r", "2.0", ["x", "y"])
    assert document["estimated_duration"] == "60s"
    assert document["metadata"]["framework0"]["created_date"] == "2025-01-05"


def test_declared_parameters_bound_what_may_be_read() -> None:
    head = "parameters: [{name: env, required: true}, {name: mode, default: batch}]"
    start = converted(recipe(step("a", "args: {x: '#{params.mode}'}"), head=head)).document["steps"][0]
    assert start["inputs"]["parameters"] == {"env": {"required": True}, "mode": {"default": "batch"}}
    assert start["inputs"]["open"] is False
    (fault,) = faults_of(recipe(step("a", "args: {x: '#{params.mod}'}"), head=head))
    assert "no parameter 'mod'" in fault
    assert "did you mean 'mode'?" in fault


def test_a_handler_runs_on_errors_alone() -> None:
    steps = steps_of(
        recipe(step("a"), step("b", "depends_on: [a]"), step("h", "trigger: on_error, depends_on: []"))
    )
    assert steps["h"]["trigger"] == "on_error"
    assert "needs" not in steps["h"]


@pytest.mark.parametrize(
    ("recipe_name", "said", "found"),
    [
        ("FYI/exercises/main.yaml", "FYI/exercises/lib/data.yaml", "lib/data.yaml"),
        ("FYI/exercises/main.yaml", "FYI/other/data.yaml", "../other/data.yaml"),
        ("/tmp/p/FYI/exercises/main.yaml", "FYI/exercises/lib/data.yaml", "lib/data.yaml"),
        ("main.yaml", "lib/data.yaml", "lib/data.yaml"),
        ("recipes/main.yaml", "data.yaml", "data.yaml"),
    ],
)
def test_a_sub_recipe_is_found_from_where_the_recipe_was_started(
    recipe_name: str, said: str, found: str
) -> None:
    text = recipe(f"{{name: a, type: sub_recipe, recipe_path: {said}, parameters: {{x: 1}}}}")
    step_ = converted(text, recipe_name).document["steps"][1]
    assert (step_["recipe"], step_["params"]) == (found, {"x": 1})


def test_a_binding_puts_a_node_in_the_place_of_a_scriptlet() -> None:
    text = recipe(step("a", "args: {x: 1}"), step("b"))
    steps = steps_of(text, bindings={"a": "my-node"})
    assert steps["a"]["do"] == {"name": "a-scriptlet", "node": "my-node", "inputs": {"x": 1}}
    assert steps["b"]["do"]["node"] == "framework0-run"
    notes = converted(text, bindings={"Sme": "my-node"}).notes
    assert ["did you mean 'Some'?" in str(note) for note in notes] == [True]


def test_what_does_not_come_along_is_told_with_its_line() -> None:
    more = "parallel_group: x, tags: [t], idx: 2, success: {ctx_has_keys: [k], files: [f]}"
    text = recipe(step("a", more), step("b", "idx: 1"), head="recipe_type: demo")
    notes = [str(note) for note in converted(text).notes]
    assert [note.split(":")[1] for note in notes] == ["1", "3", "4", "3", "3"]
    for word in ("recipe_type", "parallel_group", "idx 1", "files", "tags"):
        assert any(word in note for note in notes), word


def test_a_sub_recipe_is_bound_by_its_time_as_a_whole() -> None:
    text = recipe(
        "{name: a, type: sub_recipe, recipe_path: b.yaml, timeout_seconds: 2, success: {ctx_has_keys: [k]}}"
    )
    assert steps_of(text)["a"]["deadline"] == "2000ms"
    assert "`success` of step 'a'" in str(converted(text).notes[0])


@pytest.mark.parametrize("text", ["${ctx.request}", "js/1 + 1", "a ${1} b"])
def test_no_text_of_a_recipe_becomes_an_expression_of_ours(text: str) -> None:
    head = f"metadata: {{name: {quoted(text)}}}\nparameters: [{{name: p, default: {quoted(text)}}}]"
    args = f"args: {{x: {quoted(text)}}}, success: {{ctx_has_keys: [{quoted(text)}]}}"
    document = converted(recipe(step("a", args), head=head)).document
    start, child = document["steps"][0]["inputs"], document["steps"][1]["do"]["inputs"]
    for lowered in (
        start["recipe"]["name"],
        start["parameters"]["p"]["default"],
        child["args"]["x"],
        child["ctx_has_keys"][0],
    ):
        assert evaluated(lowered) == text
    named = converted(recipe(f"{{name: {quoted(text)}, module: own, function: F}}")).document["steps"]
    assert evaluated(named[1]["do"]["inputs"]["step"]) == text
    assert evaluated(named[0]["inputs"]["recipe"]["steps"][1]) == text


# -- refusals


@pytest.mark.parametrize(
    "module", ["os", "os.system", "subprocess", "nodeling.values", "nodeling_runtime.cli.main", "builtins"]
)
def test_a_module_of_python_or_of_the_engine_is_refused_where_it_is_named(module: str) -> None:
    (fault,) = faults_of(recipe(f"{{name: a, module: {module}, function: system}}"))
    assert fault.startswith("recipe.yaml:3:")
    assert f"names the module '{module}', which is not the recipe's own" in fault


@pytest.mark.parametrize("module", ["../evil", "a..b", "a/b", "a b", "a;b", ".a", "a.py:f", "ünder"])
def test_what_is_no_dotted_name_is_no_module(module: str) -> None:
    (fault,) = faults_of(recipe(f"{{name: a, module: {quoted(module)}, function: Some}}"))
    assert "which is no dotted name" in fault


@pytest.mark.parametrize("path", ["/etc/passwd", "../other.yaml", "a/../../b.yaml", "'#{params.x}.yaml'"])
def test_a_sub_recipe_stays_in_the_folders_of_the_recipe(path: str) -> None:
    (fault,) = faults_of(recipe(f"{{name: a, type: sub_recipe, recipe_path: {path}}}"))
    assert "outside" in fault or "plain text" in fault


def test_all_faults_are_listed_at_once() -> None:
    faults = faults_of(
        recipe(
            step("a", "depends_on: [bb]", "trigger: on_eror"),
            step("a", "type: pyton"),
            step("b", "condition: '#{config.}'", "depends_on: [h]"),
            step("h", "trigger: on_error"),
            "{type: python}",
            head="execution: {retry_attempts: -1, timeout_seconds: soon}",
        )
    )
    for word in (
        "two steps are called 'a'",
        "did you mean 'on_error'?",
        "did you mean 'python'?",
        "a name is missing after the point",
        "depends on 'h', which runs only after it",
        "needs a text as `name`",
        "`retry_attempts` is a whole number from 0 up",
        "`timeout_seconds` is a number of seconds",
    ):
        assert any(word in fault for fault in faults), (word, faults)


@pytest.mark.parametrize(
    "text",
    [
        "steps: []",
        "steps: 3",
        "steps: [1]",
        "metadata: 3\nsteps: [{name: a, module: b, function: C, args: 3}]",
        "parameters: {a: 1}\nsteps: [{name: a, module: b, function: C}]",
        "steps: [{name: a, module: [b], function: {c: 1}, depends_on: {a: 1}, condition: 3, success: 1}]",
    ],
)
def test_a_wrong_shape_is_a_fault_and_no_crash(text: str) -> None:
    assert faults_of(text)


def test_converting_imports_nothing_and_reads_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(Path, "open", None)
    converted(recipe(step("a")))
    assert "own" not in sys.modules
