"""What may travel between nodes, and the one way in and out of bytes.

A value is JSON as every language reads it alike: UTF-8, no NaN, no lone surrogates, integers
within ±(2^53 - 1), at most 64 containers deep. `encode` and `decode` accept and refuse exactly the
same things whether orjson is installed or not; `tests/unit/value_vectors.json` holds both to it.
Only the standard library is imported here; orjson is looked for on first use.
"""

from __future__ import annotations

import gc
import marshal
import math

from nodeling._json import dumps, loads
from nodeling._plain import MAX_DEPTH, MAX_INTEGER, InvalidValue, Reread, Unreadable, plain, pointer_of

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER",
    "UNREAD",
    "InvalidValue",
    "choose_back_end",
    "decode",
    "decode_and_encode",
    "decode_orjson",
    "decode_stdlib",
    "encode",
    "encode_decoded",
    "encode_orjson",
    "encode_reading",
    "encode_stdlib",
    "equal",
    "exceeds_depth",
    "plain",
    "pointer_of",
    "put_off_orjson",
]

# Everything but brackets and quotes, for deleting: what is left tells the nesting.
_NOT_STRUCTURE = bytes(sorted(set(range(256)) - set(b'[]{}"')))
_ROUND_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_SIXTEEN_DIGITS = b"0" * 16
_SHORT = 2 * 1024  # bytes in which to count costs less than to take away
_MANY_OBJECTS = 64 * 1024  # bytes of text that make enough objects for the collector to interfere
_THREE_DIGIT_EXPONENTS = (b"e000", b"E000", b"e+000", b"E+000")
_TWO_HUNDRED_DIGITS = b"0" * 200


# --- Encoding -------------------------------------------------------------------------------------

UNREAD: Any = object()  # stands for what bytes hold as long as nobody has read them

_dumps: Any = None
_loads: Any = None
_strict_integer = 0
_encoder: Callable[[Any], bytes] | None = None
_decoder: Callable[[Any], Any] | None = None


def put_off_orjson() -> None:
    """Begin with the standard library: to import orjson takes as long as to start a process and call it."""
    global _encoder, _decoder
    if _encoder is None:
        _encoder, _decoder = encode_stdlib, decode_stdlib


def choose_back_end() -> None:
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

    # The encoder asks for `_dumps` alone, so in another thread it must not be seen before the rest.
    _strict_integer = orjson.OPT_STRICT_INTEGER
    _loads = orjson.loads
    _dumps = orjson.dumps


def encode(value: Any) -> bytes:
    """The value as compact UTF-8 JSON on one line.

    Raises:
        InvalidValue: something in it cannot travel; its pointer says where.
    """
    if _encoder is None:
        choose_back_end()
    return _encoder(value)  # type: ignore[misc]


def encode_stdlib(value: Any) -> bytes:
    """`encode` with the standard library alone."""
    return _dump(plain(value))


def _dump(data: Any) -> bytes:
    return dumps(data).encode("utf-8")


def encode_orjson(value: Any) -> bytes:
    """`encode` with orjson."""
    return encode_reading(value)[0]


def encode_reading(value: Any) -> tuple[bytes, Any]:
    """`encode` with orjson, and what the bytes read as where that had to be found out, else `UNREAD`.

    The fast path is for values made of built-in types only.
    """
    if _dumps is None:
        _find_orjson()
    try:
        # orjson splices a Fragment unchecked and knows more types than we allow. marshal knows the
        # built-in types alone and is C, so it tells at once whether the careful walk is needed.
        marshal.dumps(value)
        data: bytes = _dumps(value, None, _strict_integer)
    except (ValueError, TypeError):
        return _dumps(plain(value)), UNREAD
    found = UNREAD
    # orjson writes NaN as null. Where there is a null, only a value equal to its re-reading had none.
    if data.rfind(b"null") >= 0:
        found = _loads(data)
        if found != value:
            return _dumps(plain(value)), UNREAD
    if len(data) > 2 * MAX_DEPTH and exceeds_depth(data):
        plain(value)
    return data, found


