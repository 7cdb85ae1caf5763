"""A PostgreSQL server of the tests' own: made once, on loopback, by a user who is not root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from programs import miss

TOOLS = ("initdb", "pg_ctl")
PATIENCE = 120.0


def tool(name: str) -> str | None:
    """A program of the server, which Debian keeps off PATH."""
    found = shutil.which(name)
    if found is None:
        kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        found = str(kept[-1]) if kept else None
    return found


class Server:
    """One server, which tests may stop and start."""

    def __init__(self, programs: dict[str, str]) -> None:
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="nodeling-pg-"))
        self._data = self.folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        as_other: dict[str, Any] = {}
        if os.getuid() == 0:
            as_other = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.folder, "nobody")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C"}
        self._options: dict[str, Any] = {
            "check": True,
            "capture_output": True,
            "timeout": PATIENCE,
            "cwd": self.folder,
            "env": environment,
            **as_other,
        }

    @property
    def url(self) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Make the cluster."""
        names = ["-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([self._programs["initdb"], "-D", self._data, *names], **self._options)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
            " -c fsync=off -c max_connections=200 -c shared_buffers=32MB"
        )
        log = ["-l", str(self.folder / "log")]
        self._control("-o", settings, *log, "start")

    def stop(self, how: str = "immediate") -> None:
        """End it: `immediate` is a crash."""
        self._control("-m", how, "stop")

    def close(self) -> None:
        """Take it away."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, *args: str) -> None:
        subprocess.run([self._programs["pg_ctl"], "-D", self._data, "-w", *args], **self._options)


def serve() -> Server:
    """A running server; without its programs the test is skipped, or fails where they are required."""
    found = {name: tool(name) for name in TOOLS}
    programs = {name: path for name, path in found.items() if path is not None}
    if len(programs) < len(TOOLS):
        miss("postgres", "PostgreSQL's initdb and pg_ctl are not here")
    server = Server(programs)
    try:
        server.make()
        server.start()
    except BaseException:
        shutil.rmtree(server.folder, ignore_errors=True)
        raise
    return server
