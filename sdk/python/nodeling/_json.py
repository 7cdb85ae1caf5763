"""`json.dumps` and `json.loads` as values need them, by the C half of the package where there is one.

The Python half imports regular expressions, which takes longer than a short call of a worker. The
two are the same code: what is done here is what `json` does before it calls it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from typing import Any

__all__ = ["dumps", "loads"]

_WHITE_SPACE = " \t\n\r"


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


class _Reading:
    """What the C scanner asks for."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_constant)
    memo: dict[str, str] = {}


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _quick() -> tuple[Any, Any]:
    """The C scanner and encoder, tried out.

    Raises:
        ImportError, TypeError: This Python has none, or others.
    """
    from _json import encode_basestring, make_encoder, make_scanner

    scan = make_scanner(_Reading)  # type: ignore[arg-type]  # it asks for these attributes alone
    write = make_encoder(None, _refuse, encode_basestring, None, ":", ",", False, False, False)
    if scan('{"a":[1]}', 0) != ({"a": [1]}, 9) or "".join(write({"a": ["é"]}, 0)) != '{"a":["é"]}':
        raise TypeError("the C half of json is not as it was")
    return scan, write


try:
    _scan, _write = _quick()
except (ImportError, TypeError):
    import json

    def dumps(value: Any) -> str:
        """Plain data as compact JSON."""
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def loads(text: str) -> Any:
        """What JSON text holds; NaN and Infinity are errors."""
        return json.loads(text, parse_constant=_constant)
else:

    def dumps(value: Any) -> str:
        """Plain data as compact JSON."""
        return "".join(_write(value, 0))

    def loads(text: str) -> Any:
        """What JSON text holds; NaN and Infinity are errors."""
        try:
            found, end = _scan(text, len(text) - len(text.lstrip(_WHITE_SPACE)))
        except (StopIteration, SystemError):
            # The scanner takes its exception from `json.decoder`, and has none while that is not imported.
            raise ValueError("not JSON") from None
        if text[end:].strip(_WHITE_SPACE):
            raise ValueError(f"more than one JSON value, at character {end}")
        return found
