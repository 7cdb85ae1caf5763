"""That the pure parts are pure: they import no clock, no loop, no process and no file system of their own.

Each module is imported in a fresh interpreter that is isolated from the environment; what it brought
along is looked at there. A few hundred milliseconds each are well spent: a chain of imports is easily
made and seldom noticed.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import nodeling
import nodeling_runtime

RUNTIME = Path(nodeling_runtime.__file__ or "").parent
PATHS = [str(RUNTIME.parent), str(Path(nodeling.__file__ or "").parent.parent)]
EXPRESSIONS = sorted(f"expressions.{path.stem}" for path in (RUNTIME / "expressions").glob("[!_]*.py"))
CHECKS = sorted(f"workflow.{path.stem}" for path in (RUNTIME / "workflow").glob("check*.py"))
PURE = ["engine.scheduler", "engine.attempts", "engine.context", "workflow.plan", "workflow.model"]
PURE += [*CHECKS, *EXPRESSIONS]
EFFECTS = ("asyncio", "subprocess", "socket", "sqlite3")
CHILD = """
import sys, json
sys.path[1:1] = json.loads(sys.argv[1])
before = set(sys.modules)
__import__(sys.argv[2])
print(json.dumps(sorted(set(sys.modules) - before)))
"""
FORBIDDEN = {"os", "asyncio", "subprocess", "time"}


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_brings_no_effects_along(module: str) -> None:
    site = [path for path in sys.path if path.endswith("site-packages")]
    command = [sys.executable, "-I", "-c", CHILD, json.dumps([*PATHS, *site]), f"nodeling_runtime.{module}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [name for name in EFFECTS if name in json.loads(done.stdout)] == []


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_names_neither_os_nor_asyncio_nor_subprocess_nor_time(module: str) -> None:
    path = RUNTIME.joinpath(*module.split(".")).with_suffix(".py")
    found = {name.partition(".")[0] for name in imported(ast.parse(path.read_text(encoding="utf-8")))}
    assert found & FORBIDDEN == set()


def imported(tree: ast.Module) -> list[str]:
    """Every module that a file imports, at its top or anywhere inside."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return names


def test_the_child_would_notice() -> None:
    command = [sys.executable, "-I", "-c", CHILD, json.dumps(PATHS), "asyncio"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "asyncio" in json.loads(done.stdout)


@pytest.mark.parametrize("package", sorted(path.parent for path in RUNTIME.glob("*/__init__.py")))
def test_a_packages_own_file_is_empty(package: Path) -> None:
    assert (package / "__init__.py").read_text(encoding="utf-8") == ""
