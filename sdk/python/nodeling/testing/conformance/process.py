"""A program under judgement: raw pipes, a thread on each, nothing shared with the host's code."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence

__all__ = ["END", "Subject"]

END = None  # in the queue of lines: the channel has ended
EXIT_SECONDS = 3.0  # between SIGKILL and the end of the process


class Subject:
    """One process, its channel lines in a queue, its logs in a list."""

    def __init__(self, command: Sequence[str], channel: str, env: Mapping[str, str], cwd: str | None) -> None:
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.logs = bytearray()
        self._logged = threading.Condition()
        full = {**env, "NODELING": "1"}
        pipes: list[int] = []
        if channel == "fd":
            to_read, self._write_fd = os.pipe()
            self._read_fd, to_write = os.pipe()
            pipes = [to_read, to_write]
            full["NODELING_FDS"] = f"{to_read},{to_write}"
        self.process = subprocess.Popen(  # noqa: S603  # judging a command means running it
            list(command),
            stdin=subprocess.DEVNULL if pipes else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=full,
            cwd=cwd,
            pass_fds=pipes,
            start_new_session=True,
        )
        for descriptor in pipes:
            os.close(descriptor)
        assert self.process.stdout and self.process.stderr  # noqa: S101  # both were asked for
        if not pipes:
            assert self.process.stdin  # noqa: S101  # likewise
            self._write_fd = os.dup(self.process.stdin.fileno())
            self.process.stdin.close()
            self._read_fd = os.dup(self.process.stdout.fileno())
        self._read = [os.dup(self.process.stderr.fileno())]
        if pipes:
            self._read.append(os.dup(self.process.stdout.fileno()))
        self.process.stdout.close()
        self.process.stderr.close()
        self._threads = [threading.Thread(target=self._drain, args=(fd,), daemon=True) for fd in self._read]
        self._threads.append(threading.Thread(target=self._receive, daemon=True))
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes, split: int = 0) -> None:
        """Write all of it, in pieces of `split` bytes when asked; a program that is gone reads nothing."""
        step = split or len(data) or 1
        for start in range(0, len(data), step):
            rest = memoryview(data)[start : start + step]
            while rest:
                try:
                    rest = rest[os.write(self._write_fd, rest) :]
                except OSError:
                    return

    def close(self) -> None:
        """End the channel towards the program."""
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def exit_code(self, seconds: float) -> int | None:
        """How the process ended within the time; None when it did not."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def logged(self, text: bytes, seconds: float) -> bool:
        """Whether the text comes in the logs within the time."""
        with self._logged:
            return self._logged.wait_for(lambda: text in self.logs, seconds)

    def log(self, data: bytes) -> None:
        """Keep what the program said outside the channel."""
        with self._logged:
            self.logs += data
            self._logged.notify_all()

    def end(self) -> None:
        """Kill what is left of the program and let go of its pipes."""
        self.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(EXIT_SECONDS)
        deadline = time.monotonic() + EXIT_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _drain(self, descriptor: int) -> None:
        while True:
            data = _read(descriptor)
            if not data:
                os.close(descriptor)
                return
            self.log(data)

    def _receive(self) -> None:
        parts: list[bytes] = []
        while True:
            data = _read(self._read_fd)
            if not data:
                break
            *whole, rest = data.split(b"\n")
            for piece in whole:
                parts.append(piece)
                self.lines.put(b"".join(parts))
                parts = []
            if rest:
                parts.append(rest)
        os.close(self._read_fd)
        if parts:
            self.lines.put(b"".join(parts))
        self.lines.put(END)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
