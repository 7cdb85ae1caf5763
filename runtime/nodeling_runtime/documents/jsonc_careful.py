"""JSON with comments and trailing commas, read with care: positions, and every fault at once.

A token at a time, no recursion, so that no depth can hurt it. It goes on after a fault wherever
what follows still makes sense. `jsonc.py` is the fast twin for documents without faults.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from nodeling.values import MAX_DEPTH, MAX_INTEGER, pointer_of
from nodeling_runtime.documents.positions import MAX_FAULTS, Place, RawFault, cut

__all__ = ["CarefulReader"]

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]++ | //[^\n\r]*+ | /\*(?:[^*]++|\*(?!/))*+\*/)
    | (?P<string>"(?:[^"\\\n\r]++|\\[^\n\r])*+")
    | (?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![\w.+]))
    | (?P<word>-?[A-Za-z_$][\w$]*+)
    | (?P<mark>[\[\]{}:,])
    """,
    re.VERBOSE,
)
_BAD_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|(?P<bad>\\.)|(?P<control>[\x00-\x1f])')
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_NOT_NUMBERS = frozenset({"NaN", "-NaN", "Infinity", "-Infinity"})
_NEAR_WORDS = {"True": "true", "False": "false", "None": "null", "undefined": "null", "nil": "null"}


class _Stop(Exception):
    """Nothing sensible can be read after this fault."""


class _Frame:
    """An open container and what has been read of it."""

    __slots__ = ("data", "key", "key_offset", "place")

    def __init__(self, data: Any, place: Place) -> None:
        self.data = data
        self.place = place
        self.key = ""
        self.key_offset: int | None = None

    def at(self) -> str | int:
        """The key or index of what was put in last."""
        return self.key if isinstance(self.data, dict) else len(self.data) - 1


