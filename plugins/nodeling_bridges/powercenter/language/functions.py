"""The functions of the transformation language that workflows use, over JSON values.

NULL is None, a truth is 1 or 0, a date is a text in ISO form (`2026-01-31T00:00:00`). A function of a
NULL argument gives NULL unless it says otherwise (`nulls=True`). Whoever is given something wrong raises
`EvaluationFault`, which the evaluator places.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nodeling_bridges.powercenter.language import dates


class EvaluationFault(ValueError):
    """An expression has no value: an operand is of the wrong kind, or is not known."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how many arguments it takes, and whether it wants to see NULLs."""

    call: Callable[..., Any]
    least: int
    most: int | None
    nulls: bool = False


def number_of(value: Any) -> int | float:
    """A value as a number; a text that spells one is one.

    Raises:
        EvaluationFault: It is none.
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        if math.isfinite(found):
            return (
                int(found) if found == int(found) and "e" not in value.lower() and "." not in value else found
            )
    raise EvaluationFault(f"{value!r} is no number")


def text_of(value: Any) -> str:
    """A value as a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _iif(condition: Any, then: Any, otherwise: Any = 0) -> Any:
    return then if is_true(condition) else otherwise


def is_true(value: Any) -> bool:
    """Whether a condition holds: NULL does not."""
    return value is not None and number_of(value) != 0


def _decode(value: Any, *pairs: Any) -> Any:
    for search, result in zip(pairs[::2], pairs[1::2], strict=False):
        same = value is None if search is None else value is not None and text_of(value) == text_of(search)
        if same:
            return result
    return pairs[-1] if len(pairs) % 2 else None


def _substr(text: Any, start: Any, length: Any = None) -> str | None:
    value, begin = text_of(text), int(number_of(start))
    begin = begin - 1 if begin > 0 else max(0, len(value) + begin) if begin < 0 else 0
    if length is None:
        return value[begin:] or None
    count = int(number_of(length))
    return (value[begin : begin + count] or None) if count > 0 else None


def _instr(text: Any, search: Any, start: Any = 1, occurrence: Any = 1) -> int:
    value, wanted, at = text_of(text), text_of(search), int(number_of(start)) - 1
    for _ in range(int(number_of(occurrence))):
        at = value.find(wanted, max(at, 0))
        if at < 0:
            return 0
        at += 1
    return at


def _in(value: Any, *others: Any) -> int | None:
    if value is None:
        return None
    return int(any(other is not None and text_of(value) == text_of(other) for other in others))


def _round(value: Any, precision: Any = 0) -> int | float:
    number, places = number_of(value), int(number_of(precision))
    scale = 10.0**places
    rounded = math.floor(abs(number) * scale + 0.5) / scale * (1 if number >= 0 else -1)
    return int(rounded) if places <= 0 else rounded


def _trunc(value: Any, part: Any = 0) -> Any:
    if isinstance(value, str) and dates.is_date(value):
        return dates.truncated(value, "DD" if part == 0 else text_of(part))
    scale = 10.0 ** int(number_of(part))
    number = math.trunc(number_of(value) * scale) / scale
    return int(number) if number == int(number) else number


def _mod(value: Any, divisor: Any) -> int | float:
    left, right = number_of(value), number_of(divisor)
    if right == 0:
        raise EvaluationFault("MOD by 0")
    return (
        math.fmod(left, right)
        if isinstance(left, float) or isinstance(right, float)
        else int(math.fmod(left, right))
    )


def _power(value: Any, exponent: Any) -> float:
    try:
        return math.pow(number_of(value), number_of(exponent))
    except (OverflowError, ValueError) as error:
        raise EvaluationFault(f"POWER has no value here: {error}") from error


