"""A language that nodeling knows nothing of, brought by a package of a third party's."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from cli_calls import nodectl, write_node, write_workflow
from plugin_installs import install
from programs import need

FIXTURE = Path(__file__).parents[1] / "fixtures" / "perl_toolchain"
MODULE = FIXTURE / "perl_nodeling.py"
SCRIPT = Path(__file__).parents[1] / "fixtures" / "strangers" / "node.pl"


@pytest.fixture
def perl() -> str:
    return need("perl")


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment in which the package is installed."""
    points = tomllib.loads((FIXTURE / "pyproject.toml").read_text(encoding="utf-8"))
    entry = points["project"]["entry-points"]["nodeling"]["perl"]
    site = install(tmp_path / "site", MODULE, "perl-nodeling", f"[nodeling]\nperl = {entry}\n")
    return {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "caches")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".nodeling").mkdir(parents=True)
    return root


def perl_node(project: Path, name: str, script: str | None = None) -> Path:
    folder = write_node(project, name, "", runtime={"type": "runtime.perl"})
    (folder / "node.py").unlink()
    text = SCRIPT.read_text(encoding="utf-8") if script is None else script
    (folder / "node.pl").write_text(text, encoding="utf-8")
    return folder


def test_the_plugin_is_short_and_uses_the_public_door_alone() -> None:
    lines = MODULE.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 60
    assert not [line for line in lines if "nodeling_runtime" in line]


def test_a_language_of_a_third_party_runs_in_a_workflow(
    project: Path, installed: dict[str, str], perl: str
) -> None:
    perl_node(project, "adder")
    write_node(project, "plain", "def run(ctx, inputs):\n    return 2\n")
    step = {"node": "adder", "type": "runtime.perl"}
    numbers = {"do": "sum", "values": [1, "${steps.two.output}", 3]}
    steps = [{"name": "two", "node": "plain"}, {"name": "six", "inputs": numbers, **step}]
    write_workflow(project, {"steps": steps})
    ran = nodectl("run", "flow.json", cwd=project, env=installed)
    assert (ran.code, ran.out) == (0, "6\n"), ran.err
    assert "building adder (Perl)" in ran.err and "built adder (Perl) in" in ran.err
    again = nodectl("run", "flow.json", cwd=project, env=installed)
    assert (again.code, again.out) == (0, "6\n"), again.err
    assert "adder (Perl)" not in again.err


def test_a_node_that_does_not_build_fails_alone_with_what_the_tool_said(
    project: Path, installed: dict[str, str], perl: str
) -> None:
    perl_node(project, "good")
    perl_node(project, "bad", "use strict;\nmy $x = ;\n")
    echo = {"do": "echo", "value": 5}
    children = [
        {"name": "ok", "node": "good", "inputs": echo},
        {"name": "broken", "node": "bad", "inputs": echo},
    ]
    execution = {"error_handling": "continue-partial"}
    step = {"name": "both", "node": "parallel", "execution": execution, "nodes": children}
    write_workflow(project, {"steps": [step]})
    ran = nodectl("run", "flow.json", "--json", cwd=project, env=installed)
    assert ran.code == 0, ran.err
    output = ran.data["output"]
    assert output["results"] == [5, None]
    (error,) = output["errors"]
    assert error["code"] == "toolchain.build"
    assert "bad could not be built: perl ended with 255: syntax error at node.pl line 2" in error["message"]
    assert 'syntax error at node.pl line 2, near "= ;"' in ran.err


def test_without_the_program_the_error_names_the_package(
    project: Path, installed: dict[str, str], tmp_path: Path
) -> None:
    perl_node(project, "adder")
    write_workflow(
        project, {"steps": [{"name": "sum", "node": "adder", "inputs": {"do": "sum", "values": []}}]}
    )
    empty = tmp_path / "bin"
    empty.mkdir()
    ran = nodectl("run", "flow.json", "--json", cwd=project, env={**installed, "PATH": str(empty)})
    assert ran.code == 69
    error = ran.data["error"]
    assert error["code"] == "toolchain.missing"
    assert "adder needs perl to be built, which is not here; apt-get install perl" in error["message"]


def test_without_the_plugin_the_language_is_unknown(project: Path) -> None:
    perl_node(project, "adder")
    write_workflow(project, {"steps": [{"name": "sum", "node": "adder"}]})
    checked = nodectl("check", "flow.json", "--json", cwd=project)
    assert checked.code == 65
    (fault,) = [one for one in json.loads(checked.out)["faults"] if one["code"] == "toolchain.unknown"]
    assert "no toolchain is registered for `runtime.perl`" in fault["message"]


def test_a_second_owner_of_a_language_is_listed_as_broken(tmp_path: Path, project: Path) -> None:
    text = MODULE.read_text(encoding="utf-8").replace("runtime.perl", "runtime.bash")
    module = tmp_path / "greedy_nodeling.py"
    module.write_text(text, encoding="utf-8")
    site = install(tmp_path / "site", module, "greedy", "[nodeling]\ngreedy = greedy_nodeling\n")
    (project / "nodes").mkdir()
    found = nodectl("doctor", "--json", cwd=project, env={"PYTHONPATH": str(site)})
    assert found.code == 1
    (finding,) = [one for one in found.data["findings"] if one["name"].endswith(": runtime.bash")]
    assert (finding["name"], finding["state"]) == ("greedy: runtime.bash", "failed")
    assert "has an owner already: nodeling" in finding["detail"]
