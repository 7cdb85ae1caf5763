"""Where the benchmarks keep what they install and build: one environment for each peer, in a cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

INSTALL_SECONDS = 600.0


class NotInstalledError(Exception):
    """A peer is not here, and why."""


def cache_folder() -> Path:
    """The folder of the benchmarks in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "nodeling" / "benchmarks"


def python_with(name: str, requirements: Sequence[str]) -> Path:
    """The Python of an environment that has these packages; it is made by the first who asks.

    Raises:
        NotInstalledError: They cannot be installed here.
    """
    if not requirements:
        return Path(sys.executable)
    folder = cache_folder() / name
    python = folder / "bin" / "python"
    wanted = "\n".join(requirements) + "\n"
    complete = folder / "complete"
    if complete.exists() and complete.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {' '.join(requirements)} into {folder}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements]
    try:
        done = subprocess.run(
            pip, capture_output=True, encoding="utf-8", timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"pip took more than {INSTALL_SECONDS:.0f} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip failed"]
        raise NotInstalledError(lines[-1])
    complete.write_text(wanted, encoding="utf-8")
    return python
