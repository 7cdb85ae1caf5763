"""What a package promises by name exists, and nothing it exports is missing from `__all__`."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

SDK = Path(__file__).parents[3] / "sdk" / "python"
# Both are loaded by those alone who need what they import.
NEED_MORE = ("nodeling.hookspecs", "nodeling.worker_async")
MODULES = sorted(
    ".".join(path.relative_to(SDK).with_suffix("").parts)
    for path in (SDK / "nodeling").glob("*.py")
    if path.name not in ("__init__.py", "_plain.py")
)


@pytest.mark.parametrize("name", ["nodeling", *MODULES])
def test_everything_in_all_exists_and_is_sorted(name: str) -> None:
    module = importlib.import_module(name)
    names = module.__all__
    assert [entry for entry in names if not hasattr(module, entry)] == []
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in NEED_MORE])
def test_the_sdk_needs_only_the_standard_library(name: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SDK)!r}); import {name}; "
        "bad = [m for m in ('socket', 'asyncio', 'email', 'orjson', 'pluggy') if m in sys.modules]; "
        "print(','.join(bad))"
    )
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == ""
