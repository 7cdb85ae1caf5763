"""A control group (version 2) for each worker, below a folder that was delegated to this user.

Nobody leaves a group by forking or by clearing an environment, so its kill leaves nobody out. Where the
folder's controllers are enabled the kernel holds the memory, and what is measured besides stays as it is.
Invariant: a group is removed when nobody is in it, and none is made where no folder is named.
"""

from __future__ import annotations

import contextlib
import os

VARIABLE = "NODELING_CGROUP"  # names the folder
_MIB = 1024 * 1024
# It counts threads too and makes a fork fail, so it is a backstop far above what is measured.
_PIDS_FACTOR = 16
_LEAST_PIDS = 4 * 1024


class Group:
    """The group of one worker."""

    __slots__ = ("path",)

    def __init__(self, folder: str, name: str) -> None:
        self.path = os.path.join(folder, f"nodeling-{name}")
        os.mkdir(self.path)

    def limit(self, caps: dict[str, float]) -> None:
        """Let the kernel hold what it can; a controller that is not enabled has no file here."""
        if "memory_mb" in caps:
            self._write("memory.max", str(int(caps["memory_mb"] * _MIB)))
            self._write("memory.swap.max", "0")
            self._write("memory.oom.group", "1")
        if "processes" in caps:
            self._write("pids.max", str(max(_LEAST_PIDS, int(caps["processes"]) * _PIDS_FACTOR)))

    @property
    def door(self) -> str:
        """The file by which a process enters."""
        return os.path.join(self.path, "cgroup.procs")

    def kill(self) -> None:
        """SIGKILL to everybody inside, at one moment."""
        self._write("cgroup.kill", "1")

    def has_anybody(self) -> bool:
        """Whether a process is inside."""
        return b"populated 1" in self._read("cgroup.events")

    def ran_out_of_memory(self) -> float | None:
        """The peak in MiB, when the kernel killed for memory."""
        for line in self._read("memory.events").splitlines():
            name, _, count = line.partition(b" ")
            if name == b"oom_kill" and count.strip().isdigit() and int(count):
                peak = self._read("memory.peak").strip() or self._read("memory.max").strip()
                return int(peak) / _MIB if peak.isdigit() else 0.0
        return None

    def remove(self) -> None:
        """Remove the group; the groups that a worker made inside go first."""
        for parent, _, _ in os.walk(self.path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(parent)

    def _write(self, name: str, text: str) -> None:
        with contextlib.suppress(OSError), open(os.path.join(self.path, name), "w", encoding="ascii") as file:
            file.write(text)

    def _read(self, name: str) -> bytes:
        try:
            with open(os.path.join(self.path, name), "rb") as file:
                return file.read()
        except OSError:
            return b""


def delegated(folder: str | None) -> tuple[str | None, str | None]:
    """The folder to make groups in, and why there is none although one was named."""
    if not folder:
        return None, None
    if not os.path.isfile(os.path.join(folder, "cgroup.kill")) and not os.path.isfile(
        os.path.join(folder, "cgroup.subtree_control")
    ):
        return None, f"{folder} is no folder of control groups, version 2"
    try:
        trial = Group(folder, f"trial-{os.getpid()}")
    except OSError as error:
        return None, f"no group can be made in {folder}: {error.strerror}"
    has_kill = os.path.isfile(os.path.join(trial.path, "cgroup.kill"))
    can_enter = _can_enter(trial)
    trial.remove()
    if not has_kill:
        return None, f"the kernel is too old to kill a group of {folder} as a whole"
    if not can_enter:
        return None, f"no process may be moved from here into a group of {folder}"
    # Refused where processes stand in the folder itself, or the controllers are not ours: then we measure.
    with (
        contextlib.suppress(OSError),
        open(os.path.join(folder, "cgroup.subtree_control"), "w", encoding="ascii") as file,
    ):
        file.write("+memory +pids")
    return folder, None


def _can_enter(group: Group) -> bool:
    """Whether a process that is started here may be put into a group; tried with one."""
    pid = os.fork()
    if pid == 0:
        try:
            with open(group.door, "w", encoding="ascii") as door:
                door.write("0")
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0
