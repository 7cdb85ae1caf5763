"""Ending a program together with everything it started.

A group kill reaches neither a grandchild that called setsid nor one that was forked twice. So the
tree is read before the kill, and every process whose environment holds the call's mark is killed
after it. What has cleared its environment and was forked twice before the kill is out of reach.

Invariant: a process is signalled through a handle (a pidfd, or psutil's check of the start time)
that was compared with the mark or the tree after it was opened.
"""

from __future__ import annotations

import asyncio
import contextlib

import psutil

from nodeling_runtime.dispatch.marked import kill_marked
from nodeling_runtime.dispatch.process import ChildProcess

SWEEP_PAUSE_SECONDS = 0.002  # what a killed process needs to be gone, most often
SWEEP_ROUNDS = 40
EXIT_AFTER_KILL_SECONDS = 1.0  # a process in an uninterruptible sleep outlives its SIGKILL


class TreeKill:
    """A SIGKILL to a program and all its descendants that can be found, sent on creation.

    `settle` then waits for them to be gone.
    """

    __slots__ = ("_child", "_found", "_has_marked", "_mark")

    def __init__(self, child: ChildProcess, mark: str) -> None:
        self._child = child
        self._mark = mark.encode()
        self._found = [] if child.exited.done() else _descendants(child.pid)
        child.kill_group()
        for process in self._found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        # The group cannot fork after its SIGKILL, so what this scan does not see does not come later.
        self._has_marked = kill_marked(self._mark, besides=child.pid) > 0

    async def settle(self) -> None:
        """Sweep until nothing is left, wait for the end and reap it, all bounded."""
        child = self._child
        for _ in range(SWEEP_ROUNDS):
            if not self._has_left():
                break
            await asyncio.sleep(SWEEP_PAUSE_SECONDS)
        if not child.exited.done():
            await asyncio.wait({child.exited}, timeout=EXIT_AFTER_KILL_SECONDS)
        if child.exited.done():
            child.reap()
        else:
            child.reap_later()

    def _has_left(self) -> bool:
        self._found = [process for process in self._found if _is_alive(process)]
        self._has_marked = self._has_marked and kill_marked(self._mark, besides=self._child.pid) > 0
        return self._has_marked or bool(self._found)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def tree_usage(pid: int) -> tuple[float, float]:
    """The resident memory of a program and its descendants together, in MiB, and how many they are."""
    total = count = 0
    with contextlib.suppress(psutil.Error):
        program = psutil.Process(pid)
        for process in (program, *program.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
                count += 1
    return total / 1048576, float(count)
