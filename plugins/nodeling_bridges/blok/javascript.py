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
# What is never closed goes on to the end, so that a text is read once whatever it holds.
_QUOTED = re.compile(
    r"""'(?:[^'\\]|\\.)*(?:'|\Z|\\\Z)|"(?:[^"\\]|\\.)*(?:"|\Z|\\\Z)|//[^\n]*|/\*.*?(?:\*/|\Z)""", re.DOTALL
)
_NUMBER = re.compile(r"\d[\w.]*")
DEEPEST = 32  # templates in templates; the runtime reads no deeper either
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
            if piece[0] in "'\"" and piece[-1] == piece[0] and "${" in piece:
                piece = "`" + piece[1:-1].replace("`", "\\`") + "`"
        elif text.startswith("${", at):
            end = _closing(text, at + 2)
            piece, at = f"({text[at + 2 : end]})" if end < len(text) else text[at:], end + 1
        else:
            piece, at = text[at], at + 1
        found.append(piece)
    return "".join(found)


def _as_it_is(root: str, members: Sequence[Member]) -> str:
    return root + "".join(member.written for member in members)


def renamed(text: str, rename: Rename, depth: int = 0) -> str:
    """A text of JavaScript, each static path from a known root given by `rename`.

    Args:
        text: The text.
        rename: Gives a path by its root and its members.
        depth: In how many templates it stands.
    """
    if depth > DEEPEST:
        return text
    found: list[str] = []
    at = 0
    while at < len(text):
        piece, at = _next(text, at, rename, _behind(found), depth)
        found.append(piece)
    return "".join(found)


def _behind(found: Sequence[str]) -> str:
    """The last character that means something, and the one before it."""
    return "".join(found[-3:]).rstrip()[-2:]


def _next(text: str, at: int, rename: Rename, before: str, depth: int) -> tuple[str, int]:
    if text[at] == "`":
        return _template(text, at, rename, depth)
    quoted = _QUOTED.match(text, at)
    if quoted:
        return quoted.group(), quoted.end()
    name = _NAME.match(text, at)
    if name is None:
        number = _NUMBER.match(text, at)
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


def _template(text: str, at: int, rename: Rename, depth: int = 0) -> tuple[str, int]:
    """A template literal, what stands in its `${…}` renamed."""
    found, at = ["`"], at + 1
    while at < len(text):
        if text[at] == "\\":
            found.append(text[at : at + 2])
            at += 2
        elif text.startswith("${", at):
            end = _closing(text, at + 2)
            inner = renamed(text[at + 2 : end], rename, depth + 1)
            found.append("${" + inner + text[end : end + 1])
            at = end + 1
        else:
            found.append(text[at])
            at += 1
            if found[-1] == "`":
                break
    return "".join(found), at


def _closing(text: str, at: int) -> int:
    """Where the brace closes that was opened before `at`; the text's end when it does not."""
    open_ = ["{"]
    while at < len(text):
        step = _step(text, at, open_)
        if not open_:
            return at
        at += step
    return len(text)


def _step(text: str, at: int, open_: list[str]) -> int:
    """How far to go on; what opens or closes here is noted in `open_`."""
    if open_[-1] == "`":
        if text.startswith("${", at):
            open_.append("{")
        elif text[at] == "`":
            open_.pop()
        return 2 if text[at] == "\\" or text.startswith("${", at) else 1
    quoted = _QUOTED.match(text, at)
    if quoted:
        return quoted.end() - at
    if text[at] in "{`":
        open_.append(text[at])
    elif text[at] == "}":
        open_.pop()
    return 1
