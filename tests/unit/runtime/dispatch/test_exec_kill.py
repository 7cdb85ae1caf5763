from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from pathlib import Path

import pytest

from exec_calls import Programs, is_alive, until, with_dispatcher, zombies
from nodeling_runtime.dispatch.exec import ExecDispatcher
from nodeling_runtime.registry import NodeSpec

DOUBLE_FORK = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("pids", "a").write(f"{os.getpid()}\\n")
        time.sleep(1000)
    os._exit(0)
os.wait()
open("pids", "a").write(f"{os.getpid()}\\n")
time.sleep(1000)
"""
CLEARED_SESSION = """
import os, subprocess, time
child = subprocess.Popen(["sleep", "1000"], env={}, start_new_session=True)
open("pids", "a").write(f"{os.getpid()}\\n{child.pid}\\n")
time.sleep(1000)
"""


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def noted(programs: Programs, count: int) -> list[int]:
    """The process ids that the program wrote down, once all are there."""
    try:
        text = (programs.folder / "pids").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    found = [int(line) for line in text.split("\n")[:-1]]
    return found if len(found) == count else []


def cancel_when_noted(programs: Programs, spec: NodeSpec, count: int, inputs: object = None) -> float:
    """Cancel the call once its processes run; gives the seconds it took for all to be gone."""

    async def work(dispatcher: ExecDispatcher) -> float:
        task = asyncio.ensure_future(dispatcher.call(programs.call(spec, inputs)))
        pids = await until(lambda: noted(programs, count))
        assert all(is_alive(pid) for pid in pids)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [pid for pid in pids if is_alive(pid)] == []
        return time.monotonic() - started

    took: float = with_dispatcher(work)
    assert programs.left_behind() == []
    assert list(zombies()) == []
    return took


def test_fault_12_a_program_that_ignores_sigterm_is_killed(programs: Programs) -> None:
    spec = programs.bash("trap '' TERM INT HUP; echo $$ > pids; while :; do sleep 1; done")
    assert cancel_when_noted(programs, spec, 1) < 2


def test_fault_13_a_stopped_program_is_killed(programs: Programs) -> None:
    spec = programs.bash("echo $$ > pids; kill -STOP $$")
    assert cancel_when_noted(programs, spec, 1) < 2


def test_fault_14_a_background_child_dies_with_its_program(programs: Programs) -> None:
    spec = programs.bash('sleep 1000 & echo "$$" > pids; echo $! >> pids; wait')
    assert cancel_when_noted(programs, spec, 2) < 2


def test_fault_15_a_grandchild_in_a_session_of_its_own_dies_with_its_program(programs: Programs) -> None:
    spec = programs.bash("setsid bash -c 'echo $$ >> pids; exec sleep 1000' & echo $$ >> pids; wait")
    assert cancel_when_noted(programs, spec, 2) < 2


def test_fault_15_a_twice_forked_orphan_dies_with_its_program(programs: Programs) -> None:
    assert cancel_when_noted(programs, programs.python(DOUBLE_FORK), 2) < 2


def test_fault_15_a_grandchild_without_environment_is_found_in_the_tree(programs: Programs) -> None:
    assert cancel_when_noted(programs, programs.python(CLEARED_SESSION), 2) < 2


def test_fault_16_a_kill_does_not_wait_for_a_pipe_that_somebody_holds(programs: Programs) -> None:
    spec = programs.bash(
        'sleep 1000 & echo "$$" > pids; echo $! >> pids; head -c 1000000 /dev/zero >&2; wait'
    )
    assert cancel_when_noted(programs, spec, 2) < 2


def test_fault_19_a_program_that_never_reads_its_stdin_can_be_killed(programs: Programs) -> None:
    spec = programs.bash("echo $$ > pids; exec sleep 1000")
    assert cancel_when_noted(programs, spec, 1, "x" * 1_000_000) < 2


def test_a_timeout_of_the_caller_kills(programs: Programs) -> None:
    async def work(dispatcher: ExecDispatcher) -> int:
        spec = programs.bash("echo $$ > pids; exec sleep 1000")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await dispatcher.call(programs.call(spec))
        (pid,) = noted(programs, 1)
        return pid

    assert not is_alive(with_dispatcher(work))


def test_a_second_cancel_during_the_kill_does_not_cut_it_short(programs: Programs) -> None:
    async def work(dispatcher: ExecDispatcher) -> None:
        task = asyncio.ensure_future(dispatcher.call(programs.call(programs.python(DOUBLE_FORK))))
        pids = await until(lambda: noted(programs, 2))
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [pid for pid in pids if is_alive(pid)] == []

    with_dispatcher(work)
    assert programs.left_behind() == []
    assert list(zombies()) == []


def test_a_call_cancelled_before_it_began_leaves_nothing(programs: Programs) -> None:
    async def work(dispatcher: ExecDispatcher) -> None:
        task = asyncio.ensure_future(dispatcher.call(programs.call(programs.command("sleep", "1000"))))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with_dispatcher(work)
    assert programs.left_behind() == []


def test_the_death_of_one_program_leaves_the_others(programs: Programs) -> None:
    async def work(dispatcher: ExecDispatcher) -> None:
        spec = programs.bash("echo $$ >> pids; read -r line; exec sleep 1000")
        tasks = [asyncio.ensure_future(dispatcher.call(programs.call(spec))) for _ in range(3)]
        pids = await until(lambda: noted(programs, 3))
        os.kill(pids[0], signal.SIGKILL)
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        outcome = done.pop().result()
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.details["signal"]) == (9003, "SIGKILL")
        assert [is_alive(pid) for pid in pids] == [False, True, True]
        for task in pending:
            task.cancel()
        await asyncio.wait(pending)
        assert not any(is_alive(pid) for pid in pids)

    with_dispatcher(work)


def no_pidfd(pid: int, flags: int = 0) -> int:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def test_without_pidfds_calls_end_and_trees_die_all_the_same(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pidfd_open", no_pidfd)
    outcome = programs.run(programs.bash("echo 1"))
    assert outcome.output is not None
    assert outcome.output.fresh() == 1
    assert cancel_when_noted(programs, programs.python(DOUBLE_FORK), 2) < 2


def test_fault_30_a_program_over_its_memory_limit_is_killed_with_its_children(programs: Programs) -> None:
    spec = programs.python(
        "import os, time\nos.fork()\nx = bytearray(80_000_000)\n"
        "for i in range(0, len(x), 4096): x[i] = 1\ntime.sleep(1000)",
        limits={"memory_mb": 100},
    )
    outcome = programs.run(spec)
    assert outcome.error is not None
    assert outcome.error.code == 9008
    assert "100 MiB" in outcome.error.message


def test_fault_31_a_program_with_too_many_processes_is_killed_with_all_of_them(programs: Programs) -> None:
    spec = programs.python(
        "import os, time\nfor _ in range(5): os.fork()\ntime.sleep(1000)", limits={"processes": 8}
    )
    outcome = programs.run(spec)
    assert outcome.error is not None
    assert outcome.error.code == 9003
    assert "8 are allowed" in outcome.error.message
    assert 8 < outcome.error.details["found"] <= 32  # it may be looked at while it forks


def test_fault_32_a_program_that_fills_its_folders_is_killed(programs: Programs) -> None:
    spec = programs.python(
        "import os\nn = 0\nwhile True:\n    n += 1\n"
        "    open(os.path.join(os.environ['TMPDIR'], str(n)), 'wb').write(b'x' * 1_000_000)",
        limits={"disk_mb": 8},
    )
    outcome = programs.run(spec)
    assert outcome.error is not None
    assert outcome.error.code == 9003
    assert outcome.error.details["limit"] == "disk_mb"
