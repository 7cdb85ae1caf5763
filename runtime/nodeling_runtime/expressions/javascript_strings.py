"""String.prototype, for the methods that can be lowered. Positions count UTF-16 units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.budget import MAX_TEXT, Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.javascript_values import (
    UNDEFINED,
    WHITE_SPACE,
    refused,
    text_of,
    to_number,
    to_text,
    units,
)

__all__ = ["STRING_METHODS", "clamped", "integer"]


def integer(value: Any) -> float:
    """ToIntegerOrInfinity."""
    number = to_number(value)
    if number != number:
        return 0
    return number if math.isinf(number) else math.trunc(number)


def clamped(value: Any, size: int, default: int) -> int:
    """A position from the start, or from the end when negative, kept inside the size."""
    if value is UNDEFINED:
        return default
    place = integer(value)
    return int(max(size + place, 0)) if place < 0 else int(min(place, size))


def _position(value: Any, size: int, default: int = 0) -> int:
    return default if value is UNDEFINED else int(min(max(integer(value), 0), size))


def slice_string(text: str, budget: Budget, start: Any = UNDEFINED, stop: Any = UNDEFINED) -> str:
    held = units(text)
    return text_of(held[clamped(start, len(held), 0) : clamped(stop, len(held), len(held))])


def substring(text: str, budget: Budget, start: Any = UNDEFINED, stop: Any = UNDEFINED) -> str:
    held = units(text)
    first, last = _position(start, len(held)), _position(stop, len(held), len(held))
    return text_of(held[min(first, last) : max(first, last)])


def char_at(text: str, budget: Budget, place: Any = UNDEFINED) -> str:
    held, at = units(text), integer(place)
    return held[int(at)] if 0 <= at < len(held) else ""


def char_code_at(text: str, budget: Budget, place: Any = UNDEFINED) -> Any:
    held, at = units(text), integer(place)
    return ord(held[int(at)]) if 0 <= at < len(held) else math.nan


def at(text: str, budget: Budget, place: Any) -> Any:
    held, where = units(text), integer(place)
    where += len(held) if where < 0 else 0
    return held[int(where)] if 0 <= where < len(held) else UNDEFINED


def includes(text: str, budget: Budget, part: Any, start: Any = UNDEFINED) -> bool:
    return index_of(text, budget, part, start) >= 0


def index_of(text: str, budget: Budget, part: Any, start: Any = UNDEFINED) -> int:
    held = units(text)
    return held.find(units(to_text(part)), _position(start, len(held)))


def last_index_of(text: str, budget: Budget, part: Any) -> int:
    return units(text).rfind(units(to_text(part)))


def starts_with(text: str, budget: Budget, part: Any, start: Any = UNDEFINED) -> bool:
    held = units(text)
    return held.startswith(units(to_text(part)), _position(start, len(held)))


def ends_with(text: str, budget: Budget, part: Any, stop: Any = UNDEFINED) -> bool:
    held = units(text)
    return held[: _position(stop, len(held), len(held))].endswith(units(to_text(part)))


def split(text: str, budget: Budget, separator: Any) -> list[str]:
    if separator is UNDEFINED:
        return [text]
    held, mark = units(text), units(to_text(separator))
    if not mark:
        budget.spend(len(held))
        return list(held)
    budget.spend(held.count(mark) + 1)
    return [text_of(part) for part in held.split(mark)]


def concat(text: str, budget: Budget, *parts: Any) -> str:
    texts = [text, *map(to_text, parts)]
    budget.write(sum(map(len, texts)))
    return text_of("".join(texts))


def repeat(text: str, budget: Budget, count: Any) -> str:
    times = integer(count)
    if times < 0 or math.isinf(times):
        raise ExpressionError(f"repeat cannot take {to_text(count)}", code="expr.value")
    budget.write(int(min(len(text) * times, 2 * MAX_TEXT)))
    return text_of(text * int(times)) if text else ""


def _padding(text: str, budget: Budget, size: Any, filler: Any) -> str:
    fill = " " if filler is UNDEFINED else units(to_text(filler))
    missing = integer(size) - len(units(text))
    if missing <= 0 or not fill:
        return ""
    budget.write(int(min(missing, 2 * MAX_TEXT)))
    return (fill * (int(missing) // len(fill) + 1))[: int(missing)]


def pad_start(text: str, budget: Budget, size: Any, filler: Any = UNDEFINED) -> str:
    return text_of(_padding(text, budget, size, filler) + units(text))


def pad_end(text: str, budget: Budget, size: Any, filler: Any = UNDEFINED) -> str:
    return text_of(units(text) + _padding(text, budget, size, filler))


def replace(text: str, budget: Budget, old: Any, new: Any) -> str:
    held, part, by = units(text), units(to_text(old)), units(to_text(new))
    place = held.find(part)
    if place < 0:
        return text
    return text_of(held[:place] + _substituted(held, part, place, by, budget) + held[place + len(part) :])


def replace_all(text: str, budget: Budget, old: Any, new: Any) -> str:
    held, part, by = units(text), units(to_text(old)), units(to_text(new))
    pieces, position = [], 0
    place = held.find(part)
    while place >= 0:
        budget.spend(1)
        pieces += [held[position:place], _substituted(held, part, place, by, budget)]
        position = place + len(part)
        following = max(position, place + 1)
        place = held.find(part, following) if following <= len(held) else -1
    return text_of("".join(pieces) + held[position:])


def _substituted(held: str, part: str, place: int, by: str, budget: Budget) -> str:
    """GetSubstitution for a plain string: `$$`, `$&`, `` $` `` and `$'`."""
    pieces, position = [], 0
    while True:
        dollar = by.find("$", position)
        sign = by[dollar + 1 : dollar + 2]
        if dollar < 0:
            break
        pieces.append(by[position:dollar])
        marks = {"$": "$", "&": part, "`": held[:place], "'": held[place + len(part) :]}
        pieces.append(marks.get(sign, "$"))
        position = dollar + (2 if sign in marks else 1)
    made = "".join(pieces) + by[position:]
    budget.write(len(made))
    return made


