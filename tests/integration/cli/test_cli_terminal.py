"""What stands on a real terminal: a pty, as a shell would give it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest

from cli_calls import NODECTL, wait_for, write_node, write_workflow

PATIENT = """
import asyncio, pathlib

async def run(ctx, inputs):
    ctx.log("a line above")
    ctx.progress(1, 2, "half way")
    pathlib.Path("started").touch()
    await asyncio.sleep(inputs.get("seconds", 0.5))
    return 1
"""
SHOW_CURSOR = "\x1b[?25h"
HIDE_CURSOR = "\x1b[?25l"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_node(tmp_path, "patient", PATIENT)
    return tmp_path


class Terminal:
    """A process whose stderr is a terminal; stdout is a pipe, as in `nodectl run … | jq`."""

    def __init__(self, *args: object, cwd: Path, **env: str) -> None:
        self.main, side = pty.openpty()
        variables = {
            name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")
        }
        self.child = subprocess.Popen(
            [*NODECTL, *map(str, args)],
            cwd=cwd,
            env={**variables, "TERM": "xterm-256color", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8", **env},
            stdin=side,
            stdout=subprocess.PIPE,
            stderr=side,
            start_new_session=True,
        )
        os.close(side)

    def finish(self) -> tuple[int, str, str]:
        """The exit code, stdout, and all that the terminal was sent."""
        seen = b""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            ready, _, _ = select.select([self.main], [], [], 0.05)
            try:
                part = os.read(self.main, 65536) if ready else b""
            except OSError:  # the other side is closed
                break
            seen += part
            if not part and self.child.poll() is not None:
                break
        assert self.child.stdout is not None
        with self.child.stdout as stream:
            out = stream.read().decode("utf-8")
        self.child.wait(timeout=10)
        os.close(self.main)
        return self.child.returncode, out, seen.decode("utf-8")


def bare(text: str) -> str:
    """The text without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def test_a_terminal_gets_a_live_tree_and_then_the_summary(project: Path) -> None:
    step = {"name": "work", "node": "parallel", "nodes": [{"name": "one", "node": "patient"}]}
    code, out, seen = Terminal(
        "run", write_workflow(project, {"steps": [step]}), "--json", cwd=project
    ).finish()
    assert code == 0
    assert out.startswith("{")
    assert HIDE_CURSOR in seen
    assert seen.rindex(SHOW_CURSOR) > seen.rindex(HIDE_CURSOR)
    text = bare(seen)
    assert "▸ work" in text
    assert re.search(r"▸ one .*━{10}─{10}  1/2 half way", text)
    assert "info: a line above" in text
    assert text.rstrip().splitlines()[-1].startswith("succeeded in")
    assert "\x1b[3" in seen  # colours


def test_ctrl_c_on_a_terminal_cancels_and_gives_the_cursor_back(project: Path) -> None:
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "patient", "inputs": {"seconds": 60}}]})
    terminal = Terminal("run", flow, cwd=project)
    wait_for(project / "started")
    os.killpg(terminal.child.pid, 2)  # what the terminal's driver does
    code, out, seen = terminal.finish()
    assert code == 130
    assert out == ""
    assert seen.rindex(SHOW_CURSOR) > seen.rindex(HIDE_CURSOR)
    assert "Ctrl-C once more leaves at once" in bare(seen)
    assert "cancelled in" in bare(seen)


def test_no_color_keeps_the_tree_and_drops_the_colours(project: Path) -> None:
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "patient"}]})
    _, _, seen = Terminal("run", flow, cwd=project, NO_COLOR="1").finish()
    assert HIDE_CURSOR in seen
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", seen)


def test_a_dumb_terminal_gets_lines(project: Path) -> None:
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "patient", "inputs": {"seconds": 0}}]})
    code, _, seen = Terminal("run", flow, cwd=project, TERM="dumb").finish()
    assert code == 0
    assert "\x1b" not in seen
    assert "a started (patient)" in seen
