"""What a program says of itself: whether it knows the handshake, its name, its features.

Without a `capabilities.json` these are its claims; a program that denies the handshake is a level-1
node, which is as good as any.
"""

from __future__ import annotations

import json
import os
import queue
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nodeling._dataclass import dataclass
from nodeling.testing.conformance.process import Subject

__all__ = ["Discovered", "discover", "environment"]

STARTUP_SECONDS = 30.0
UNKNOWN_METHOD = -32601
# What can be judged on any node; whether it logs, streams or passes blobs on takes a kitchen sink to see.
FEATURES = ("cancel", "drain", "ping")
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "TMPDIR")


@dataclass(frozen=True)
class Discovered:
    """What the handshake told, or why there was none."""

    claims: tuple[str, ...] = ()
    node: str = "kitchen-sink"
    problem: str = ""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which programs are judged: little of ours, and what is asked for."""
    return {**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, **(more or {})}


def discover(command: Sequence[str], channel: str, env: Mapping[str, str], cwd: str | None) -> Discovered:
    """Start a program once and ask it."""
    try:
        subject = Subject(command, channel, env, cwd)
    except OSError as error:
        return Discovered(problem=f"{command[0]} does not start: {error.strerror}")
    try:
        params = {"protocol": [1], "host": {"name": "conformance", "version": "1"}, "features": _ALL}
        frame = {"jsonrpc": "2.0", "id": 1, "method": "node/hello", "params": params}
        subject.write(json.dumps(frame).encode() + b"\n")
        return _told(_answer(subject), subject, channel)
    finally:
        subject.end()


_ALL = ["blob", "cancel", "credit", "drain", "log", "ping", "progress", "stream"]


def _answer(subject: Subject) -> dict[str, Any] | None:
    """The frame that answers the handshake; None when none comes in time."""
    due = time.monotonic() + STARTUP_SECONDS
    while (left := due - time.monotonic()) > 0:
        try:
            line = subject.lines.get(timeout=left)
        except queue.Empty:
            return None
        if line is None:
            return None
        try:
            frame = json.loads(line)
        except ValueError:
            continue  # what it printed; the cases judge whether it may
        if isinstance(frame, dict) and frame.get("id") == 1 and "method" not in frame:
            return frame
    return None


def _told(frame: dict[str, Any] | None, subject: Subject, channel: str) -> Discovered:
    if frame is None:
        code = subject.exit_code(0.5)
        ending = f"it did not answer in {STARTUP_SECONDS:g} s" if code is None else f"it exited with {code}"
        tail = bytes(subject.logs[-2000:]).decode("utf-8", "backslashreplace").strip()
        said = f"; it said: {tail.splitlines()[-1]}" if tail else ""
        return Discovered(problem=f"no answer to node/hello on the channel {channel}: {ending}{said}")
    error, result = frame.get("error"), frame.get("result")
    if isinstance(error, dict) and error.get("code") == UNKNOWN_METHOD:
        return Discovered(("L1", "L1-only"))
    if not isinstance(result, dict):
        return Discovered(problem=f"node/hello was answered with {json.dumps(frame)[:300]}")
    node = result.get("node")
    name = node.get("name") if isinstance(node, dict) else None
    features = result.get("features")
    known = [one for one in features if one in FEATURES] if isinstance(features, list) else []
    return Discovered(("L1", "L2", *known), name if isinstance(name, str) else "kitchen-sink")
