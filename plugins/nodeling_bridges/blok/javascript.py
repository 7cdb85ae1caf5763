"""JavaScript of Blok's documents with the names that it has here; its meaning is the runtime's to keep.

Only static paths from `ctx`, `vars` and `process.env` are looked at: `ctx.state.a`, `ctx.req`, `ctx.prev`
and `process.env.A` have other names here, and so has what a loop gave. Texts, comments and everything else
pass as they are, and what cannot be expressed is refused by the runtime, which names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Member", "renamed", "resolved"]

_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_MEMBER = re.compile(
    r"""\s*(?:(?P<dot>\?\.|\.)\s*(?P<name>[A-Za-z_$][\w$]*)"""
    r"""|(?:\?\.)?\[\s*(?:(?P<quote>['"])(?P<text>[^'"\\]*)(?P=quote)|(?P<index>\d+))\s*\])"""
)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/""", re.DOTALL)
_ROOTS = frozenset({"ctx", "vars", "process"})


@dataclass(frozen=True, slots=True)
class Member:
    """One step of a path: `.name`, `['name']` or `[0]`, and how it is written."""

    key: str | int
    written: str


Rename = Callable[[str, Sequence[Member]], str]


def resolved(text: str) -> str:
    """JavaScript as Blok's mapper means it: every `${…}` is filled in, in quotes and in the open too."""
    found, at = [], 0
    while at < len(text):
        quoted = _QUOTED.match(text, at)
        if text[at] == "`":
            piece, at = _template(text, at, _as_it_is)
        elif quoted:
            piece, at = quoted.group(), quoted.end()
            if piece[0] in "'\"" and "${" in piece:
                piece = "`" + piece[1:-1].replace("`", "\\`") + "`"
        elif text.startswith("${", at):
            end = _closing(text, at + 2)
            piece, at = f"({text[at + 2 : end]})", end + 1
        else:
            piece, at = text[at], at + 1
        found.append(piece)
    return "".join(found)


def _as_it_is(root: str, members: Sequence[Member]) -> str:
    return root + "".join(member.written for member in members)


def renamed(text: str, rename: Rename) -> str:
    """A text of JavaScript, each static path from a known root given by `rename`."""
    found: list[str] = []
    at = 0
    while at < len(text):
        piece, at = _next(text, at, rename, _behind(found))
        found.append(piece)
    return "".join(found)


def _behind(found: Sequence[str]) -> str:
    """The last character that means something, and the one before it."""
    return "".join(found[-3:]).rstrip()[-2:]


def _next(text: str, at: int, rename: Rename, before: str) -> tuple[str, int]:
    if text[at] == "`":
        return _template(text, at, rename)
    quoted = _QUOTED.match(text, at)
    if quoted:
        return quoted.group(), quoted.end()
    name = _NAME.match(text, at)
    if name is None:
        number = re.compile(r"\d[\w.]*").match(text, at)
        return (number.group(), number.end()) if number else (text[at], at + 1)
    is_member = before.endswith(".") and before != ".."
    if name.group() not in _ROOTS or is_member:
        return name.group(), name.end()
    members, end = _members(text, name.end())
    return rename(name.group(), members), end


def _members(text: str, at: int) -> tuple[list[Member], int]:
    members: list[Member] = []
    while True:
        match = _MEMBER.match(text, at)
        if match is None:
            return members, at
        key: str | int = match["name"] or match["text"] or ""
        if match["index"] is not None:
            key = int(match["index"])
        members.append(Member(key, match.group()))
        at = match.end()


def _template(text: str, at: int, rename: Rename) -> tuple[str, int]:
    """A template literal, what stands in its `${…}` renamed."""
    found, at = ["`"], at + 1
    while at < len(text):
        if text[at] == "\\":
            found.append(text[at : at + 2])
            at += 2
        elif text.startswith("${", at):
            end = _closing(text, at + 2)
            found.append("${" + renamed(text[at + 2 : end], rename) + text[end : end + 1])
            at = end + 1
        else:
            found.append(text[at])
            at += 1
            if found[-1] == "`":
                break
    return "".join(found), at


def _closing(text: str, at: int) -> int:
    """Where the brace closes that was opened before `at`."""
    open_ = 1
    while at < len(text):
        quoted = _QUOTED.match(text, at)
        if quoted:
            at = quoted.end()
            continue
        if text[at] == "`":
            _, at = _template(text, at, _as_it_is)
            continue
        open_ += {"{": 1, "}": -1}.get(text[at], 0)
        if open_ == 0:
            return at
        at += 1
    return at
