"""From a transcript's notation to bytes and values.

An object with one key that begins with `$` stands for a value that would be too long to write down:
`{"$text": ["x", 1000]}`, `{"$nest": 64}`, `{"$now": -5000}`, `{"$dir": "blobs"}`; `{"$probe": true}` is an
input that the program at hand may be given. The texts `$n` and `$n+K` stand for the number of the repetition.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

__all__ = ["Names", "build", "frame_bytes"]

_COUNT = re.compile(r"^\$n(?:\+(\d+))?$")


class Names:
    """What the notation may refer to in one case."""

    def __init__(self, folders: dict[str, str], probe: Any = None) -> None:
        self.folders = folders
        self.n = 0
        self.probe = probe


def build(value: Any, names: Names) -> Any:
    """The value that a notation stands for."""
    if isinstance(value, str):
        match = _COUNT.match(value)
        return names.n + int(match.group(1) or 0) if match else value
    if isinstance(value, list):
        return [build(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, given) = next(iter(value.items()))
        if key == "$text":
            return given[0] * given[1]
        if key == "$nest":
            return nested(given)
        if key == "$now":
            return int(time.time() * 1000) + given
        if key == "$probe":
            return {} if names.probe is None else names.probe
        if key == "$dir":
            return names.folders[given]
    return {key: build(item, names) for key, item in value.items()}


def nested(depth: int) -> list[Any]:
    """So many lists, one in the other."""
    found: list[Any] = []
    for _ in range(depth - 1):
        found = [found]
    return found


def frame_bytes(step: dict[str, Any], names: Names) -> bytes:
    """What a `send` step writes."""
    if "send_hex" in step:
        return bytes.fromhex(step["send_hex"])
    if "send_text" in step:
        return str(step["send_text"]).encode("utf-8", "surrogatepass")
    frames = step["send"] if isinstance(step["send"], list) else [step["send"]]
    end = step.get("eol", "\n").encode()
    return b"".join(_one(frame, step, names) + end for frame in frames)


def _one(frame: dict[str, Any], step: dict[str, Any], names: Names) -> bytes:
    built = build(frame, names)
    if step.get("order") == "reverse":
        built = dict(reversed(built.items()))
    data = _dump(built, step)
    if "pad_to" in step:
        built["params"]["input"]["value"] += "x" * (step["pad_to"] - len(data))
        data = _dump(built, step)
    return data


def _dump(value: Any, step: dict[str, Any]) -> bytes:
    escaped = bool(step.get("escaped", False))
    return json.dumps(value, ensure_ascii=escaped, separators=(",", ":")).encode("utf-8", "surrogatepass")