def _padded(text: Any, length: Any, fill: Any, *, left: bool) -> str:
    value, size, piece = text_of(text), int(number_of(length)), text_of(fill)
    if size > 32_767:
        raise EvaluationFault("a text of more than 32,767 characters")
    more = (piece * (size // max(1, len(piece)) + 1))[: max(0, size - len(value))]
    return (more + value if left else value + more)[:size]


def _trimmed(text: Any, characters: Any, *, left: bool) -> str:
    value = text_of(text)
    return value.lstrip(text_of(characters)) if left else value.rstrip(text_of(characters))


def _is_number(value: Any) -> int:
    try:
        number_of(value)
    except EvaluationFault:
        return 0
    return 1


def _date(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (ValueError, OverflowError) as error:
            raise EvaluationFault(str(error)) from error

    return call


def _to_date(text: Any, form: Any = dates.DEFAULT_FORM) -> str:
    return dates.iso(dates.read(text_of(text), text_of(form)))


def _to_char(value: Any, form: Any = None) -> str:
    if isinstance(value, str) and dates.is_date(value):
        return dates.written(value, text_of(form) if form is not None else dates.DEFAULT_FORM)
    return text_of(value)


def _add_to_date(value: Any, part: Any, amount: Any) -> str:
    return dates.added(text_of(value), text_of(part), int(number_of(amount)))


def _date_diff(one: Any, other: Any, part: Any) -> float:
    return dates.difference(text_of(one), text_of(other), text_of(part))


def _get_date_part(value: Any, part: Any) -> int:
    return dates.part_of(text_of(value), text_of(part))


def _last_day(value: Any) -> str:
    here = dates.parsed(text_of(value))
    following = (here.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
    return dates.iso((following - datetime.timedelta(days=1)).replace(hour=here.hour, minute=here.minute))


FUNCTIONS: dict[str, Function] = {
    "ABS": Function(lambda value: abs(number_of(value)), 1, 1),
    "ADD_TO_DATE": Function(_date(_add_to_date), 3, 3),
    "CEIL": Function(lambda value: math.ceil(number_of(value)), 1, 1),
    "CONCAT": Function(
        lambda a, b: text_of("" if a is None else a) + text_of("" if b is None else b), 2, 2, True
    ),
    "DATE_COMPARE": Function(_date(lambda a, b: dates.compared(text_of(a), text_of(b))), 2, 2),
    "DATE_DIFF": Function(_date(_date_diff), 3, 3),
    "DECODE": Function(_decode, 3, None, True),
    "FLOOR": Function(lambda value: math.floor(number_of(value)), 1, 1),
    "GET_DATE_PART": Function(_date(_get_date_part), 2, 2),
    "GREATEST": Function(lambda *values: max(values, key=number_of), 1, None),
    "IIF": Function(_iif, 2, 3, True),
    "IN": Function(_in, 2, None, True),
    "INITCAP": Function(lambda value: text_of(value).title(), 1, 1),
    "INSTR": Function(_instr, 2, 4),
    "ISNULL": Function(lambda value: int(value is None), 1, 1, True),
    "IS_DATE": Function(lambda value: int(dates.is_date(text_of(value))), 1, 1),
    "IS_NUMBER": Function(_is_number, 1, 1),
    "IS_SPACES": Function(lambda value: int(text_of(value) != "" and not text_of(value).strip(" ")), 1, 1),
    "LAST_DAY": Function(_date(_last_day), 1, 1),
    "LEAST": Function(lambda *values: min(values, key=number_of), 1, None),
    "LENGTH": Function(lambda value: len(text_of(value)), 1, 1),
    "LOWER": Function(lambda value: text_of(value).lower(), 1, 1),
    "LPAD": Function(lambda text, length, fill=" ": _padded(text, length, fill, left=True), 2, 3),
    "LTRIM": Function(lambda text, characters=" ": _trimmed(text, characters, left=True), 1, 2),
    "MOD": Function(_mod, 2, 2),
    "POWER": Function(_power, 2, 2),
    "REPLACESTR": Function(
        lambda case, text, old, new: text_of(text).replace(text_of(old), "" if new is None else text_of(new)),
        4,
        4,
    ),
    "ROUND": Function(_round, 1, 2),
    "RPAD": Function(lambda text, length, fill=" ": _padded(text, length, fill, left=False), 2, 3),
    "RTRIM": Function(lambda text, characters=" ": _trimmed(text, characters, left=False), 1, 2),
    "SIGN": Function(lambda value: (number_of(value) > 0) - (number_of(value) < 0), 1, 1),
    "SUBSTR": Function(_substr, 2, 3),
    "TO_CHAR": Function(_date(_to_char), 1, 2),
    "TO_DATE": Function(_date(_to_date), 1, 2),
    "TO_DECIMAL": Function(
        lambda value, scale=None: number_of(value) if scale is None else _round(value, scale), 1, 2
    ),
    "TO_FLOAT": Function(lambda value: float(number_of(value)), 1, 1),
    "TO_INTEGER": Function(
        lambda value, truncate=0: math.trunc(number_of(value)) if truncate else _round(value), 1, 2
    ),
    "TRUNC": Function(_date(_trunc), 1, 2),
    "UPPER": Function(lambda value: text_of(value).upper(), 1, 1),
}
