"""From text to tokens: numbers, texts, names, variables, operators; comments go."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nodeling_bridges.powercenter.language.syntax import SyntaxFault

MOST_CHARACTERS = 32_767  # what an expression may have in the tool itself

_PATTERN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<text>'(?:[^']|'')*')
  | (?P<mapping>\$\$[A-Za-z_][\w]*)
  | (?P<variable>\$[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)?)
  | (?P<name>:?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)
  | (?P<operator><>|!=|\^=|<=|>=|\|\||[=<>+\-*/%(),])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `kind` is one of the groups above, or `end`."""

    kind: str
    text: str
    position: int


def tokens_of(text: str) -> list[Token]:
    """The tokens of an expression, ending in one of kind `end`.

    Raises:
        SyntaxFault: A character or an unclosed text belongs to no token, or the text is too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise SyntaxFault(f"the expression has more than {MOST_CHARACTERS:,} characters", MOST_CHARACTERS)
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _PATTERN.match(text, position)
        if match is None:
            if text[position] == "'":
                raise SyntaxFault("the text that begins here is not closed", position, "end it with '")
            raise SyntaxFault(f"{text[position]!r} does not belong here", position)
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(Token(kind, match.group(), position))
        position = match.end()
    found.append(Token("end", "", len(text)))
    return found
