"""The guard process: it starts every worker, reaps it, kills it, and outlives the runtime by a moment.

It runs by itself as `python -I -S warden_process.py SOCKET_FD PIDFD`, on the standard library alone and
in one thread, so that a plain fork is safe here. It is a child subreaper: whatever a worker leaves
behind, whether it called setsid or was forked twice, becomes a child of this process and is found below
it. Invariant: when the runtime is gone, seen on its socket or on its pidfd, nothing that was ever
started here stays alive.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections import deque

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    import resource
    from typing import Any

    from nodeling_runtime.dispatch.worker.warden_group import VARIABLE, Group, delegated
    from nodeling_runtime.dispatch.worker.warden_look import (
        SAMPLE_SECONDS,
        Process,
        below,
        has_mark,
        kill_process,
        size_mb,
    )
    from nodeling_runtime.dispatch.worker.warden_start import fork_exec
else:
    # Run by itself, isolated and without site, this file's own folder is all there is of the package.
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    from warden_group import VARIABLE, Group, delegated
    from warden_look import SAMPLE_SECONDS, Process, below, has_mark, kill_process, size_mb
    from warden_start import fork_exec

PR_SET_CHILD_SUBREAPER = 36
FOLDER_SECONDS = 1.0  # how often their folders are
SWEEP_SECONDS = 0.005  # what a killed process needs to be gone, most often
LAST_SWEEP_SECONDS = 5.0  # for what SIGKILL does not end at once, when the runtime is gone
LARGEST_MESSAGE = 1 << 18
MOST_FDS = 16


class Worker:
    """A process that was started here, and what is known of its tree."""

    __slots__ = (
        "caps",
        "cause",
        "exit",
        "expires",
        "folder",
        "group",
        "id",
        "mark",
        "measured",
        "peak_mb",
        "pid",
        "snapshot",
    )

    def __init__(self, pid: int, message: dict[str, Any]) -> None:
        self.id: int = message["id"]
        self.pid = pid
        self.mark: bytes = message["mark"].encode()
        self.caps: dict[str, float] = message.get("caps", {})
        self.folder: str | None = message.get("folder")
        self.group: Group | None = None
        self.peak_mb = 0.0
        self.measured = 0.0  # what was too much
        self.snapshot: dict[int, int] = {}  # pid -> start time of every descendant seen so far and alive
        self.cause: str | None = None
        self.exit: int | None = None
        self.expires: float | None = None


class Warden:
    """The loop."""

    def __init__(self, link: socket.socket, runtime: int, groups: str | None = None) -> None:
        self.link = link
        self.groups = groups
        self.runtime = runtime
        self.workers: dict[int, Worker] = {}
        self.by_pid: dict[int, Worker] = {}
        self.outgoing: deque[tuple[bytes, int | None]] = deque()
        self.next_sample = 0.0
        self.next_folders = 0.0
        self.shelves: set[str] = set()
        self.wake, wake_end = os.pipe()
        for end in (self.wake, wake_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Serve until the runtime is gone, then take everything along."""
        poll = select.poll()
        poll.register(self.runtime, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        while True:
            poll.register(self.link, select.POLLIN | (select.POLLOUT if self.outgoing else 0))
            ready = dict(poll.poll(self.pause()))
            if self.runtime in ready:
                return
            if self.link.fileno() in ready and not self.talk(ready[self.link.fileno()]):
                return
            if self.wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wake, 4 * 1024)
            self.reap()
            self.look()

    def pause(self) -> float | None:
        """Milliseconds until there is something to look at unasked."""
        if any(worker.exit is not None or worker.cause for worker in self.workers.values()):
            return SWEEP_SECONDS * 1000
        if not self.workers:
            return None
        return max(0.0, self.next_sample - time.monotonic()) * 1000

    # -- the runtime

    def talk(self, happened: int) -> bool:
        """Take what the runtime says. False when it is gone."""
        if happened & select.POLLIN:
            try:
                data, fds, _, _ = socket.recv_fds(self.link, LARGEST_MESSAGE, MOST_FDS)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            for fd in fds:
                os.set_inheritable(fd, False)
            self.obey(json.loads(data), fds)
        elif happened & (select.POLLHUP | select.POLLERR):
            return False
        return self.flush()

    def obey(self, message: dict[str, Any], fds: list[int]) -> None:
        """One request."""
        operation = message["op"]
        if operation == "spawn":
            self.spawn(message, fds)
            return
        worker = self.workers.get(message["id"])
        if worker is None:
            return
        if operation == "kill":
            worker.cause = worker.cause or message.get("cause") or "kill"
            self.kill(worker)
        elif operation == "term" and worker.exit is None:
            with contextlib.suppress(OSError):
                os.killpg(worker.pid, signal.SIGTERM)
        elif operation == "park":
            ttl = message["ttl"]
            worker.expires = None if ttl is None else time.monotonic() + ttl

    def say(self, fd: int | None = None, **message: Any) -> None:
        """One report; a passed descriptor is closed here once it is sent."""
        self.outgoing.append((json.dumps(message).encode(), fd))
        self.flush()

    def flush(self) -> bool:
        """Send what is due. False when nobody is there to take it."""
        while self.outgoing:
            data, fd = self.outgoing[0]
            try:
                if fd is None:
                    self.link.send(data)
                else:
                    socket.send_fds(self.link, [data], [fd])
            except BlockingIOError:
                return True
            except OSError:
                return False
            self.outgoing.popleft()
            if fd is not None:
                os.close(fd)
        return True

    # -- starting

    def spawn(self, message: dict[str, Any], fds: list[int]) -> None:
        """Start a worker, or say why not."""
        group = self.group_for(message)
        try:
            pid = fork_exec(message, fds)
        except OSError as error:
            if group is not None:
                group.remove()
            self.say(event="refused", id=message["id"], errno=error.errno)
            return
        finally:
            for fd in fds:
                os.close(fd)
        worker = Worker(pid, message)
        worker.group = group
        if message.get("shelf"):
            self.shelves.add(message["shelf"])
        self.workers[worker.id] = self.by_pid[pid] = worker
        try:
            handle = os.pidfd_open(pid)
        except (AttributeError, OSError):
            handle = None
        self.say(handle, event="started", id=worker.id, pid=pid)

    def group_for(self, message: dict[str, Any]) -> Group | None:
        """A group for the process that is about to be started, where that can be."""
        if self.groups is None:
            return None
        try:
            group = Group(self.groups, message["mark"].rpartition(".")[2])
        except OSError:  # there may be a bound on groups; then it is ended by looking, like everywhere
            return None
        group.limit(message.get("caps", {}))
        message["group"] = group.door
        return group

    # -- ends

    def reap(self) -> None:
        """Take every exit status there is; the workers' are reported."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self.by_pid.pop(pid, None)
            if worker is not None:
                worker.exit = status
                self.report(worker, status, usage)

    def report(self, worker: Worker, status: int, usage: resource.struct_rusage) -> None:
        """Tell how a worker ended."""
        code = os.waitstatus_to_exitcode(status)
        peak = None if worker.group is None or worker.cause else worker.group.ran_out_of_memory()
        if peak is not None:
            worker.cause, worker.measured = "memory_mb", peak
        self.say(
            event="exit",
            id=worker.id,
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cpu_ms=(usage.ru_utime + usage.ru_stime) * 1000,
            peak_rss_mb=max(worker.peak_mb, usage.ru_maxrss / 1024),
            measured=worker.measured,
            cause=worker.cause,
        )

    def kill(self, worker: Worker) -> bool:
        """SIGKILL to everything that belongs to a worker. Whether there was anything."""
        table = below(os.getpid())
        self.remember(worker, table)
        if worker.exit is None:
            with contextlib.suppress(OSError):
                os.killpg(worker.pid, signal.SIGKILL)
        found = [process for process in table.values() if self.belongs(process, worker)]
        for process in found:
            kill_process(process)
        if worker.group is not None:
            worker.group.kill()
            return bool(found) or worker.group.has_anybody()
        return bool(found)

    def belongs(self, process: Process, worker: Worker) -> bool:
        """Whether a process that is not this one's own worker is part of a worker's tree."""
        if process.state == b"Z" or (process.pid in self.by_pid and process.pid != worker.pid):
            return False
        return (
            process.pid == worker.pid
            or process.session == worker.pid
            or worker.snapshot.get(process.pid) == process.started
            or has_mark(process.pid, worker.mark)
        )

    def remember(self, worker: Worker, table: dict[int, Process]) -> float:
        """Note a worker's descendants. Gives the memory of them all."""
        inside = {worker.pid}
        memory = 0.0
        known = worker.snapshot
        kept: dict[int, int] = {}
        for process in table.values():  # parents come before their children
            if (
                process.pid == worker.pid
                or process.ppid in inside
                or known.get(process.pid) == process.started
            ):
                inside.add(process.pid)
                kept[process.pid] = process.started
                memory += process.rss_mb
        worker.snapshot = kept
        return memory

    # -- looking

    def look(self) -> None:
        """Sweep behind workers that ended, and measure the others now and then."""
        for worker in [w for w in self.workers.values() if w.exit is not None or w.cause]:
            if not self.kill(worker) and worker.exit is not None:
                del self.workers[worker.id]
                if worker.group is not None:
                    worker.group.remove()
                self.say(event="gone", id=worker.id)
        now = time.monotonic()
        if not self.workers or now < self.next_sample:
            return
        self.next_sample = now + SAMPLE_SECONDS
        table = below(os.getpid())
        folders = now >= self.next_folders
        if folders:
            self.next_folders = now + FOLDER_SECONDS
        for worker in self.workers.values():
            memory = self.remember(worker, table)
            worker.peak_mb = max(worker.peak_mb, memory)
            used = {"memory_mb": memory, "processes": float(len(worker.snapshot))}
            if folders and worker.folder:
                used["disk_mb"] = size_mb(worker.folder)
            self.hold(worker, used, now)

    def hold(self, worker: Worker, used: dict[str, float], now: float) -> None:
        """Doom a worker that uses more than it may, or that nobody fetched in time."""
        if worker.cause:
            return
        for name, most in worker.caps.items():
            if used.get(name, 0.0) > most:
                worker.cause, worker.measured = name, used[name]
                return
        if worker.expires is not None and now > worker.expires:
            worker.cause = "idle"

    def take_all_along(self) -> None:
        """Kill whatever lives below this process, until nothing does."""
        for worker in self.by_pid.values():
            with contextlib.suppress(OSError):
                os.killpg(worker.pid, signal.SIGKILL)
        groups = [worker.group for worker in self.workers.values() if worker.group is not None]
        for group in groups:
            group.kill()
        self.wait_for_the_last()
        for group in groups:
            group.remove()
        folders = [worker.folder for worker in self.workers.values() if worker.folder]
        if folders or self.shelves:
            import shutil

            for folder in [*folders, *filter(is_abandoned, self.shelves)]:
                shutil.rmtree(folder, ignore_errors=True)

    def wait_for_the_last(self) -> None:
        """Kill and reap until there is no descendant."""
        end = time.monotonic() + LAST_SWEEP_SECONDS
        while time.monotonic() < end:
            for process in below(os.getpid()).values():
                kill_process(process)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            time.sleep(SWEEP_SECONDS)


def is_abandoned(shelf: str) -> bool:
    """Whether the runtime that kept its blobs in this folder is gone: it locks the folder while it lives."""
    import fcntl

    try:
        lock = os.open(os.path.join(shelf, ".lock"), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(lock)


def become_subreaper() -> bool:
    """Adopt what the descendants leave behind. False where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def main() -> None:
    """Run until the runtime is gone."""
    link = socket.socket(fileno=int(sys.argv[1]))
    runtime = int(sys.argv[2])
    for fd in (link.fileno(), runtime):
        os.set_inheritable(fd, False)
    link.setblocking(False)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)
    is_subreaper = become_subreaper()
    groups, refusal = delegated(os.environ.get(VARIABLE))
    warden = Warden(link, runtime, groups)
    warden.say(
        event="ready", pid=os.getpid(), subreaper=is_subreaper, groups=groups is not None, refusal=refusal
    )
    try:
        warden.run()
    finally:
        warden.take_all_along()


if __name__ == "__main__":
    main()
