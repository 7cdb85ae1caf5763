"""Counting who is inside a node, from inside the nodes: the judge of every bound and every peak.

`Probe` counts coroutines and threads of this process. `SharedProbe` counts processes too: its figures
are files under a lock, which bash children take with `flock`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any


class Probe:
    """Counts entries; `peak` is the most that were inside at one instant."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside = 0
        self.peak = 0
        self.entries = 0

    def enter(self) -> None:
        with self._lock:
            self.inside += 1
            self.entries += 1
            self.peak = max(self.peak, self.inside)

    def leave(self) -> None:
        with self._lock:
            self.inside -= 1

    def __enter__(self) -> Probe:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


class SharedProbe:
    """The same across processes. Who is killed inside never leaves, so read `peak`, not `inside`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("inside", "peak", "entries"):
            (folder / name).write_text("0", encoding="ascii")
        (folder / "lock").touch()

    def _read(self, name: str) -> int:
        return int((self.folder / name).read_text(encoding="ascii") or "0")

    @property
    def inside(self) -> int:
        return self._read("inside")

    @property
    def peak(self) -> int:
        return self._read("peak")

    @property
    def entries(self) -> int:
        return self._read("entries")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self.folder / "lock", os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _add(self, step: int) -> None:
        with self._locked():
            inside = self._read("inside") + step
            (self.folder / "inside").write_text(str(inside), encoding="ascii")
            if step > 0:
                (self.folder / "entries").write_text(str(self._read("entries") + 1), encoding="ascii")
                (self.folder / "peak").write_text(str(max(self._read("peak"), inside)), encoding="ascii")

    def __enter__(self) -> SharedProbe:
        self._add(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._add(-1)

    def bash(self, body: str) -> str:
        """A script that runs `body` inside the probe."""
        return f"""
cd_probe={shlex.quote(str(self.folder))}
count() {{
  exec 9<>"$cd_probe/lock"
  flock 9
  local inside=$(( $(<"$cd_probe/inside") + $1 ))
  printf %s "$inside" > "$cd_probe/inside"
  if (( $1 > 0 )); then
    printf %s $(( $(<"$cd_probe/entries") + 1 )) > "$cd_probe/entries"
    if (( inside > $(<"$cd_probe/peak") )); then printf %s "$inside" > "$cd_probe/peak"; fi
  fi
  exec 9>&-
}}
count 1
{body}
count -1
"""


def write_node(folder: Path, name: str, files: dict[str, str], **manifest: Any) -> Path:
    """Write a node's folder under `folder` and return it."""
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    body = {"name": name, **manifest}
    (home / "config.json").write_text(json.dumps(body), encoding="utf-8")
    for file, text in files.items():
        (home / file).write_text(text, encoding="utf-8")
    return home


def bash_node(folder: Path, name: str, script: str, **manifest: Any) -> Path:
    """Write a node that is a bash script."""
    runtime = {"type": "runtime.bash", **manifest.pop("runtime", {})}
    return write_node(folder, name, {"node.sh": script}, runtime=runtime, **manifest)


def python_node(folder: Path, name: str, code: str, **manifest: Any) -> Path:
    """Write a node that is a Python file."""
    return write_node(folder, name, {"node.py": code}, **manifest)
