"""JavaScript text to tokens, for the part of the language that is an expression.

Which tokens may stand where (a regular expression or a division) is the parser's business, so it asks for one
token at a time. What no lowered expression can hold is refused by its name here.
"""

from __future__ import annotations

import re
from typing import Literal

from nodeling._dataclass import dataclass
from nodeling_runtime.expressions.errors import syntax_error
from nodeling_runtime.expressions.javascript_values import refused

__all__ = ["Token", "next_token"]

Kind = Literal["name", "number", "string", "template", "operator", "end"]

_SPACE = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<name>[^\W\d][\w$]*|\$[\w$]*)
      | (?P<number>0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<operator>>>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|>>>|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?
          |\?\.(?![0-9])|\+\+|--|\+=|-=|\*=|/=|%=|&=|\|=|\^=|<<|>>|\*\*|[-+*/%!<>?:.,()\[\]{}=&|^~;`@\#])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|0(?![0-9])|[^ux0-9\n\r\u2028\u2029])"
)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}

_REFUSED = {
    "=": "an assignment",
    "++": "an increment",
    "--": "a decrement",
    "**": "exponentiation",
    "&": "a bitwise operator",
    "|": "a bitwise operator",
    "^": "a bitwise operator",
    "~": "a bitwise operator",
    "<<": "a bitwise operator",
    ">>": "a bitwise operator",
    ">>>": "a bitwise operator",
    ";": "a statement",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `value` is the decoded text or number, or the operator or name itself."""

    kind: Kind
    value: str | int | float
    at: int
    end: int


def next_token(source: str, position: int) -> Token:
    """The token at or after an offset.

    Raises:
        ExpressionError: no token begins there, or one that cannot be lowered.
    """
    space = _SPACE.match(source, position)
    at = space.end() if space else position
    if at >= len(source):
        return Token("end", "", at, at)
    match = _TOKEN.match(source, at)
    if match is None:
        if source[at] in "\"'":
            raise syntax_error("a string is never closed", at)
        raise syntax_error(f"unexpected character {source[at]!r}", at)
    text, end = match.group(), match.end()
    if match.lastgroup == "name":
        return Token("name", text, at, end)
    if match.lastgroup == "number":
        return Token("number", _number(source, text, at, end), at, end)
    if match.lastgroup == "string":
        return Token("string", unescape(text[1:-1], at), at, end)
    if text in _REFUSED or (text.endswith("=") and text not in ("==", "===", "!=", "!==", "<=", ">=")):
        raise refused(_REFUSED.get(text, "an assignment"), at)
    if text in "@#":
        raise syntax_error(f"unexpected character {text!r}", at)
    return Token("operator", text, at, end)


def _number(source: str, text: str, at: int, end: int) -> int | float:
    if end < len(source) and (source[end].isalnum() or source[end] in "_$"):
        what = "a BigInt" if source[end] == "n" else f"the number '{source[at : end + 1]}'"
        raise refused(what, at)
    if text[:1] == "0" and text[1:2].isdigit():
        raise refused("an octal number", at)
    if text[:2].lower() in ("0x", "0o", "0b"):
        value = float(int(text, 0)) if len(text) < 200 else float("inf")
    else:
        value = float(text)
    if value == float("inf"):
        raise refused("a number beyond the largest", at)
    return int(value) if value.is_integer() and value <= 2**53 - 1 else value


def unescape(body: str, at: int) -> str:
    """The string behind the body of a literal."""
    if "\\" not in body:
        return body
    if "\\" in _ESCAPE.sub("", body):
        raise refused("an octal escape, a malformed escape or a continued line", at)
    decoded = _ESCAPE.sub(_escape, body)
    return decoded.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _escape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code in _SIMPLE:
        return _SIMPLE[code]
    if code[0] in "ux":
        point = int(code[1:].strip("{}"), 16)
        return chr(min(point, 0x10FFFF))
    return code
