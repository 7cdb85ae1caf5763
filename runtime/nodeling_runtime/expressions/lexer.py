"""Text to tokens. One pass, no backtracking, a bound on length and on the number of tokens.

The lexer also finds where a `${…}` ends: strings and braces inside the expression are tokens, so a `}` in a
text or in a map literal never closes it by accident.
"""

from __future__ import annotations

import re
from typing import Literal

from nodeling._dataclass import dataclass
from nodeling_runtime.expressions.budget import MAX_INTEGER, MAX_SOURCE, MAX_TOKENS
from nodeling_runtime.expressions.errors import ExpressionError, syntax_error

__all__ = ["Token", "find_end", "tokenize", "unescape"]

Kind = Literal["name", "number", "string", "operator", "end"]

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<name>[^\W\d]\w*)
      | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<operator>===|!==|\?\.\[|\?\?|\?\.|\?\[|&&|\|\||==|!=|<=|>=|=>|\*\*|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE,
)

_FOREIGN = {
    "===": ("'===' is not an operator here", "use =="),
    "!==": ("'!==' is not an operator here", "use !="),
    "=>": ("arrow functions do not exist here", "use a macro: xs.map(v, v.name), xs.filter(v, v.n > 1)"),
    "**": ("'**' is not an operator here", "multiply: x * x"),
}
_STRAY = {
    "=": ("'=' is not an operator: an expression cannot assign", "use == to compare"),
    "&": ("'&' is not an operator here", "use && for 'and'"),
    "|": ("'|' is not an operator here", "use || for 'or', or call a function: f(x)"),
    "`": ("template literals do not exist here", 'write "a" + string(b), or ${…} inside the text'),
    "#": ("'#' is not an operator here", None),
    "$": ("'$' is not part of a name here", "inside ${…} names stand alone: ctx.vars.x"),
    "@": ("'@' is not part of a name here", None),
    "~": ("'~' is not an operator here", None),
    ";": ("an expression is not a statement", "drop the ';'"),
}

_SIMPLE_ESCAPES = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "b": "\b",
    "f": "\f",
    "\\": "\\",
    "/": "/",
    '"': '"',
    "'": "'",
    "`": "`",
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `value` is the decoded text or number, or the operator itself."""

    kind: Kind
    value: str | int | float
    at: int
    end: int


def tokenize(source: str) -> list[Token]:
    """All tokens of an expression, ending with one of kind `end`.

    Raises:
        ExpressionError: a character, a number or a string that does not belong here.
    """
    if len(source) > MAX_SOURCE:
        raise ExpressionError(
            f"the expression is longer than {MAX_SOURCE:,} characters", code="expr.budget", position=0
        )
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        token, position = _next(source, position)
        if token is None:
            continue
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            raise ExpressionError(
                f"the expression has more than {MAX_TOKENS:,} tokens", code="expr.budget", position=token.at
            )
    tokens.append(Token("end", "", len(source), len(source)))
    return tokens


def find_end(text: str, start: int) -> int:
    """The offset of the `}` that closes the `${` whose expression begins at `start`.

    Raises:
        ExpressionError: nothing closes it, or a token on the way is malformed.
    """
    depth = 0
    position = start
    while position < len(text):
        token, position = _next(text, position)
        if token is None or token.kind != "operator":
            continue
        if token.value == "{":
            depth += 1
        elif token.value == "}":
            if depth == 0:
                return token.at
            depth -= 1
    raise syntax_error("'${' is never closed", start - 2, "write $${ for a literal ${")


def _next(source: str, position: int) -> tuple[Token | None, int]:
    match = _TOKEN.match(source, position)
    if match is None:
        raise _stray(source, position)
    kind, text, end = match.lastgroup, match.group(), match.end()
    if kind == "space":
        return None, end
    if kind == "name":
        return Token("name", text, position, end), end
    if kind == "number":
        return Token("number", _number(source, text, position, end), position, end), end
    if kind == "string":
        return Token("string", unescape(text[1:-1], position + 1), position, end), end
    if text in _FOREIGN:
        message, hint = _FOREIGN[text]
        raise syntax_error(message, position, hint)
    return Token("operator", text, position, end), end


def _stray(source: str, position: int) -> ExpressionError:
    character = source[position]
    if character in "\"'":
        return syntax_error(
            "a text is never closed",
            position,
            f"end it with {character}, on the same line; write \\n for a new line",
        )
    message, hint = _STRAY.get(character, (f"unexpected character {character!r}", None))
    return syntax_error(message, position, hint)


def _number(source: str, text: str, position: int, end: int) -> int | float:
    if end < len(source) and (source[end].isalnum() or source[end] == "_"):
        raise syntax_error(f"'{source[position : end + 1]}' is neither a number nor a name", position)
    if len(text) > 1 and text[0] == "0" and text[1].isdigit():
        raise syntax_error(f"the number {text[:40]} begins with 0", position, "drop the leading zero")
    if text.isdigit():
        if len(text) > 16 or int(text) > MAX_INTEGER:
            raise ExpressionError(
                f"the integer {text[:40]} is beyond {MAX_INTEGER}",
                code="expr.value",
                position=position,
                hint="write it as a text, or as a decimal such as 1e20",
            )
        return int(text)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ExpressionError(f"the number {text[:40]} is too large", code="expr.value", position=position)
    return value


def unescape(body: str, position: int) -> str:
    """The text behind the body of a string literal."""
    decoded = _ESCAPE.sub(lambda match: _escape(match, position), body) if "\\" in body else body
    if _SURROGATE.search(decoded):
        # a character beyond U+FFFF may be written as two \\u escapes
        try:
            decoded = decoded.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise syntax_error("half of a surrogate pair is not text", position) from None
    return decoded


def _escape(match: re.Match[str], position: int) -> str:
    code = match.group(1)
    if code in _SIMPLE_ESCAPES:
        return _SIMPLE_ESCAPES[code]
    if len(code) > 1 and int(code[1:], 16) <= 0x10FFFF:
        return chr(int(code[1:], 16))
    raise syntax_error(
        f"unknown escape \\{code}", position + match.start(), "write \\\\ for a backslash, \\n, \\t, \\u0041"
    )