class CarefulReader:
    """Reads one text; afterwards `faults` is empty or says everything that is wrong."""

    def __init__(self, text: str, where: Callable[[int], tuple[int, int]]) -> None:
        self.text = text
        self.where = where
        self.faults: list[RawFault] = []
        self.data: Any = None
        self.root = Place(0)
        self._frames: list[_Frame] = []
        self._offset = 0
        self._expect = self._want_value
        self._done = False

    def read(self) -> CarefulReader:
        """Reads to the end or to the first fault that hides the rest."""
        try:
            self._run()
        except _Stop:
            pass
        return self

    # --- Tokens ------------------------------------------------------------------------------------

    def _run(self) -> None:
        match = _TOKEN.match
        text = self.text
        end = len(text)
        while self._offset < end:
            found = match(text, self._offset)
            if found is None:
                raise self._unreadable()
            kind = found.lastgroup
            if kind != "space":
                self._expect(str(kind), found.group())
            self._offset = found.end()
        self._finish()

    def _finish(self) -> None:
        if self._frames:
            frame = self._frames[-1]
            line, column = self.where(frame.place.start)
            opening, closing = ("{", "}") if isinstance(frame.data, dict) else ("[", "]")
            message = f"the document ends inside the {opening!r} of line {line}, column {column}"
            raise self._stop(message, f"add the missing {closing!r}")
        if not self._done:
            raise self._stop("the document is empty", "write at least {}")

    def _unreadable(self) -> _Stop:
        rest = self.text[self._offset : self._offset + 40]
        if rest[0] == '"':
            return self._stop("the text that begins here is not closed on its line", "add the closing quote")
        if rest[0] == "'":
            return self._stop("text stands in double quotes in JSON", 'write "..." instead')
        if rest.startswith("/*"):
            return self._stop("the comment that begins here is not closed", "add */")
        if rest[0] in "+-.0123456789":
            word = re.split(r"[\s,\]}:]", rest, maxsplit=1)[0]
            return self._stop(f"{word!r} is no JSON number")
        hint = "comments begin with // in JSON" if rest[0] == "#" else None
        return self._stop(f"the character {rest[0]!r} cannot stand here", hint)

    # --- States ------------------------------------------------------------------------------------

    def _want_value(self, kind: str, lexeme: str) -> None:
        if kind == "mark":
            if lexeme in "[{":
                return self._open(lexeme)
            frame = self._frames[-1] if self._frames else None
            if lexeme == "]" and frame and isinstance(frame.data, list):
                return self._close()
            raise self._stop(f"a value should stand here, not {lexeme!r}")
        self._place_value(self._scalar(kind, lexeme), Place(self._offset))

    def _want_key(self, kind: str, lexeme: str) -> None:
        if lexeme == "}":
            return self._close()
        frame = self._frames[-1]
        if kind == "string":
            key = self._string(lexeme)
        elif kind in ("word", "number"):
            self._fault("document.syntax", f"the key {lexeme} needs double quotes", f'write "{lexeme}"')
            key = lexeme
        else:
            raise self._stop(f"a key in double quotes should stand here, not {lexeme!r}")
        self._check_duplicate(frame, key)
        frame.key = key
        frame.key_offset = self._offset
        self._expect = self._want_colon

    def _want_colon(self, kind: str, lexeme: str) -> None:
        if lexeme != ":" or kind != "mark":
            raise self._stop(f"a colon should follow the key {self._frames[-1].key!r}, not {lexeme!r}")
        self._expect = self._want_member

    def _want_member(self, kind: str, lexeme: str) -> None:
        if kind == "mark" and lexeme not in "[{":
            raise self._stop(f"the key {self._frames[-1].key!r} has no value")
        self._want_value(kind, lexeme)

    def _want_comma(self, kind: str, lexeme: str) -> None:
        frame = self._frames[-1]
        in_object = isinstance(frame.data, dict)
        again = self._want_key if in_object else self._want_value
        if kind == "mark" and lexeme == ",":
            self._expect = self._after_comma
            return
        if kind == "mark" and lexeme in "]}":
            if (lexeme == "}") != in_object:
                closing = "}" if in_object else "]"
                raise self._stop(f"{lexeme!r} closes what {closing!r} should close")
            return self._close()
        if lexeme == ":":
            raise self._stop("a colon cannot stand here")
        self._fault("document.syntax", f"a comma is missing before {cut(lexeme)}", "add a comma")
        again(kind, lexeme)

    def _after_comma(self, kind: str, lexeme: str) -> None:
        if lexeme == "," and kind == "mark":
            raise self._stop("two commas follow each other", "remove one")
        in_object = isinstance(self._frames[-1].data, dict)
        (self._want_key if in_object else self._want_value)(kind, lexeme)

    def _want_end(self, kind: str, lexeme: str) -> None:
        raise self._stop(f"the document goes on after its end with {cut(lexeme)}")

    # --- Values ------------------------------------------------------------------------------------

    def _open(self, lexeme: str) -> None:
        if len(self._frames) == MAX_DEPTH:
            self._fault("document.depth", f"the document is more than {MAX_DEPTH} levels deep")
            raise _Stop
        place = Place(self._offset)
        place.inside = {} if lexeme == "{" else []
        data: Any = {} if lexeme == "{" else []
        self._attach(data, place)
        self._frames.append(_Frame(data, place))
        self._expect = self._want_key if lexeme == "{" else self._want_value

    def _close(self) -> None:
        self._frames.pop()
        self._after_value()

    def _place_value(self, data: Any, place: Place) -> None:
        self._attach(data, place)
        self._after_value()

    def _attach(self, data: Any, place: Place) -> None:
        if not self._frames:
            self.data, self.root = data, place
            return
        frame = self._frames[-1]
        inside = frame.place.inside
        if isinstance(inside, dict):
            place.key = frame.key_offset
            inside[frame.key] = place
            frame.data[frame.key] = data
        elif inside is not None:
            inside.append(place)
            frame.data.append(data)

    def _after_value(self) -> None:
        self._done = not self._frames
        self._expect = self._want_end if self._done else self._want_comma

    def _scalar(self, kind: str, lexeme: str) -> Any:
        if kind == "string":
            return self._string(lexeme)
        if kind == "number":
            return self._number(lexeme)
        if lexeme in _WORDS:
            return _WORDS[lexeme]
        if lexeme in _NOT_NUMBERS:
            self._fault("document.nan", f"{lexeme} is no JSON number", "use null")
            return None
        if lexeme in _NEAR_WORDS:
            self._fault("document.syntax", f"{lexeme} is no JSON word", f"write {_NEAR_WORDS[lexeme]}")
            return None
        self._fault(
            "document.syntax", f"the text {cut(lexeme)} needs double quotes", f'write "{cut(lexeme)}"'
        )
        return lexeme

    def _string(self, lexeme: str) -> str:
        if "\\" not in lexeme and lexeme.isprintable():
            return lexeme[1:-1]
        for match in _BAD_ESCAPE.finditer(lexeme):
            if match.lastgroup == "bad":
                self._fault("document.syntax", f"{match.group()} is no escape in JSON", "write \\\\ for \\")
                return lexeme[1:-1]
            if match.lastgroup == "control":
                name = f"U+{ord(match.group()):04X}"
                self._fault(
                    "document.syntax", f"the control character {name} stands in text", f"write \\u{name[2:]}"
                )
                return lexeme[1:-1]
        text: str = json.loads(lexeme)
        if not text.isascii():
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                name = f"U+{ord(text[error.start]):04X}"
                self._fault("document.surrogate", f"the lone surrogate {name} is no character")
        return text

    def _number(self, lexeme: str) -> int | float:
        if lexeme.lstrip("-").isdecimal():
            if len(lexeme) > 17 or abs(int(lexeme)) > MAX_INTEGER:
                shown = lexeme if len(lexeme) <= 24 else f"of {len(lexeme.lstrip('-'))} digits"
                message = f"the integer {shown} is beyond ±(2^53 - 1), where languages differ"
                self._fault("document.integer", message, "write it as text, in double quotes")
                return 0
            return int(lexeme)
        number = float(lexeme)
        if number in (float("inf"), float("-inf")):
            self._fault("document.number", f"the number {cut(lexeme)} is too large")
        return number

    # --- Faults ------------------------------------------------------------------------------------

    def _check_duplicate(self, frame: _Frame, key: str) -> None:
        inside = frame.place.inside
        if isinstance(inside, dict) and key in inside:
            first = inside[key].key or 0
            line, column = self.where(first)
            message = f"the key {cut(key)!r} is given twice, first at line {line}, column {column}"
            self._fault("document.duplicate_key", message, "remove or rename one", key)

    def _pointer(self, key: str | None = None) -> str:
        if not self._frames:
            return ""
        parts = [frame.at() for frame in self._frames[:-1]]
        last = self._frames[-1]
        if isinstance(last.data, list):
            parts.append(len(last.data))
        elif key is not None:
            parts.append(key)
        elif self._expect == self._want_member:
            parts.append(last.key)
        return pointer_of(parts)

    def _fault(self, code: str, message: str, hint: str | None = None, key: str | None = None) -> None:
        self.faults.append(RawFault(code, message, self._offset, self._pointer(key), hint))
        if len(self.faults) >= MAX_FAULTS:
            raise _Stop

    def _stop(self, message: str, hint: str | None = None) -> _Stop:
        self._fault("document.syntax", message, hint)
        return _Stop()
