"""A stranger installs nodeling and a third party's package: everything is found, and runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SUITE = str(FIXTURES / "container_suite.py")
WORKFLOW = {
    "name": "acme",
    "steps": [
        {
            "name": "work",
            "node": "acme-first",
            "nodes": [
                {"name": "turn", "node": "acme-reverse", "inputs": {"text": "${ctx.request.body.text}"}}
            ],
        },
        {"name": "add", "node": "acme-add", "inputs": {"a": 1, "b": 2}},
    ],
    "output": {
        "turned": "${steps.work.output.first}",
        "sum": "${steps.add.output}",
        "slug": "${acme_slug('Ab, cd!')}",
    },
}


def nodectl(venv, cwd, *words, check=True):
    return venv.run("nodectl", *words, cwd=cwd, check=check)


def test_a_third_partys_nodes_are_listed_with_their_distribution(clean_venv, tmp_path):
    listed = json.loads(nodectl(clean_venv, tmp_path, "nodes", "list", "--json").stdout)
    owners = {node["name"]: (node["distribution"], node["version"]) for node in listed["nodes"]}
    assert owners["acme-reverse"] == owners["acme-first"] == owners["acme-add"] == ("acme-nodeling", "2.1.0")
    assert owners["parallel"][0] == "nodeling"
    assert listed["broken"] == [] and listed["faults"] == []


def test_a_third_partys_node_container_and_expression_function_run(clean_venv, tmp_path):
    file = tmp_path / "acme.json"
    file.write_text(json.dumps(WORKFLOW), encoding="utf-8")
    done = nodectl(clean_venv, tmp_path, "run", "acme.json", "--json", "-i", "text=abc")
    run = json.loads(done.stdout)
    assert run["status"] == "succeeded"
    assert run["output"] == {"turned": "cba", "sum": 3, "slug": "ab-cd"}


def test_a_third_partys_examples_command_and_template_work(clean_venv, tmp_path):
    tested = json.loads(nodectl(clean_venv, tmp_path, "test", "acme-reverse", "--json").stdout)
    assert (tested["passed"], tested["failed"]) == (1, 0)
    assert nodectl(clean_venv, tmp_path, "acme-greet", "Ada").stdout == "acme greets Ada\n"
    assert "acme-greet" in nodectl(clean_venv, tmp_path, "--help").stdout
    nodectl(clean_venv, tmp_path, "create", "node", "--template", "acme-echo")
    assert nodectl(clean_venv, tmp_path, "test", "acme-echo").returncode == 0


def test_the_first_minute_of_a_stranger_is_green(clean_venv, tmp_path):
    nodectl(clean_venv, tmp_path, "create", "node", "--template", "parallel")
    nodectl(clean_venv, tmp_path, "check", "--strict")
    nodectl(clean_venv, tmp_path, "test", "my-parallel")
    assert nodectl(clean_venv, tmp_path, "doctor").returncode == 0


def test_a_created_plugin_passes_its_own_test_once_installed(clean_venv, build_wheel, tmp_path):
    nodectl(clean_venv, tmp_path, "create", "plugin", "--name", "acme-words")
    clean_venv.install(build_wheel(tmp_path / "acme-words"))
    called = nodectl(clean_venv, tmp_path, "call", "acme-words-count-words", "-i", "text=small nodes")
    assert json.loads(called.stdout) == {"words": 2, "longest": "small"}
    own = clean_venv.run("python", "-c", RUN_OWN_TESTS, cwd=tmp_path / "acme-words")
    assert own.stdout.split() == ["3", "passed"]


# pytest is no dependency of nodeling, so the plugin's tests are called as the functions they are
RUN_OWN_TESTS = """
import importlib.util
from nodeling.testing import run_node, run_workflow
spec = importlib.util.spec_from_file_location("own", "tests/test_nodes.py")
own = importlib.util.module_from_spec(spec); spec.loader.exec_module(own)
tests = [value for name, value in vars(own).items() if name.startswith("test_")]
fixtures = {"nodeling_node": run_node, "nodeling_workflow": run_workflow}
for test in tests:
    names = test.__code__.co_varnames[:test.__code__.co_argcount]
    test(**{name: fixtures[name] for name in names})
print(len(tests), "passed")
"""


@pytest.fixture
def without_our_nodes(clean_venv):
    """The environment with the folder of our own nodes gone."""
    folder, aside = clean_venv.site() / "nodeling_nodes", clean_venv.folder / "aside"
    shutil.move(folder, aside)
    yield clean_venv
    shutil.move(aside, folder)


def test_a_created_parallel_works_as_a_third_partys_wheel_without_our_nodes(
    clean_venv, build_wheel, tmp_path, request
):
    nodectl(clean_venv, tmp_path, "create", "plugin", "--name", "acme-flow")
    home = tmp_path / "acme-flow"
    nodes = "src/acme_flow/nodes"
    nodectl(clean_venv, home, "create", "node", f"{nodes}/acme-parallel", "--template", "parallel-execution")
    clean_venv.install(build_wheel(home))
    away = request.getfixturevalue("without_our_nodes")
    shutil.rmtree(home)
    listed = json.loads(nodectl(away, tmp_path, "nodes", "list", "--json").stdout)
    assert "parallel" not in {node["name"] for node in listed["nodes"]}
    assert [plugin["distribution"] for plugin in listed["broken"]] == ["nodeling"]
    done = away.run("python", SUITE, "--node", "acme-parallel", cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout
    assert "14 of 14 promises kept by acme-parallel" in done.stdout


def test_the_shipped_parallel_keeps_the_same_promises(clean_venv, tmp_path):
    done = clean_venv.run("python", SUITE, "--node", "parallel", cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout
