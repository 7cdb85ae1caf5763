"""The runtime's side of the guard process: start it, ask it, hear from it.

Everything that concerns the life of a worker's process goes through here; bytes to and from a worker do
not. Invariant: every process that was asked for ends with exactly one of `refused` and `exited`, also
when the warden itself is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from nodeling._dataclass import dataclass
from nodeling_runtime.dispatch.marked import kill_marked
from nodeling_runtime.dispatch.process import Exit
from nodeling_runtime.dispatch.worker import fork_guard

PROGRAM = Path(__file__).with_name("warden_process.py")
LARGEST_REPORT = 1 << 16
CLOSE_SECONDS = 2.0  # what the warden has for taking everything along when it is told to go
_LOOK_SECONDS = 0.005
LOST_REPORT_SECONDS = 1.0  # how long an exit is waited for when no warden is left to report it


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker's process is to be."""

    program: str
    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    mark: str
    folder: str
    targets: Sequence[int]  # where the passed descriptors are to stand in the new process
    limits: Mapping[str, int] = field(default_factory=dict)
    caps: Mapping[str, float] = field(default_factory=dict)
    shelf: str | None = None  # where blobs lie; it goes with the runtime


class Listener(Protocol):
    """Whoever owns a worker's process."""

    def started(self, pid: int) -> None:
        """The process runs."""

    def refused(self, error: OSError) -> None:
        """The process could not be started."""

    def exited(self, exit: Exit, cause: str | None, measured: float) -> None:
        """The process has ended; `cause` says why the warden ended it, `measured` what was too much."""

    def gone_for_good(self) -> None:
        """Nothing that the process started is left."""


class _Ward:
    __slots__ = ("has_exited", "listener", "mark", "pid", "pidfd")

    def __init__(self, listener: Listener, mark: str) -> None:
        self.listener = listener
        self.mark = mark
        self.pid = 0
        self.pidfd = -1
        self.has_exited = False


class Warden:
    """One guard process, used from one event loop at a time."""

    def __init__(self) -> None:
        self._link: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wards: dict[int, _Ward] = {}
        self._next = 0
        self._outgoing: deque[tuple[bytes, list[int]]] = deque()
        self.has_subreaper: bool | None = None  # None until the guard process has told
        self.has_groups = False
        self.refusal: str | None = None  # why there are no groups although a folder for them was named

    @property
    def pid(self) -> int | None:
        """The guard process, when one runs."""
        return None if self._process is None else self._process.pid

    # -- one loop at a time

    def attach(self) -> None:
        """Listen on the running loop."""
        self._loop = asyncio.get_running_loop()
        if self._link is not None:
            self._loop.add_reader(self._link.fileno(), self._readable)
            if self._outgoing:
                self._loop.add_writer(self._link.fileno(), self._writable)
            self._readable()

    def detach(self) -> None:
        """Let go of the loop; reports wait until the next one."""
        if self._loop is not None and self._link is not None:
            self._loop.remove_reader(self._link.fileno())
            self._loop.remove_writer(self._link.fileno())
        self._loop = None

    async def ask(self) -> bool:
        """Whether the guard process, started now if there is none, adopts what workers leave behind.

        Raises:
            OSError: It cannot be started, or ended at once.
        """
        if self._link is None:
            self._launch()
        while self.has_subreaper is None:
            if self._link is None:
                raise OSError(errno.EPIPE, "the guard process ended")
            await asyncio.sleep(_LOOK_SECONDS)
        return self.has_subreaper

    # -- requests

    def spawn(self, start: Start, fds: Sequence[int], listener: Listener) -> int:
        """Ask for a process; the descriptors are duplicated on the way and stay the caller's.

        Raises:
            OSError: The guard process cannot be started, or the request is too large for it.
        """
        if self._link is None:
            self._launch()
        self._next += 1
        ward = _Ward(listener, start.mark)
        message = {
            "op": "spawn",
            "id": self._next,
            "program": start.program,
            "argv": list(start.argv),
            "cwd": start.cwd,
            "env": dict(start.env),
            "mark": start.mark,
            "folder": start.folder,
            "fds": list(start.targets),
            "limits": dict(start.limits),
            "caps": dict(start.caps),
            "shelf": start.shelf,
        }
        self._send(message, fds)
        self._wards[self._next] = ward
        return self._next

    def hand_over(self, id: int, listener: Listener) -> None:
        """Tell somebody else of a process from now on, and let it live as long as that one wants."""
        ward = self._wards.get(id)
        if ward is not None:
            ward.listener = listener
        self.park(id, None)

    def kill(self, id: int) -> None:
        """SIGKILL to the process and to all it started; `exited` and `gone` follow."""
        self._tell(id, op="kill")

    def terminate(self, id: int) -> None:
        """SIGTERM to the process group."""
        self._tell(id, op="term")

    def park(self, id: int, ttl: float | None) -> None:
        """Kill the process by itself after so many seconds; None takes that back."""
        self._tell(id, op="park", ttl=ttl)

    def _tell(self, id: int, **message: Any) -> None:
        if id in self._wards and self._link is not None:
            with contextlib.suppress(OSError):  # a warden that is gone is noticed by its reader
                self._send({**message, "id": id}, ())

    def _send(self, message: Mapping[str, Any], fds: Sequence[int]) -> None:
        if self._link is None:
            raise OSError(errno.EPIPE, "there is no guard process")
        data = json.dumps(message).encode()
        if self._outgoing:
            self._outgoing.append((data, [os.dup(fd) for fd in fds]))
            return
        try:
            socket.send_fds(self._link, [data], fds)
        except BlockingIOError:
            self._outgoing.append((data, [os.dup(fd) for fd in fds]))
            if self._loop is not None:
                self._loop.add_writer(self._link.fileno(), self._writable)

    def _writable(self) -> None:
        if self._link is None or self._loop is None:
            return
        while self._outgoing:
            data, fds = self._outgoing[0]
            try:
                socket.send_fds(self._link, [data], fds)
            except BlockingIOError:
                return
            except OSError:
                break
            self._forget_first()
        self._loop.remove_writer(self._link.fileno())

    def _forget_first(self) -> None:
        _, fds = self._outgoing.popleft()
        for fd in fds:
            os.close(fd)

    # -- reports

    def _readable(self) -> None:
        while self._link is not None:
            try:
                data, fds, _, _ = socket.recv_fds(self._link, LARGEST_REPORT, 4)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self._lost()
                return
            for fd in fds:
                os.set_inheritable(fd, False)
            self._report(json.loads(data), fds)

    def _report(self, message: dict[str, Any], fds: list[int]) -> None:
        event = message["event"]
        if event == "ready":
            self.has_subreaper = message["subreaper"]
            self.has_groups, self.refusal = message["groups"], message["refusal"]
            return
        ward = self._wards.get(message["id"])
        if ward is None:
            for fd in fds:
                os.close(fd)
        elif event == "started":
            ward.pid = message["pid"]
            if fds:
                ward.pidfd = fork_guard.guard(fds[0])
            ward.listener.started(ward.pid)
        elif event == "refused":
            del self._wards[message["id"]]
            ward.listener.refused(OSError(message["errno"], os.strerror(message["errno"])))
        elif event == "exit":
            self._exited(ward, message)
        elif event == "gone":
            del self._wards[message["id"]]
            ward.listener.gone_for_good()

    def _exited(self, ward: _Ward, message: Mapping[str, Any]) -> None:
        ward.has_exited = True
        if ward.pidfd >= 0:
            fork_guard.close(ward.pidfd)
            ward.pidfd = -1
        exit = Exit(message["code"], message["signal"], message["cpu_ms"], message["peak_rss_mb"])
        ward.listener.exited(exit, message["cause"], message["measured"])

    # -- the guard process

    def _launch(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            handle = os.pidfd_open(os.getpid())
        except (AttributeError, OSError):
            ours.close()
            theirs.close()
            raise
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", "-X", "utf8", str(PROGRAM), str(theirs.fileno()), str(handle)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                close_fds=True,
                pass_fds=(theirs.fileno(), handle),
                start_new_session=True,
                cwd="/",
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(handle)
        ours.setblocking(False)
        fork_guard.guard(ours.fileno())
        self._link = ours
        if self._loop is not None:
            self._loop.add_reader(ours.fileno(), self._readable)

    def _lost(self) -> None:
        """The guard process is gone: end by our own hand what it would have ended."""
        self._drop_link()
        self._reap()
        wards, self._wards = self._wards, {}
        for ward in wards.values():
            self._end_alone(ward)

    def _end_alone(self, ward: _Ward) -> None:
        if ward.pidfd >= 0:
            with contextlib.suppress(OSError):
                # While its handle answers, the leader's number cannot belong to another group.
                signal.pidfd_send_signal(ward.pidfd, 0)
                os.killpg(ward.pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(ward.pidfd, signal.SIGKILL)
            fork_guard.close(ward.pidfd)
            ward.pidfd = -1
        kill_marked(ward.mark.encode(), besides=0)
        if not ward.pid:
            ward.listener.refused(OSError(errno.EPIPE, "the guard process ended"))
            return
        if not ward.has_exited:
            ward.listener.exited(Exit(signal=signal.SIGKILL), "warden", 0.0)
        ward.listener.gone_for_good()

    def _drop_link(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        if self._loop is not None:
            self._loop.remove_reader(link.fileno())
            self._loop.remove_writer(link.fileno())
        while self._outgoing:
            self._forget_first()
        fork_guard.close(link.detach())

    def _reap(self, timeout: float = CLOSE_SECONDS) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Let the guard process go, and everything it started with it. Waits for its end."""
        self._drop_link()
        self._reap()
        wards, self._wards = self._wards, {}
        for ward in wards.values():
            if ward.pidfd >= 0:
                fork_guard.close(ward.pidfd)
                ward.pidfd = -1
