"""The house's own rules: who may import whom, what importing costs, and what one command does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nodeling_runtime.manifests import sdk_schema
from nodeling_runtime.workflow import keys
from nodeling_runtime.workflow.model import ON_WORDS

ROOT = Path(__file__).resolve().parents[2]
SDK = ROOT / "sdk/python"
RUNTIME = ROOT / "runtime/nodeling_runtime"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NODE_FACING = [
    path.stem
    for path in sorted((SDK / "nodeling").glob("*.py"))
    if path.stem not in ("__init__", "hookspecs")
]
IMPURE = {"asyncio", "subprocess", "socket", "sqlite3"}
PURE = {
    "nodeling_runtime.expressions.compiler": IMPURE,
    "nodeling_runtime.expressions.template": IMPURE,
    "nodeling_runtime.workflow.check": IMPURE,
    "nodeling_runtime.engine.scheduler": IMPURE,
}


def python(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def contract(name: str) -> dict:
    return next(one for one in PYPROJECT["tool"]["importlinter"]["contracts"] if one["name"] == name)


def test_the_contract_on_the_command_line_names_every_part_of_the_runtime():
    held = {
        name.rpartition(".")[2]
        for name in contract("nothing behind the command line knows it")["source_modules"]
    }
    there = {path.stem for path in RUNTIME.glob("*.py") if not path.stem.startswith("__")}
    there |= {path.parent.name for path in RUNTIME.glob("*/__init__.py")}
    assert held == there - {"cli"}


@pytest.mark.parametrize("module", NODE_FACING)
def test_the_node_facing_half_of_the_sdk_needs_nothing_but_the_standard_library(module):
    code = f"import sys; sys.path.append({str(SDK)!r}); import nodeling.{module}; print(nodeling.__version__)"
    assert python("-I", "-S", "-c", code).strip() == PYPROJECT["project"]["version"]


@pytest.mark.parametrize("module", PURE)
def test_the_pure_core_brings_neither_loop_nor_process_nor_socket(module):
    code = f"import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
    assert PURE[module] & set(json.loads(python("-I", "-c", code))) == set()


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_a_word_of_help_pays_for_nothing_it_does_not_use(words):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nodeling_runtime", *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NODELING_PLUGINS": "nodeling"},
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "nodeling_runtime.cli.script" in loaded
    assert ("click" in loaded) is (words == ["--help"])
    assert not loaded & {
        "asyncio",
        "jsonschema",
        "jsonschema_rs",
        "rich",
        "yaml",
        "msgspec",
        "psutil",
        "sqlite3",
    }


def test_the_packages_of_the_runtime_are_empty_so_that_one_module_costs_no_other():
    assert [str(path) for path in RUNTIME.rglob("__init__.py") if path.stat().st_size] == []


def test_one_version_is_told_everywhere():
    import nodeling

    assert nodeling.__version__ == PYPROJECT["project"]["version"]


# -- the schema of workflows is written by hand and read by editors; the keys are read by the loader


def test_the_workflow_schema_and_the_loader_know_the_same_keys():
    schema = sdk_schema("workflow.v1")
    definitions = schema["$defs"]
    for known, part in (
        (keys.TOP, schema),
        (keys.SETTINGS, definitions["settings"]),
        (keys.STEP, definitions["step"]),
    ):
        told = {name: inner.get("description") for name, inner in part["properties"].items()}
        assert told == known
    assert tuple(definitions["retry"]["properties"]) == keys.RETRY
    assert tuple(definitions["link"]["anyOf"][1]["properties"]) == keys.LINK
    assert tuple(definitions["status"]["enum"]) == ON_WORDS
    assert tuple(definitions["step"]["properties"]["type"]["anyOf"][0]["enum"]) == keys.TYPES
    assert tuple(definitions["circuit"]["properties"]) == keys.CIRCUIT
    assert tuple(definitions["cache"]["properties"]) == keys.CACHE
    assert tuple(definitions["settings"]["properties"]["when_full"]["enum"]) == keys.WHEN_FULL


def test_every_example_workflow_and_manifest_fits_the_shipped_schemas():
    from nodeling_runtime.documents.reader import read_document
    from nodeling_runtime.formats import open_workflow
    from nodeling_runtime.schemas import compile_schema

    judges = {name: compile_schema(sdk_schema(name), where=name) for name in ("workflow.v1", "node.v1")}
    files = [*ROOT.glob("examples/**/*.yaml"), *ROOT.glob("examples/**/*.json")]
    files += [*ROOT.glob("plugins/**/config.json")]
    seen = 0
    for file in files:
        data = read_document(file).data
        if file.name == "config.json":
            assert judges["node.v1"].check(data) is None, file
        elif isinstance(data, dict) and "steps" in data:  # another system's as what it becomes
            assert judges["workflow.v1"].check(open_workflow(file).data) is None, file
        seen += 1
    assert seen >= 10


# -- one command each


def test_make_knows_how_to_install_by_itself_and_is_quick_the_second_time(tmp_path):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    fresh = make(tmp_path, "check")
    assert "-m venv" in fresh and 'pip install --quiet --disable-pip-version-check -e ".[dev]"' in fresh
    stamp = tmp_path / ".venv" / ".installed"
    stamp.parent.mkdir()
    stamp.touch()
    again = make(tmp_path, "check")
    assert "pip install" not in again
    assert [line.split()[0] for line in again.splitlines()] == [
        f".venv/bin/{tool}" for tool in ("ruff", "ruff", "mypy", "lint-imports")
    ]
    os.utime(tmp_path / "pyproject.toml", (stamp.stat().st_mtime + 5,) * 2)
    assert "pip install" in make(tmp_path, "test")


def test_make_says_what_is_missing_when_no_python_is_new_enough(tmp_path):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    done = subprocess.run(
        ["make", "install", "PYTHON="], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no Python 3.11 or newer was found" in done.stderr


def make(folder: Path, target: str) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", target], cwd=folder, capture_output=True, text=True, check=True, env=env
    )
    return done.stdout


def test_the_gate_calls_both_and_may_be_run():
    gate = ROOT / ".ci/run"
    text = gate.read_text(encoding="utf-8")
    assert os.access(gate, os.X_OK)
    assert "set -euo pipefail" in text
    assert [line for line in text.splitlines() if line.startswith("make ")] == ["make check", "make test"]


def test_the_demo_shows_a_failure_that_the_run_survives():
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/quickstart/demo.py")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("[4042]", "execution_info", "concurrent_peak", "What to try next", "SMALL NODES"):
        assert said in done.stdout
    assert "✗ doubtful" in done.stderr