def lower_case(text: str, budget: Budget) -> str:
    return _known(text).lower()


def upper_case(text: str, budget: Budget) -> str:
    return _known(text).upper()


def _known(text: str) -> str:
    """The text, unless Node may know a case for one of its characters that this Python does not."""
    if not text.isascii():
        from unicodedata import category

        for character in text:
            unassigned = category(character) == "Cn" and not _is_never_assigned(ord(character))
            if unassigned or character in _NEWLY_CASED:
                raise refused(f"the case of the character U+{ord(character):04X}")
    return text


def _is_never_assigned(point: int) -> bool:
    return point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF


# older characters that were given an upper case in later versions of Unicode
_NEWLY_CASED = "\u019b\u0264"

STRING_METHODS: dict[str, Callable[..., Any]] = {
    "at": at,
    "charAt": char_at,
    "charCodeAt": char_code_at,
    "concat": concat,
    "endsWith": ends_with,
    "includes": includes,
    "indexOf": index_of,
    "lastIndexOf": last_index_of,
    "padEnd": pad_end,
    "padStart": pad_start,
    "repeat": repeat,
    "replace": replace,
    "replaceAll": replace_all,
    "slice": slice_string,
    "split": split,
    "startsWith": starts_with,
    "substring": substring,
    "toLowerCase": lower_case,
    "toString": lambda text, budget: text,
    "toUpperCase": upper_case,
    "trim": lambda text, budget: text.strip(WHITE_SPACE),
    "trimEnd": lambda text, budget: text.rstrip(WHITE_SPACE),
    "trimStart": lambda text, budget: text.lstrip(WHITE_SPACE),
}