def exceeds_depth(data: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether JSON text nests more than `limit` containers; exact for valid JSON.

    It works on the brackets outside strings: taking away every innermost pair `limit` times
    leaves nothing of text that is flat enough.
    """
    if len(data) <= _SHORT and data.count(b"[") + data.count(b"{") <= limit:
        return False
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    shape = data.translate(None, _NOT_STRUCTURE)
    if len(shape) <= limit:
        return False
    # Where no string holds a bracket every quote has a neighbour, and all of them may go at once.
    if 2 * shape.count(b'""') != shape.count(b'"'):
        # Taking two neighbouring quotes away leaves the parity of every other byte as it was.
        shape = b"".join(shape.replace(b'""', b"").split(b'"')[::2])
    shape = shape.translate(_ROUND_TO_SQUARE, b'"')
    if len(shape) <= limit:
        return False
    for _ in range(limit):
        smaller = shape.replace(b"[]", b"")
        if len(smaller) == len(shape):
            break
        shape = smaller
    return shape.count(b"[") > limit or b"[]" in shape


def encode_decoded(value: Any) -> bytes:
    """`encode` for what came out of `decode`, or is a part of that, and was not changed since."""
    if _encoder is None:
        choose_back_end()
    if _encoder is encode_orjson:
        return _dumps(value)  # type: ignore[no-any-return]
    return _dump(value)


# --- Decoding -------------------------------------------------------------------------------------


def decode(data: bytes | str) -> Any:
    """The value that JSON text holds; of a key given twice the last wins.

    Raises:
        InvalidValue: the text is no JSON, or is outside the profile.
    """
    if _decoder is None:
        choose_back_end()
    return _decoder(data)  # type: ignore[misc]


def decode_orjson(data: bytes | str) -> Any:
    """`decode` with orjson."""
    if _loads is None:
        _find_orjson()
    raw = _raw(data)
    try:
        found = _loads(raw) if len(raw) < _MANY_OBJECTS or not gc.isenabled() else _loads_undisturbed(raw)
    except ValueError:
        return _decode_slowly(raw)
    if _is_suspect(raw):
        return _decode_slowly(raw)
    return found


def _loads_undisturbed(raw: bytes) -> Any:
    """Decode without the collector, which would walk the fresh objects again and again and free none."""
    gc.disable()
    try:
        return _loads(raw)
    finally:
        gc.enable()


def decode_and_encode(raw: bytes) -> tuple[Any, bytes]:
    """What `decode` gives, and the same encoded again: compact, with no key twice.

    Raises:
        InvalidValue: as `decode` does.
    """
    if _encoder is None:
        choose_back_end()
    if _encoder is encode_orjson:
        try:
            found = _loads(raw) if len(raw) < _MANY_OBJECTS or not gc.isenabled() else _loads_undisturbed(raw)
            again: bytes | None = _dumps(found, None, _strict_integer)
        except (ValueError, TypeError):
            found = again = None  # `decode` finds out what is wrong
        # In text that comes out as it went in no number was read as another one.
        if again is not None and again == raw and not (len(raw) > 2 * MAX_DEPTH and exceeds_depth(raw)):
            return found, again
    found = decode(raw)
    return found, encode_decoded(found)


def decode_stdlib(data: bytes | str) -> Any:
    """`decode` with the standard library alone."""
    raw = _raw(data)
    if _is_suspect(raw) or _may_overflow(raw) or b"\\ud" in raw or b"\\uD" in raw:
        return _decode_slowly(raw)
    try:
        return loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return _decode_slowly(raw)


def _may_overflow(raw: bytes) -> bool:
    """Whether a number may be too large for a float: a three-digit exponent, or hundreds of digits."""
    zeros = raw.translate(_DIGITS_TO_ZERO)
    if not _has_large_number(zeros):
        return False
    return _has_large_number(_outside_strings(zeros))  # in a text, such as a hash, it is none


def _has_large_number(zeros: bytes) -> bool:
    return any(sign in zeros for sign in _THREE_DIGIT_EXPONENTS) or _TWO_HUNDRED_DIGITS in zeros


def _outside_strings(raw: bytes) -> bytes:
    """JSON text with every string made empty."""
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b'""'.join(raw.split(b'"')[::2])


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


_LONG_INTEGER = rb"(?<![^\[,:\s])-?([0-9]{16,})(?![^\],}\s])"


def _has_long_integer(raw: bytes) -> bool:
    outside = _outside_strings(raw)
    if _SIXTEEN_DIGITS not in outside.translate(_DIGITS_TO_ZERO):
        return False
    import re

    for match in re.finditer(_LONG_INTEGER, outside):
        digits = match.group(1)
        if len(digits) > 16 or int(digits) > MAX_INTEGER:
            return True
    return False


def _mark_constant(name: str) -> Any:
    return Unreadable(f"{name} is no JSON number; use null instead", "nan")


def _mark_integer(digits: str) -> Any:
    if len(digits) <= 17:
        value = int(digits)
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return value
    shown = digits if len(digits) <= 24 else f"of {len(digits.lstrip('-'))} digits"
    message = f"the integer {shown} is beyond ±(2^53 - 1), where languages differ; send it as text"
    return Unreadable(message, "integer")


def _mark_float(digits: str) -> Any:
    value = float(digits)
    if math.isfinite(value):
        return value
    shown = digits if len(digits) <= 24 else digits[:21] + "..."
    return Unreadable(f"the number {shown} is too large", "number")


def _decode_slowly(raw: bytes) -> Any:
    """Reads again with every check in Python: the value after all, or what is wrong and where."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"the byte 0x{raw[error.start]:02x} at offset {error.start} is not UTF-8"
        raise InvalidValue("", message, "encoding") from None
    if exceeds_depth(raw):
        raise InvalidValue("", f"the value is more than {MAX_DEPTH} levels deep", "depth")
    import json

    try:
        found = json.loads(
            text, parse_int=_mark_integer, parse_float=_mark_float, parse_constant=_mark_constant
        )
    except RecursionError:
        raise InvalidValue("", f"the value is more than {MAX_DEPTH} levels deep", "depth") from None
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise InvalidValue("", message, "syntax") from None
    return Reread().of(found)


def equal(a: Any, b: Any) -> bool:
    """Whether two decoded values are the same JSON: numbers by value, booleans only equal booleans."""
    # Python's own comparison is right but for True == 1, so only what it calls equal is looked at.
    return bool(a == b) and _same_booleans(a, b)


def _same_booleans(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return all(_same_booleans(item, b[key]) for key, item in a.items())
    if isinstance(a, list):
        return all(map(_same_booleans, a, b))
    return (a is True or a is False) == (b is True or b is False)
