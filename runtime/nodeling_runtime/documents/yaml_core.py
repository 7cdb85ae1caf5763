"""YAML by the 1.2 core schema, read from parser events.

The parser is PyYAML's (libyaml where it is built in); everything above events is ours, because a
workflow must not depend on `on` being true, `10:30` being 630 or a key winning over its twin.
Nothing here recurses, aliases are counted before they are followed, and each event's offset is
kept only when somebody asks where things are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from nodeling.values import MAX_DEPTH, pointer_of
from nodeling_runtime.documents.positions import MAX_FAULTS, Place, RawFault, cut, nested_copy
from nodeling_runtime.documents.yaml_scalar import WORDS, Refused, core_scalar

__all__ = ["MAX_ALIASES", "MAX_EXPANSION", "YamlReader"]

MAX_ALIASES = 100
# Values and characters that all aliases of one document may add to it.
MAX_EXPANSION = 1_000_000

_CORE_TAG = "tag:yaml.org,2002:"
_TOO_DEEP_FOR_LIBYAML = "exceeded maximum nesting depth"
_TAB_INDENT = re.compile(r"^ *\t", re.MULTILINE)


class _Stop(Exception):
    """Nothing sensible can be read after this fault."""


class _Frame:
    """An open list or mapping; a mapping waits for a key or, after one, for its value."""

    __slots__ = ("anchor", "data", "has_key", "key", "key_offset", "place")

    def __init__(self, data: Any, place: Place, anchor: str | None) -> None:
        self.data = data
        self.place = place
        self.anchor = anchor
        self.has_key = False
        self.key = ""
        self.key_offset: int | None = None


class YamlReader:
    """Reads one text; afterwards `faults` is empty or says everything that is wrong."""

    def __init__(self, text: str, where: Callable[[int], tuple[int, int]], loader: Any = None) -> None:
        self._loader = loader or (yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
        self.text = text
        self.where = where
        self.faults: list[RawFault] = []
        self.data: Any = None
        self.root = Place(0)
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int, int] | None] = {}
        self._aliases = 0
        self._expansion = 0
        self._documents = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._mapping,
            yaml.SequenceStartEvent: self._sequence,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }

    def read(self) -> YamlReader:
        """Reads to the end or to the first fault that hides the rest."""
        try:
            self._run()
        except _Stop:
            pass
        except yaml.YAMLError as error:
            if getattr(error, "problem", None) == _TOO_DEEP_FOR_LIBYAML:
                # It looks far ahead, and gives up before an event has told where our own limit was passed.
                return YamlReader(self.text, self.where, yaml.SafeLoader).read()
            self._syntax(error)
        return self

    def _run(self) -> None:
        handlers = self._handlers
        for event in yaml.parse(self.text, Loader=self._loader):
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)

    # --- Events ------------------------------------------------------------------------------------

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            message = "a second document begins here; one file holds one document"
            raise self._stop("document.multiple", message, event, "remove the --- or split the file")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._at_key():
            return self._key(event)
        value = self._value_of(event)
        place = Place(_offset(event))
        self._attach(value, place)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, _cost(value), 0)

    def _mapping(self, event: yaml.MappingStartEvent) -> None:
        self._open(event, {}, "map")

    def _sequence(self, event: yaml.SequenceStartEvent) -> None:
        self._open(event, [], "seq")

    def _open(self, event: Any, data: Any, kind: str) -> None:
        if len(self._frames) == MAX_DEPTH:
            message = f"the document is more than {MAX_DEPTH} levels deep"
            raise self._stop("document.depth", message, event)
        if event.tag not in (None, "!", _CORE_TAG + kind):
            self._bad_tag(event)
        if self._at_key():
            hint = "quote an expression or a template that begins with a brace"
            raise self._stop("document.key", "a key must be text, not a list or a mapping", event, hint)
        place = Place(_offset(event))
        place.inside = {} if kind == "map" else []
        self._attach(data, place)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._frames.append(_Frame(data, place, event.anchor))

    def _close(self, event: Any) -> None:
        frame = self._frames.pop()
        if frame.anchor is not None:
            cost, height = _measure(frame.data)
            self._anchors[frame.anchor] = (frame.data, cost, height)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor
        if name not in self._anchors:
            raise self._stop("document.alias", f"the alias *{name} has no anchor &{name} before it", event)
        known = self._anchors[name]
        if known is None:
            raise self._stop("document.alias", f"the alias *{name} stands inside its own anchor", event)
        data, cost, height = known
        self._count_alias(event, cost, height)
        if self._at_key():
            if not isinstance(data, str):
                raise self._stop("document.key", "a key must be text", event, "write the key itself")
            return self._take_key(self._frames[-1], data, event)
        place = Place(_offset(event))
        self._attach(nested_copy(data), place)

    def _count_alias(self, event: Any, cost: int, height: int) -> None:
        self._aliases += 1
        self._expansion += cost
        hint = "write the shared part once, or put it in a node of its own"
        if self._aliases > MAX_ALIASES:
            message = f"more than {MAX_ALIASES} aliases in one document"
            raise self._stop("document.alias_bomb", message, event, hint)
        if self._expansion > MAX_EXPANSION:
            message = (
                f"the aliases make this document more than {MAX_EXPANSION:,} values and characters larger"
            )
            raise self._stop("document.alias_bomb", message, event, hint)
        if len(self._frames) + height > MAX_DEPTH:
            message = f"the document is more than {MAX_DEPTH} levels deep"
            raise self._stop("document.depth", message, event)

    # --- Keys and values ---------------------------------------------------------------------------

    def _at_key(self) -> bool:
        if not self._frames:
            return False
        frame = self._frames[-1]
        return type(frame.data) is dict and not frame.has_key

    def _key(self, event: yaml.ScalarEvent) -> None:
        text = event.value
        if event.tag is not None or not event.implicit[0] or not text or not text[0].isalpha():
            self._check_key(event)
        elif text in WORDS:
            self._not_text(event, WORDS[text])
        if event.anchor is not None:
            self._anchors[event.anchor] = (text, _cost(text), 0)
        self._take_key(self._frames[-1], text, event)

    def _check_key(self, event: yaml.ScalarEvent) -> None:
        if event.value == "<<" and event.tag is None and event.implicit[0]:
            hint = "write the keys out, or quote it to mean the text"
            self._fault("document.merge_key", "the merge key << is no part of YAML 1.2", event, hint)
            return
        count = len(self.faults)
        value = self._value_of(event)
        if len(self.faults) == count and not isinstance(value, str):
            self._not_text(event, value)

    def _not_text(self, event: yaml.ScalarEvent, value: Any) -> None:
        kind = "null" if value is None else "a boolean" if isinstance(value, bool) else "a number"
        shown = f"the key {event.value} is {kind}" if event.value else "an empty key is null"
        self._fault("document.key", f"{shown}, keys must be text", event, f'write "{event.value}"')

    def _take_key(self, frame: _Frame, key: str, event: Any) -> None:
        inside = frame.place.inside
        if isinstance(inside, dict) and key in inside:
            first = inside[key].key
            line, column = self.where(first or 0)
            message = f"the key {cut(key)!r} is given twice, first at line {line}, column {column}"
            frame.key, frame.has_key = key, True
            self._fault("document.duplicate_key", message, event, "remove or rename one")
        frame.key, frame.has_key, frame.key_offset = key, True, _offset(event)

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
            frame.has_key = False
        elif inside is not None:
            inside.append(place)
            frame.data.append(data)

    def _value_of(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        if not text.isascii():
            self._check_text(event)
        tag = event.tag
        if tag is None:
            if not event.implicit[0]:
                return text
        elif tag in ("!", _CORE_TAG + "str"):
            return text
        try:
            value = core_scalar(text)
        except Refused as error:
            self._fault(error.code, error.message, event, error.hint)
            return None
        return value if tag is None else self._tagged(event, value)

    def _tagged(self, event: yaml.ScalarEvent, value: Any) -> Any:
        """The value under an explicit core tag, which must agree with what is written."""
        kind = str(event.tag).removeprefix(_CORE_TAG)
        if kind == "float" and type(value) is int:
            return float(value)
        expected = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(kind)
        if expected is None:
            self._bad_tag(event)
        elif type(value) is not expected:
            message = f"{cut(event.value)!r} is no {kind}, as its tag !!{kind} claims"
            self._fault("document.tag", message, event, "remove the tag")
        return value

    def _check_text(self, event: yaml.ScalarEvent) -> None:
        try:
            event.value.encode("utf-8")
        except UnicodeEncodeError as error:
            name = f"U+{ord(event.value[error.start]):04X}"
            self._fault("document.surrogate", f"the lone surrogate {name} is no character", event, None)

    # --- Faults ------------------------------------------------------------------------------------

    def _bad_tag(self, event: Any) -> None:
        shown = event.tag.replace(_CORE_TAG, "!!")
        self._fault("document.tag", f"the tag {cut(shown)} is not allowed", event, "remove the tag")

    def _pointer(self) -> str:
        if not self._frames:
            return ""
        parts = [
            frame.key if isinstance(frame.data, dict) else len(frame.data) - 1 for frame in self._frames[:-1]
        ]
        last = self._frames[-1]
        if isinstance(last.data, list):
            parts.append(len(last.data))
        elif last.has_key:
            parts.append(last.key)
        return pointer_of(parts)

    def _fault(self, code: str, message: str, event: Any, hint: str | None) -> None:
        self._fault_at(code, message, _offset(event), hint)

    def _fault_at(self, code: str, message: str, offset: int, hint: str | None) -> None:
        self.faults.append(RawFault(code, message, offset, self._pointer(), hint))
        if len(self.faults) >= MAX_FAULTS:
            raise _Stop

    def _stop(self, code: str, message: str, event: Any, hint: str | None = None) -> _Stop:
        self._fault(code, message, event, hint)
        return _Stop()

    def _syntax(self, error: yaml.YAMLError) -> None:
        """A fault of the parser's, in our words where the cause is a common one."""
        if isinstance(error, yaml.reader.ReaderError):
            self._unprintable(error)
            return
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or "this is no YAML"
        offset = min(mark.index if mark else 0, len(self.text))
        if "escape code" in problem and "Unicode" in problem:
            code, message, hint = "document.surrogate", "the escape is no Unicode character", None
        else:
            code, message, hint = "document.syntax", f"this cannot be read as YAML: {problem}", None
            context = getattr(error, "context", None)
            if context:
                message += f", {context}"
        tab = self._tab_before(offset)
        if tab is not None:
            code, offset = "document.tab", tab
            message, hint = "a tab stands in the indentation", "indent with spaces"
        self._last_fault(code, message, offset, hint)

    def _tab_before(self, offset: int) -> int | None:
        """A tab in the indentation of the line of a fault, or of the line before it."""
        start = self.text.rfind("\n", 0, offset) + 1
        for begin in (start, self.text.rfind("\n", 0, max(start - 1, 0)) + 1):
            found = _TAB_INDENT.match(self.text, begin)
            if found:
                return found.end() - 1
        return None

    def _unprintable(self, error: Any) -> None:
        character = error.character
        code = character if isinstance(character, int) else ord(character)
        offset = max(self.text.find(chr(code)), 0)
        message = f"the character U+{code:04X} may not stand in YAML"
        self._last_fault("document.syntax", message, offset, f'write "\\u{code:04X}" in double quotes')

    def _last_fault(self, code: str, message: str, offset: int, hint: str | None) -> None:
        self.faults.append(RawFault(code, message, offset, self._pointer(), hint))


def _offset(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark is not None else 0


def _cost(value: Any) -> int:
    return 1 + (len(value) if isinstance(value, str) else 0)


def _measure(data: Any) -> tuple[int, int]:
    """How many values and characters, and how many levels, a finished container holds."""
    if isinstance(data, dict):
        items: list[Any] = list(data.values())
        cost = 1 + sum(map(len, data))
    elif isinstance(data, list):
        items, cost = data, 1
    else:
        return _cost(data), 0
    height = 0
    for item in items:
        inner, levels = _measure(item)
        cost += inner
        height = max(height, levels)
    return cost, height + 1
