"""Projects made on the spot, and `nodectl` called in them: in this process, or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from nodeling_runtime.cli.main import cli

NODECTL = [sys.executable, "-m", "nodeling_runtime"]
PATIENCE = 60.0


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def write_node(root: Path, name: str, code: str, /, **manifest: Any) -> Path:
    """A Python node in `nodes/` of a project."""
    folder = root / "nodes" / name
    folder.mkdir(parents=True)
    body = {"name": name, "version": "1.0.0", "inputs": True, "output": True, **manifest}
    (folder / "config.json").write_text(json.dumps(body), encoding="utf-8")
    (folder / "node.py").write_text(code, encoding="utf-8")
    return folder


def write_workflow(root: Path, document: dict[str, Any], name: str = "flow.json") -> Path:
    """A workflow's file."""
    path = root / name
    path.write_text(json.dumps({"name": "flow", **document}, indent=2), encoding="utf-8")
    return path


def invoke(*args: object, input: str | None = None, env: dict[str, str] | None = None) -> Result:
    """Call `nodectl` in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], input=input, env=env, catch_exceptions=False)


def process(*args: object, cwd: Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `nodectl` in a process of its own."""
    return subprocess.Popen(
        [*NODECTL, *map(str, args)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def ended(child: subprocess.Popen[str], since: float | None = None) -> Ended:
    """Wait for a process that `process` started."""
    began = time.monotonic() if since is None else since
    try:
        out, err = child.communicate(timeout=PATIENCE)
    finally:
        child.kill()
    return Ended(child.returncode, out, err, time.monotonic() - began)


def nodectl(*args: object, cwd: Path, env: dict[str, str] | None = None) -> Ended:
    """Call `nodectl` in a process of its own."""
    began = time.monotonic()
    return ended(process(*args, cwd=cwd, env=env), began)


def wait_for(path: Path) -> None:
    """Wait, within reason, until a file is there."""
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < until, f"{path} never appeared"
        time.sleep(0.01)
