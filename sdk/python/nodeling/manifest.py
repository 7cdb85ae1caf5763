"""What a node's `config.json` says, as a value.

A manifest is the only thing read about a node until its first call: registering a node never
imports its code. This module turns the parsed document into a `Manifest`; whether the document
is well formed is decided first, against `schemas/node.v1.json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from nodeling._dataclass import dataclass

__all__ = ["Manifest", "RuntimeSpec", "Version", "VersionRange", "reference_parts"]

Effects = Literal["none", "idempotent", "unsafe"]
Isolation = Literal["none", "worker", "call"]
Schema = Mapping[str, Any] | bool

NAME_PATTERN = r"^@?[A-Za-z0-9][A-Za-z0-9._/-]*$"
_VERSION = re.compile(r"^(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A semantic version; a pre-release sorts before the release it leads to."""

    major: int
    minor: int = 0
    patch: int = 0
    is_release: bool = True
    pre: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read `1.2.3`, `1.2` or `1.2.3-rc.1`.

        Raises:
            ValueError: `text` is no version.
        """
        match = _VERSION.match(text)
        if match is None:
            raise ValueError(f"{text!r} is no version; write major.minor.patch, as in 1.2.0")
        major, minor, patch, pre = match.groups()
        return cls(int(major), int(minor or 0), int(patch or 0), pre is None, pre or "")

    def __str__(self) -> str:
        """`1.2.3`, or `1.2.3-rc.1`."""
        base = f"{self.major}.{self.minor}.{self.patch}"
        return base if self.is_release else f"{base}-{self.pre}"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """`*`, an exact version, `^1.2` (same major) or `~1.2` (same minor)."""

    text: str
    kind: Literal["any", "exact", "caret", "tilde"]
    base: Version | None

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Read the part of a reference behind its `@`.

        Raises:
            ValueError: `text` is no range.
        """
        if text in ("", "*", "latest"):
            return cls(text, "any", None)
        kind: Literal["exact", "caret", "tilde"] = "exact"
        body = text
        if text[0] in "^~":
            kind = "caret" if text[0] == "^" else "tilde"
            body = text[1:]
        return cls(text, kind, Version.parse(body))

    def contains(self, version: Version) -> bool:
        """Whether `version` satisfies this range; pre-releases only when named exactly."""
        if self.base is None:
            return version.is_release
        if self.kind == "exact":
            return version == self.base
        if not version.is_release or version < self.base:
            return False
        if self.kind == "tilde":
            return (version.major, version.minor) == (self.base.major, self.base.minor)
        if self.base.major:
            return version.major == self.base.major
        return version.major == 0 and version.minor == self.base.minor


def reference_parts(reference: str) -> tuple[str, str]:
    """Split `name@range`; a leading `@` belongs to the name, as in `@blok-ts/if-else`."""
    name, found, wanted = reference[1:].partition("@")
    return reference[:1] + name, wanted if found else ""


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """How a node's implementation is reached."""

    type: str = "python"
    entry: str = "node.py"  # empty: what its language takes
    command: tuple[str, ...] = ()
    protocol: Literal["exec", "nsp"] | None = None  # None: what its language takes
    channel: Literal["fd", "stdio"] | None = None
    output: Literal["json", "jsonl", "text", "none"] = "json"
    stdin: Literal["params", "json", "text", "none"] = "params"
    isolation: Isolation = "none"
    concurrency: int | None = None
    blocking: bool = True

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RuntimeSpec:
        """Read the `runtime` object of a well-formed manifest, filling in what its type implies."""
        kind = data.get("type", "python")
        in_process = kind == "python"
        return cls(
            type=kind,
            entry=data.get("entry", "node.py" if in_process else ""),
            command=tuple(data.get("command", ())),
            protocol=data.get("protocol"),
            channel=data.get("channel"),
            output=data.get("output", "json"),
            stdin=data.get("stdin", "params"),
            isolation=data.get("isolation", "none" if in_process else "worker"),
            concurrency=data.get("concurrency"),
            blocking=data.get("blocking", True),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """One node's contract: schemas, runtime, effects, what it may see."""

    name: str
    version: Version
    description: str = ""
    group: str = ""
    config: Schema = True
    inputs: Schema = True
    output: Schema = True
    runtime: RuntimeSpec = field(default_factory=RuntimeSpec)
    effects: Effects = "idempotent"
    env: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    timeout: float | str | None = None  # as it is written; the runtime reads durations
    limits: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()
    reads: tuple[str, ...] | None = None
    flow: bool = False
    aliases: tuple[str, ...] = ()

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Manifest:
        """Read a well-formed manifest document."""
        reads = data.get("reads")
        return cls(
            name=data["name"],
            version=Version.parse(data.get("version", "0.0.0")),
            description=data.get("description", ""),
            group=data.get("group", ""),
            config=data.get("config", True),
            inputs=data.get("inputs", True),
            output=data.get("output", True),
            runtime=RuntimeSpec.from_data(data.get("runtime", {})),
            effects=data.get("effects", "idempotent"),
            env=tuple(data.get("env", ())),
            secrets=tuple(data.get("secrets", ())),
            timeout=data.get("timeout"),
            limits=data.get("limits", {}),
            examples=tuple(data.get("examples", ())),
            reads=None if reads is None else tuple(reads),
            flow=data.get("flow", False),
            aliases=tuple(data.get("aliases", ())),
        )
