"""What may travel between nodes, and the one way in and out of bytes.

A value is JSON as every language reads it alike: UTF-8, no NaN, no lone surrogates, integers
within ±(2^53 - 1), at most 64 containers deep. `encode` and `decode` accept and refuse exactly the
same things whether orjson is installed or not; `tests/unit/value_vectors.json` holds both to it.
Only the standard library is imported here; orjson is looked for on first use.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import marshal
import math
import re
from collections.abc import Callable
from enum import Enum
from typing import Any
from uuid import UUID

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER",
    "InvalidValue",
    "decode",
    "decode_orjson",
    "decode_stdlib",
    "encode",
    "encode_orjson",
    "encode_stdlib",
    "exceeds_depth",
    "plain",
]

MAX_DEPTH = 64
MAX_INTEGER = 2**53 - 1

# Everything but brackets and quotes, for deleting: what is left tells the nesting.
_NOT_STRUCTURE = bytes(sorted(set(range(256)) - set(b'[]{}"')))
_ROUND_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_SIXTEEN_DIGITS = b"0" * 16
# A number too large for a float needs a three-digit exponent or hundreds of digits.
_MAY_OVERFLOW = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{300}")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class InvalidValue(ValueError):
    """A value is outside the profile; `pointer` says where, `kind` names the rule it breaks."""

    def __init__(self, pointer: str, message: str, kind: str = "type") -> None:
        super().__init__(f"{message} (at {pointer})" if pointer else message)
        self.pointer = pointer
        self.message = message
        self.kind = kind


def pointer_of(parts: list[Any]) -> str:
    """The JSON pointer of a list of keys and indexes."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


# --- Python values to plain JSON data -------------------------------------------------------------


def plain(value: Any) -> Any:
    """The same value as dicts, lists and scalars of the exact built-in types, checked.

    Raises:
        InvalidValue: something in it cannot travel.
    """
    return _Plain().of(value)


