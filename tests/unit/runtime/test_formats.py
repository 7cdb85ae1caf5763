"""Files of other systems come in through the same door, keep their own lines, and lose nothing in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import nodeling
from cli_calls import invoke, write_node
from nodeling.errors import ConfigError, PluginError
from nodeling.formats import Converted, Format, Source, Wishes
from nodeling_runtime import formats, plugins

ACME = """<plan name="night">
  <job call="hello"/>
  <job call="{second}"/>
  <lamp colour="red"/>
</plan>
"""


def convert(source: Source, wishes: Wishes) -> Converted:
    steps, places, notes = [], {}, []
    for number, line in enumerate(source.text.splitlines(), 1):
        if "<job" in line:
            name = line.split('"')[1]
            places[f"/steps/{len(steps)}"] = (number, line.index("<") + 1)
            steps.append({"name": f"job-{len(steps)}", "node": wishes.bindings.get(name, name)})
        elif "<lamp" in line:
            where = (number, line.index("<") + 1)
            notes.append(source.fault("acme.lamp", "a lamp does not come along", at=where, warning=True))
    return Converted({"name": "night", "steps": steps}, notes, places, plan="first the one, then the other")


def is_acme(source: Source) -> bool:
    return source.text.startswith("<plan")


def is_listed(source: Source) -> bool:
    return isinstance(source.data, dict) and "jobs" in source.data


@pytest.fixture(autouse=True)
def acme(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = [("acme", Format("acme", "an Acme plan", is_acme, convert))]
    known.append(("acme", Format("acme-list", "an Acme list", is_listed, f"{__name__}:convert")))
    monkeypatch.setattr(plugins, "formats", lambda: known)
    formats.known_formats.cache_clear()
    yield
    formats.known_formats.cache_clear()


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_node(tmp_path, "hello", "def run(ctx, inputs):\n    return 'hello'\n")
    path = tmp_path / "night.xml"
    path.write_text(ACME.format(second="hello"), encoding="utf-8")
    return path


def test_a_file_of_another_system_runs_directly(plan: Path) -> None:
    result = invoke("run", plan, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["output"] == "hello"
    assert "night.xml:4:3: a lamp does not come along" in result.stderr


def test_it_runs_from_python_and_inside_another_workflow(plan: Path) -> None:
    assert nodeling.run(plan).output == "hello"
    outer = plan.parent / "outer.yaml"
    outer.write_text("steps:\n  - {name: inner, node: subworkflow, workflow: night.xml}\n", encoding="utf-8")
    assert nodeling.run(outer).output == "hello"
    assert any("lamp" in fault.message for fault in nodeling.load(outer).check())


def test_what_is_wrong_is_shown_at_the_line_of_its_own_file(plan: Path) -> None:
    plan.write_text(ACME.format(second="helo"), encoding="utf-8")
    result = invoke("check", plan)
    assert result.exit_code == 65
    assert "night.xml:3:3: no node is called 'helo'" in result.stdout
    assert "did you mean 'hello'?" in result.stdout


def test_a_binding_stands_for_what_is_kept_elsewhere(plan: Path) -> None:
    plan.write_text(ACME.format(second="other"), encoding="utf-8")
    assert invoke("run", plan, "--bind", "other=hello", "--quiet").exit_code == 0
    pairs = plan.parent / "pairs.json"
    pairs.write_text('{"other": "hello"}', encoding="utf-8")
    assert invoke("run", plan, "--bindings", pairs, "--quiet").exit_code == 0
    assert invoke("run", plan, "--bind", "other", "--quiet").exit_code == 2
    pairs.write_text("[1]", encoding="utf-8")
    assert invoke("run", plan, "--bindings", pairs, "--quiet").exit_code == 65


def test_a_converted_file_checks_clean_and_runs_the_same(plan: Path) -> None:
    result = invoke("convert", plan, "-o", plan.with_suffix(".yaml"))
    assert result.exit_code == 0
    assert "night.xml:4:3" in result.stderr
    assert invoke("check", plan.with_suffix(".yaml")).exit_code == 0
    native = json.loads(invoke("run", plan.with_suffix(".yaml"), "--json").stdout)
    assert native["output"] == "hello"
    shown = json.loads(invoke("convert", plan, "--json").stdout)
    assert (shown["format"], len(shown["notes"])) == ("acme", 1)
    assert invoke("convert", plan, "--strict", "--to", "json").exit_code == 1


@pytest.mark.parametrize("text", ["", "null", "[]", '{"name": "a-node", "version": "1.0.0"}', "steps: 3"])
def test_what_is_no_workflow_is_not_converted_to_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    for how in ([], ["--json"]):
        result = invoke("convert", path, *how)
        assert result.exit_code == 65
        assert "has no list of `steps`" in (result.stdout if how else result.stderr)
    assert invoke("convert", path, "-o", tmp_path / "made.yaml").exit_code == 65
    assert not (tmp_path / "made.yaml").exists()


def test_a_dry_run_tells_the_waves_and_how_it_decides_and_runs_nothing(plan: Path) -> None:
    write_node(plan.parent, "boom", "raise SystemError('it was imported')\n")
    plan.write_text(ACME.format(second="boom"), encoding="utf-8")
    result = invoke("run", plan, "--dry-run")
    assert result.exit_code == 0
    assert "wave 1: job-0" in result.stdout
    assert "first the one, then the other" in result.stdout
    assert json.loads(invoke("run", plan, "--dry-run", "--json").stdout)["plan"]


def test_a_format_is_chosen_by_content_by_name_or_not_at_all(plan: Path) -> None:
    listed = plan.parent / "jobs.json"
    listed.write_text('{"jobs": []}', encoding="utf-8")
    document = formats.open_workflow(listed)
    assert isinstance(document, formats.ConvertedDocument)
    assert document.format_name == "acme-list"
    assert formats.open_workflow(listed, formats.Reading("native")).data == {"jobs": []}
    with pytest.raises(ConfigError, match="did you mean 'acme'"):
        formats.open_workflow(plan, formats.Reading("acne"))
    assert invoke("run", plan, "--from", "acne").exit_code == 65


def test_a_file_that_two_formats_claim_is_refused(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [("a", Format(name, name, is_acme, convert)) for name in ("acme", "rival")]
    monkeypatch.setattr(plugins, "formats", lambda: both)
    formats.known_formats.cache_clear()
    with pytest.raises(ConfigError, match=r"may be acme and rival; say --from acme or --from rival"):
        formats.open_workflow(plan)
    monkeypatch.setattr(plugins, "formats", lambda: [both[0], both[0]])
    formats.known_formats.cache_clear()
    with pytest.raises(PluginError, match="both bring a format called 'acme'"):
        formats.open_workflow(plan)


def test_a_format_that_gives_no_json_is_refused(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Format("bad", "bad", is_acme, lambda source, wishes: Converted({"steps": [float("nan")]}))
    monkeypatch.setattr(plugins, "formats", lambda: [("a", bad)])
    formats.known_formats.cache_clear()
    with pytest.raises(ConfigError, match="does not convert"):
        formats.open_workflow(plan)


def test_a_project_is_checked_with_its_files_of_other_systems(plan: Path) -> None:
    plan.write_text(ACME.format(second="helo"), encoding="utf-8")
    result = invoke("check")
    assert result.exit_code == 65
    assert "night.xml:3:3" in result.stdout


def test_markup_of_no_known_kind_is_refused_as_a_document(tmp_path: Path) -> None:
    path = tmp_path / "page.xml"
    path.write_text("<html/>", encoding="utf-8")
    with pytest.raises(ConfigError):
        nodeling.run(path)
