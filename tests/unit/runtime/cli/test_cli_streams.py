from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
RUN = [sys.executable, "-m", "nodeling_runtime"]


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a line in which NODECTL stands for the command."""
    command = " ".join(RUN)
    return subprocess.run(
        ["/bin/sh", "-c", line.replace("NODECTL", command)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work.yaml").write_text(
        "steps:\n  - {name: one, node: assign, inputs: {set: {v: 1}}}\n", encoding="utf-8"
    )
    return tmp_path


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "words", ["--version", "eval 1+1", "eval 1+1 --json", "nodes list", "nodes show nope --json"]
)
def test_a_stdout_that_is_full_is_said_and_is_no_bug(folder: Path, words: str) -> None:
    done = shell(f"NODECTL {words} >/dev/full", folder)
    assert done.returncode == 69, done.stderr
    assert "stdout cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("words", "code"), [("run work.yaml --store none", 0), ("run nope.yaml", 66)])
def test_a_stderr_that_is_full_decides_nothing(folder: Path, words: str, code: int) -> None:
    done = shell(f"NODECTL {words} 2>/dev/full", folder)
    assert done.returncode == code
    assert ('"v": 1' in done.stdout) is (code == 0)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_events_that_could_not_be_written_are_told_of_and_the_run_goes_on(folder: Path) -> None:
    done = shell("NODECTL run work.yaml --store none --quiet --events /dev/full", folder)
    assert done.returncode == 69
    assert '"v": 1' in done.stdout
    assert "events could not be written to /dev/full: No space left on device" in done.stderr


@pytest.mark.parametrize("words", ["run work.yaml", "call transform", "worker --store runs.db", "nodes list"])
def test_a_folder_of_nodes_that_is_not_there_is_no_such_file(folder: Path, words: str) -> None:
    done = shell(f"NODECTL {words} --nodes nowhere", folder)
    assert done.returncode == 66
    assert "--nodes: there is no folder 'nowhere'" in done.stderr


@pytest.mark.parametrize("words", ["eval 1+1", "nodes list --json", "run work.yaml --store none --json"])
def test_a_stdout_that_is_closed_is_said_and_is_no_bug(folder: Path, words: str) -> None:
    done = shell(f"NODECTL {words} >&-", folder)
    assert done.returncode == 69, done.stderr
    assert "stdout cannot be written: Bad file descriptor" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "<&- 2>&-"])
def test_without_stdin_or_stderr_everything_works(folder: Path, closed: str) -> None:
    done = shell(f"NODECTL eval 1+1 {closed}", folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


@pytest.mark.parametrize("words", ["run work.yaml --store none", 'call assign --input \'{"set": {"v": 1}}\''])
def test_what_is_said_while_a_run_goes_on_is_lost_without_stderr_and_nothing_else(
    folder: Path, words: str
) -> None:
    done = shell(f"NODECTL {words} 2>&-", folder)
    assert done.returncode == 0
    assert '"v": 1' in done.stdout


def test_no_file_gets_the_number_of_a_closed_stream(folder: Path) -> None:
    code = (
        "from nodeling_runtime.cli.streams import take_over_streams; take_over_streams(); import os;"
        "os._exit(min(os.open(os.devnull, os.O_RDONLY), 100))"
    )
    (folder / "code.py").write_text(code, encoding="utf-8")
    done = shell(f"{sys.executable} code.py <&- >&- 2>&-", folder)
    assert done.returncode == 3
