"""A Python node's own packages: installed once for what it asks for, where nothing else is installed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nodeling
from nodeling_runtime.dispatch.worker.hub import close_all
from nodeling_runtime.toolchains.languages.python_environment import sources_of

NODE = """
import importlib.util, sys
import greeting_of_tests
def run(ctx, inputs):
    others = ("orjson", "click", "nodeling_runtime", "pip")
    hidden = [name for name in others if importlib.util.find_spec(name)]
    return {"says": greeting_of_tests.TEXT, "prefix": sys.prefix, "hidden": hidden}
"""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    yield
    close_all()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".nodeling").mkdir()
    folder = tmp_path / "nodes" / "greeter"
    folder.mkdir(parents=True)
    manifest = {"name": "greeter", "runtime": {"type": "runtime.python3"}}
    (folder / "config.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "node.py").write_text(NODE, encoding="utf-8")
    return tmp_path


def wheel(folder: Path, text: str, version: str = "1.0") -> Path:
    """A package as an index would give it."""
    folder.mkdir(exist_ok=True)
    path = folder / f"greeting_of_tests-{version}-py3-none-any.whl"
    about = f"greeting_of_tests-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("greeting_of_tests.py", f"TEXT = {text!r}\n")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: greeting-of-tests\nVersion: {version}\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def run(project: Path) -> nodeling.RunResult:
    path = project / "flow.json"
    path.write_text(json.dumps({"name": "flow", "steps": [{"name": "x", "node": "greeter"}]}))
    return nodeling.run(path)


def output(project: Path) -> dict[str, Any]:
    result = run(project)
    assert result.status == "succeeded", result.error
    found: dict[str, Any] = result.steps["x"].output
    return found


def test_requirements_are_installed_once_and_again_when_they_change(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = project / "nodes" / "greeter"
    wheel(folder / "wheels", "good day")
    (folder / "requirements.txt").write_text("./wheels/greeting_of_tests-1.0-py3-none-any.whl\n")
    first = output(project)
    assert first["says"] == "good day"
    assert first["hidden"] == []
    assert Path(first["prefix"]).is_relative_to(project / ".nodeling" / "builds" / "python3")
    told = capfd.readouterr().err
    assert "building greeter (Python)" in told
    assert "built greeter (Python) in " in told
    assert output(project)["prefix"] == first["prefix"]
    assert "building" not in capfd.readouterr().err
    wheel(folder / "wheels", "good night")
    second = output(project)
    assert second["says"] == "good night"
    assert second["prefix"] != first["prefix"]


def test_the_dependencies_of_a_pyproject_are_installed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel(project / "wheels", "hello").parent))
    (project / "nodes/greeter/pyproject.toml").write_text(
        '[project]\nname = "greeter"\nversion = "1"\ndependencies = ["greeting-of-tests>=1"]\n'
    )
    assert output(project)["says"] == "hello"


def test_what_cannot_be_installed_fails_the_call_with_what_pip_said(project: Path) -> None:
    (project / "nodes/greeter/requirements.txt").write_text("no-such-package-of-nodeling==9\n")
    result = run(project)
    error = result.steps["x"].error
    assert error is not None
    assert error["code"] == "toolchain.build"
    assert "greeter could not be built" in error["message"]
    assert "No matching distribution found for no-such-package-of-nodeling==9" in error["details"]["output"]
    assert list((project / ".nodeling/builds/python3").glob("new-*")) == []


def test_a_pyproject_that_is_none_is_named(project: Path) -> None:
    (project / "nodes/greeter/pyproject.toml").write_text("[project\n")
    error = run(project).steps["x"].error
    assert error is not None
    assert error["code"] == "toolchain.build"
    assert "pyproject.toml" in error["message"]


def test_a_pyproject_of_settings_alone_asks_for_no_environment(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert sources_of(tmp_path) == []


def test_what_a_requirements_file_names_is_part_of_what_it_asks_for(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "-r more.txt\n-c=limits.txt\n-e ./own  # mine\nother==1\n# no.txt\n"
    )
    for name in ("more.txt", "limits.txt", "no.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "setup.py").write_text("")
    found = {str(path.relative_to(tmp_path)) for path in sources_of(tmp_path)}
    assert found == {"requirements.txt", "more.txt", "limits.txt", "own/setup.py"}