class _Plain:
    """One walk over one value: where it is, and which containers are open above it."""

    __slots__ = ("depth", "open", "path")

    def __init__(self) -> None:
        self.path: list[Any] = []
        self.open: list[int] = []
        self.depth = 0

    def refuse(self, message: str, kind: str) -> InvalidValue:
        return InvalidValue(pointer_of(self.path), message, kind)

    def of(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return self.integer(value)
        if kind is float:
            return self.number(value)
        if kind is dict or kind is list or kind is tuple:
            return self.container(value)
        return self.special(value)

    def text(self, value: str) -> str:
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                code = ord(value[error.start])
                message = f"the text holds the lone surrogate U+{code:04X}, which is no character"
                raise self.refuse(message, "surrogate") from None
        return value

    def integer(self, value: int) -> int:
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return value
        raise self.refuse(_too_big(value.bit_length()), "integer")

    def number(self, value: float) -> float:
        if math.isfinite(value):
            return value
        raise self.refuse(f"{_number_name(value)} is no JSON number; use null instead", "nan")

    def container(self, value: Any) -> Any:
        if id(value) in self.open:
            raise self.refuse("the value contains itself", "circular")
        if self.depth == MAX_DEPTH:
            raise self.refuse(f"the value is more than {MAX_DEPTH} levels deep", "depth")
        self.open.append(id(value))
        self.depth += 1
        found = self.mapping(value) if isinstance(value, dict) else self.sequence(value)
        self.depth -= 1
        self.open.pop()
        return found

    def mapping(self, value: dict[Any, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in list(dict.items(value)):
            if not isinstance(key, str):
                raise self.refuse(f"the key {_short(key)} is {_a(key)}, keys must be text", "key")
            self.path.append(key)
            found[self.text(str.__str__(key))] = self.of(item)
            self.path.pop()
        return found

    def sequence(self, value: Any) -> list[Any]:
        found = []
        read = list.__iter__ if isinstance(value, list) else tuple.__iter__
        for index, item in enumerate(read(value)):
            self.path.append(index)
            found.append(self.of(item))
            self.path.pop()
        return found

    def special(self, value: Any) -> Any:
        """The few types that have one obvious JSON form, and subclasses of the built-in ones."""
        if isinstance(value, Enum):
            return self.inside(value, lambda: value.value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.inside(value, lambda: _fields(value))
        if isinstance(value, (datetime.date, datetime.datetime)):
            return self.text(value.isoformat())
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, int):
            return self.integer(int.__int__(value))
        if isinstance(value, float):
            return self.number(float.__float__(value))
        if isinstance(value, (dict, list, tuple)):
            return self.container(value)
        raise self.refuse(f"{_a(value)} is no JSON value{_advice(value)}", "type")

    def inside(self, value: Any, read: Callable[[], Any]) -> Any:
        """What `read` gives in place of `value`, which must not lead back to itself."""
        if id(value) in self.open:
            raise self.refuse("the value contains itself", "circular")
        self.open.append(id(value))
        try:
            inner = read()
        except Exception as error:
            message = f"{_a(value)} cannot be read: {type(error).__name__}: {error}"
            raise self.refuse(message, "type") from error
        found = self.of(inner)
        self.open.pop()
        return found


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _a(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        # A repr that raises must not hide the fault being reported; the type is enough then.
        return f"<{type(value).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."


def _advice(value: Any) -> str:
    if isinstance(value, (set, frozenset)):
        return "; return a list"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "; decode it to text, or encode it as base64"
    return ""


def _too_big(bits: int) -> str:
    return f"the integer ({bits} bits) is beyond ±(2^53 - 1), where languages differ; send it as text"


def _number_name(value: float) -> str:
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


# --- Encoding -------------------------------------------------------------------------------------

_dumps: Any = None
_loads: Any = None
_strict_integer = 0
_encoder: Callable[[Any], bytes] | None = None
_decoder: Callable[[Any], Any] | None = None


def _choose() -> None:
    """Looks for orjson once, and settles which back end `encode` and `decode` use."""
    global _encoder, _decoder
    try:
        _find_orjson()
    except ImportError:
        _encoder, _decoder = encode_stdlib, decode_stdlib
    else:
        _encoder, _decoder = encode_orjson, decode_orjson


def _find_orjson() -> None:
    global _dumps, _loads, _strict_integer
    import orjson

    _dumps, _loads, _strict_integer = orjson.dumps, orjson.loads, orjson.OPT_STRICT_INTEGER


def encode(value: Any) -> bytes:
    """The value as compact UTF-8 JSON on one line.

    Raises:
        InvalidValue: something in it cannot travel; its pointer says where.
    """
    if _encoder is None:
        _choose()
    return _encoder(value)  # type: ignore[misc]


def encode_stdlib(value: Any) -> bytes:
    """`encode` with the standard library alone."""
    return _dump(plain(value))


def _dump(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def encode_orjson(value: Any) -> bytes:
    """`encode` with orjson; the fast path is for values made of built-in types only."""
    if _dumps is None:
        _find_orjson()
    try:
        # orjson splices a Fragment unchecked and knows more types than we allow. marshal knows the
        # built-in types alone and is C, so it tells at once whether the careful walk is needed.
        marshal.dumps(value)
        data: bytes = _dumps(value, None, _strict_integer)
    except (ValueError, TypeError):
        return _dumps(plain(value))  # type: ignore[no-any-return]
    # orjson writes NaN as null. Where there is a null, only a value equal to its re-reading had none.
    if data.rfind(b"null") >= 0 and _loads(data) != value:
        return _dumps(plain(value))  # type: ignore[no-any-return]
    if len(data) > 2 * MAX_DEPTH and exceeds_depth(data):
        plain(value)
    return data


def exceeds_depth(data: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether JSON text nests more than `limit` containers; exact for valid JSON.

    It works on the brackets outside strings: taking away every innermost pair `limit` times
    leaves nothing of text that is flat enough.
    """
    if data.count(b"[") + data.count(b"{") <= limit:
        return False
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Taking two neighbouring quotes away leaves the parity of every other byte as it was.
    shape = data.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    if b'"' in shape:
        shape = b"".join(shape.split(b'"')[::2])
    shape = shape.translate(_ROUND_TO_SQUARE)
    for _ in range(limit):
        smaller = shape.replace(b"[]", b"")
        if len(smaller) == len(shape):
            break
        shape = smaller
    return shape.count(b"[") > limit or b"[]" in shape


# --- Decoding -------------------------------------------------------------------------------------


def decode(data: bytes | str) -> Any:
    """The value that JSON text holds; of a key given twice the last wins.

    Raises:
        InvalidValue: the text is no JSON, or is outside the profile.
    """
    if _decoder is None:
        _choose()
    return _decoder(data)  # type: ignore[misc]


def decode_orjson(data: bytes | str) -> Any:
    """`decode` with orjson."""
    if _loads is None:
        _find_orjson()
    raw = _raw(data)
    try:
        found = _loads(raw)
    except ValueError:
        return _decode_slowly(raw)
    if _is_suspect(raw):
        return _decode_slowly(raw)
    return found


def decode_stdlib(data: bytes | str) -> Any:
    """`decode` with the standard library alone."""
    raw = _raw(data)
    if _is_suspect(raw) or _MAY_OVERFLOW.search(raw) or _ESCAPED_SURROGATE.search(raw):
        return _decode_slowly(raw)
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_constant)
    except (ValueError, RecursionError):
        return _decode_slowly(raw)


def _raw(data: bytes | str) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        return data.encode("utf-8")
    except UnicodeEncodeError as error:
        message = f"the text holds a lone surrogate at character {error.start}"
        raise InvalidValue("", message, "surrogate") from None


def _is_suspect(raw: bytes) -> bool:
    """Whether the text may hold what a decoder lets pass: long integers, deep nesting."""
    if len(raw) >= 16 and _SIXTEEN_DIGITS in raw.translate(_DIGITS_TO_ZERO) and _has_long_integer(raw):
        return True
    return len(raw) > 2 * MAX_DEPTH and exceeds_depth(raw)


_LONG_INTEGER = re.compile(rb"(?<![^\[,:\s])-?([0-9]{16,})(?![^\],}\s])")


def _has_long_integer(raw: bytes) -> bool:
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b'""'.join(raw.split(b'"')[::2])
    for match in _LONG_INTEGER.finditer(outside):
        digits = match.group(1)
        if len(digits) > 16 or int(digits) > MAX_INTEGER:
            return True
    return False


class _Unreadable:
    """Stands where the text holds a number that may not travel."""

    def __init__(self, message: str, kind: str) -> None:
        self.message = message
        self.kind = kind


def _constant(name: str) -> Any:
    raise ValueError(name)


def _mark_constant(name: str) -> Any:
    return _Unreadable(f"{name} is no JSON number; use null instead", "nan")


def _mark_integer(digits: str) -> Any:
    if len(digits) <= 17:
        value = int(digits)
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return value
    shown = digits if len(digits) <= 24 else f"of {len(digits.lstrip('-'))} digits"
    message = f"the integer {shown} is beyond ±(2^53 - 1), where languages differ; send it as text"
    return _Unreadable(message, "integer")


def _mark_float(digits: str) -> Any:
    value = float(digits)
    if math.isfinite(value):
        return value
    shown = digits if len(digits) <= 24 else digits[:21] + "..."
    return _Unreadable(f"the number {shown} is too large", "number")


def _decode_slowly(raw: bytes) -> Any:
    """Reads again with every check in Python: the value after all, or what is wrong and where."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"the byte 0x{raw[error.start]:02x} at offset {error.start} is not UTF-8"
        raise InvalidValue("", message, "encoding") from None
    if exceeds_depth(raw):
        raise InvalidValue("", f"the value is more than {MAX_DEPTH} levels deep", "depth")
    try:
        found = json.loads(
            text, parse_int=_mark_integer, parse_float=_mark_float, parse_constant=_mark_constant
        )
    except RecursionError:
        raise InvalidValue("", f"the value is more than {MAX_DEPTH} levels deep", "depth") from None
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise InvalidValue("", message, "syntax") from None
    return _Reread().of(found)


class _Reread(_Plain):
    """The walk over what was read, which knows the places that stand for bad numbers."""

    __slots__ = ()

    def special(self, value: Any) -> Any:
        raise self.refuse(value.message, value.kind)
