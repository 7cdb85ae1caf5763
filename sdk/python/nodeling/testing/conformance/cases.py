"""The cases as data: what is sent, what must come back, and which section of the protocol says so."""

from __future__ import annotations

import functools
import json
from dataclasses import field
from pathlib import Path
from typing import Any

from nodeling._dataclass import dataclass

__all__ = ["Case", "load_behaviours", "load_cases", "load_claims"]

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One transcript.

    `needs` are the claims without which the case says nothing. `hello` is what the handshake adds to
    its usual parameters, or False for no handshake before the steps.
    """

    id: str
    section: str
    behaviour: str
    steps: tuple[dict[str, Any], ...]
    needs: tuple[str, ...] = ()
    hello: dict[str, Any] | bool = True
    channels: tuple[str, ...] = ("fd", "stdio")
    env: dict[str, str] = field(default_factory=dict)


def load_cases() -> list[Case]:
    """Every case, in the order of its file."""
    found = []
    for path in sorted((HERE / "transcripts").glob("*.json")):
        for data in json.loads(path.read_text(encoding="utf-8")):
            lists = {name: tuple(data[name]) for name in ("steps", "needs", "channels") if name in data}
            found.append(Case(**{**data, **lists}))
    return found


@functools.cache
def load_behaviours() -> dict[str, dict[str, str]]:
    """The manifest: what the protocol asks for, by id."""
    entries = json.loads((HERE / "behaviours.json").read_text(encoding="utf-8"))
    return {entry["id"]: entry for entry in entries}


def load_claims(path: Path, variant: str) -> list[str]:
    """What a `capabilities.json` claims for one way of starting a node."""
    found: list[str] = json.loads(path.read_text(encoding="utf-8"))["variants"][variant]["claims"]
    return found
