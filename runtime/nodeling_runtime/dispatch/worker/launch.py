"""What is known of a worker before it runs: its command, its channel, its environment, its limits.

Invariant: two launches are equal exactly when a process of the one may serve a call of the other.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from nodeling._dataclass import dataclass
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.folders import WorkerFolders
from nodeling_runtime.dispatch.worker.warden import Start

MARK_VARIABLE = "NODELING_WORKER"
_DATA_LIMIT_FACTOR = 16  # the kernel's limit is a backstop: measuring decides, and says so properly
_LEAST_DATA_LIMIT = 4 * 1024


@dataclass(frozen=True, slots=True)
class Launch:
    """How processes of one node, in one environment, are started."""

    name: str
    program: str
    argv: tuple[str, ...]
    cwd: str
    channel: Literal["fd", "stdio"]
    env: tuple[tuple[str, str], ...] = ()
    memory_mb: float | None = None
    processes: int | None = None
    disk_mb: float | None = None
    concurrency: int | None = None
    is_patient: bool = False  # it runs nothing of the node before it is sent a frame
    stamp: tuple[tuple[str, int], ...] = field(default=(), repr=False)  # the node's files, as they are now

    def start(self, folders: WorkerFolders, bounds: Bounds) -> Start:
        """One process."""
        mark = secrets.token_hex(12)
        caps = self.caps(bounds)
        limits = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": bounds.open_files}
        limits["RLIMIT_FSIZE"] = int(caps["disk_mb"] * 1024 * 1024)
        if self.memory_mb is not None:
            most = max(_LEAST_DATA_LIMIT, self.memory_mb * _DATA_LIMIT_FACTOR)
            limits["RLIMIT_DATA"] = int(most * 1024 * 1024)
        return Start(
            program=self.program,
            argv=self.argv,
            cwd=self.cwd,
            env=self._environment(folders, mark),
            mark=mark,
            folder=folders.root,
            shelf=os.path.dirname(folders.blobs.path),
            targets=(0, 1, 2, 3, 4) if self.channel == "fd" else (0, 1, 2),
            limits=limits,
            caps=caps,
        )

    def caps(self, bounds: Bounds) -> dict[str, float]:
        """What the warden holds the process and all it started to."""
        found: dict[str, float] = {
            "processes": self.processes or bounds.processes,
            "disk_mb": self.disk_mb or bounds.disk_mb,
        }
        return found if self.memory_mb is None else {"memory_mb": self.memory_mb, **found}

    def _environment(self, folders: WorkerFolders, mark: str) -> dict[str, str]:
        host: Mapping[str, str] = os.environ
        outer = host.get(MARK_VARIABLE)
        env = {
            "PATH": host.get("PATH", os.defpath),
            "HOME": folders.home,
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TZ": host.get("TZ", "UTC"),
            "TMPDIR": folders.tmp,
            "PYTHONUTF8": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONSAFEPATH": "1",
            "NO_COLOR": "1",
            **dict(self.env),
            "NODELING": "1",
            # A runtime inside a worker of another one stays findable by the outer one's mark.
            MARK_VARIABLE: f"{outer}.{mark}" if outer else mark,
        }
        if self.channel == "fd":
            env["NODELING_FDS"] = "3,4"
        return env
