"""One child process: how it starts, how its end is learned, how it is reaped.

Invariant: nothing here signals a process id that has been reaped, so a number that the system has
given to somebody else is never hit. An exit is learned from a pidfd and not from the pipes, because
a grandchild may hold a pipe open for as long as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

from nodeling._dataclass import dataclass

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in one unit of ru_maxrss


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended and what it used; what is not known is None."""

    code: int | None = None
    signal: int | None = None
    cpu_ms: float | None = None
    peak_rss_mb: float | None = None

    @property
    def signal_name(self) -> str:
        """`SIGSEGV`, or `signal 40` for one without a name."""
        try:
            return signal.Signals(self.signal or 0).name
        except ValueError:
            return f"signal {self.signal}"


class ChildProcess:
    """A process that leads a session of its own, from its start to its reaping."""

    __slots__ = ("_loop", "_own_peak", "_pidfd", "_popen", "_sampled", "exit", "exited", "pid")

    def __init__(
        self,
        argv: Sequence[str],
        *,
        executable: str,
        cwd: str,
        env: Mapping[str, str],
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._popen: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - argv comes from a manifest
            argv,
            executable=executable,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            close_fds=True,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self.exit: Exit | None = None
        self.exited: asyncio.Future[None] = self._loop.create_future()
        # The kernel counts the memory of whoever called exec as the child's own peak, so a figure
        # no larger than ours says nothing about the child.
        self._own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._sampled: float | None = None
        self._pidfd = self._watch()

    def _watch(self) -> int:
        try:
            pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            # No pidfd on this system, or no descriptor left for one: a thread waits instead.
            threading.Thread(target=self._wait_in_thread, daemon=True).start()
            return -1
        self._loop.add_reader(pidfd, self._has_exited)
        return pidfd

    def _wait_in_thread(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop may be closed by then
            self._loop.call_soon_threadsafe(self._has_exited)

    def _has_exited(self) -> None:
        self._close_pidfd()
        if not self.exited.done():
            self.exited.set_result(None)

    def _close_pidfd(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def kill_group(self) -> None:
        """SIGKILL to every process of the group; nothing when the leader is already reaped."""
        if self.exit is None:
            # A leader that has ended but is not reaped keeps its number, and so its group's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def limit_files(self, size: int) -> None:
        """Let it write no file larger than so many bytes; what it wrote in its first moment stands."""
        with contextlib.suppress(AttributeError, OSError):  # no such call here, or it has ended
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, size))

    def sample(self) -> None:
        """Note the memory peak so far, while there is a process to ask."""
        if self.exited.done():
            return
        try:
            with open(f"/proc/{self.pid}/status", "rb") as status:
                found = [line for line in status if line.startswith(b"VmHWM:")]
        except OSError:
            return
        if found:
            self._sampled = int(found[0].split()[1]) / 1024

    def reap(self) -> Exit:
        """Take the exit status of a process that has ended, once; later calls give the same."""
        if self.exit is None:
            try:
                _, status, usage = os.wait4(self.pid, 0)
            except ChildProcessError:  # somebody else in this program took it
                self.exit = Exit()
            else:
                self.exit = self._exit(status, usage)
            # Popen would otherwise ask for the status again when it is collected, and warn.
            self._popen.returncode = 0
        return self.exit

    def reap_later(self) -> None:
        """Reap when the end comes, for a process that SIGKILL did not end in time."""
        self.exited.add_done_callback(lambda _: self.reap())

    def _exit(self, status: int, usage: resource.struct_rusage) -> Exit:
        code = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss * _RSS_UNIT / 1048576
        return Exit(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cpu_ms=(usage.ru_utime + usage.ru_stime) * 1000,
            peak_rss_mb=peak if usage.ru_maxrss > self._own_peak else self._sampled,
        )
