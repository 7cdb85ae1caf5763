"""Dates of the transformation language: texts in ISO form inside, forms such as MM/DD/YYYY outside."""

from __future__ import annotations

import calendar
import datetime
import re

DEFAULT_FORM = "MM/DD/YYYY HH24:MI:SS"
Moment = datetime.datetime

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?)?")
_PIECES = re.compile(
    r"YYYY|YY|MONTH|MON|MM|DDD|DD|DAY|DY|HH24|HH12|HH|MI|SSSSS|SS|MS|US|AM|PM|Q", re.IGNORECASE
)
_STRPTIME = {
    "YYYY": "%Y", "YY": "%y", "MONTH": "%B", "MON": "%b", "MM": "%m", "DDD": "%j", "DD": "%d",
    "DAY": "%A", "DY": "%a", "HH24": "%H", "HH12": "%I", "HH": "%I", "MI": "%M", "SS": "%S", "US": "%f",
    "AM": "%p", "PM": "%p",
}  # fmt: skip
_UNITS = {
    "YEAR": ("Y", "YY", "YYY", "YYYY"), "MONTH": ("MM", "MON", "MONTH"),
    "DAY": ("D", "DD", "DDD", "DAY", "DY"),
    "HOUR": ("HH", "HH12", "HH24"), "MINUTE": ("MI",), "SECOND": ("SS",), "MILLISECOND": ("MS",),
}  # fmt: skip
_SECONDS = {"DAY": 86_400.0, "HOUR": 3_600.0, "MINUTE": 60.0, "SECOND": 1.0, "MILLISECOND": 0.001}


def is_date(text: str) -> bool:
    """Whether a text is a date in the inner form."""
    if not _ISO.fullmatch(text):
        return False
    try:
        Moment.fromisoformat(text)
    except ValueError:
        return False
    return True


def parsed(text: str) -> Moment:
    """The moment of a date in the inner form, else in the default one."""
    return (
        Moment.fromisoformat(text).replace(tzinfo=None) if _ISO.fullmatch(text) else read(text, DEFAULT_FORM)
    )


def iso(moment: Moment) -> str:
    """The inner form of a moment."""
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def read(text: str, form: str) -> Moment:
    """A date that was written in a form.

    Raises:
        ValueError: It was not, or the form has a part that cannot be read.
    """
    return Moment.strptime(text, _translated(form))


def written(text: str, form: str) -> str:
    """A date in a form."""
    moment = parsed(text)
    pieces = {
        "SSSSS": f"{moment.hour * 3600 + moment.minute * 60 + moment.second:05}",
        "MS": f"{moment.microsecond // 1000:03}",
        "Q": str((moment.month + 2) // 3),
    }

    def piece(match: re.Match[str]) -> str:
        word = match.group().upper()
        return pieces[word] if word in pieces else moment.strftime(_STRPTIME[word])

    return _PIECES.sub(piece, form)


def unit_of(part: str) -> str:
    """The unit that a part such as `MM` or `HH24` names.

    Raises:
        ValueError: It names none.
    """
    word = part.upper()
    for unit, names in _UNITS.items():
        if word in names:
            return unit
    raise ValueError(f"{part!r} is no part of a date")


def added(text: str, part: str, amount: int) -> str:
    """A date moved by so many units."""
    moment, unit = parsed(text), unit_of(part)
    if unit in _SECONDS:
        return iso(moment + datetime.timedelta(seconds=_SECONDS[unit] * amount))
    months = moment.year * 12 + moment.month - 1 + amount * (12 if unit == "YEAR" else 1)
    year, month = divmod(months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return iso(moment.replace(year=year, month=month + 1, day=day))


def difference(one: str, other: str, part: str) -> float:
    """How many units the first date is later than the second."""
    left, right, unit = parsed(one), parsed(other), unit_of(part)
    if unit in _SECONDS:
        return (left - right).total_seconds() / _SECONDS[unit]
    months = (left.year - right.year) * 12 + left.month - right.month
    rest = (left.day - right.day) / 31 + (_time_of_day(left) - _time_of_day(right)) / (31 * 86_400)
    return (months + rest) / (12 if unit == "YEAR" else 1)


def _time_of_day(moment: Moment) -> float:
    return moment.hour * 3_600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6


def compared(one: str, other: str) -> int:
    """-1, 0 or 1."""
    left, right = parsed(one), parsed(other)
    return (left > right) - (left < right)


def part_of(text: str, part: str) -> int:
    """One part of a date as a number."""
    moment, unit = parsed(text), unit_of(part)
    if unit == "MILLISECOND":
        return moment.microsecond // 1000
    if part.upper() == "HH12":
        return moment.hour % 12 or 12
    return int(getattr(moment, unit.lower()))


def truncated(text: str, part: str) -> str:
    """A date with everything below a unit at its least."""
    order = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND")
    least = {"MONTH": 1, "DAY": 1, "HOUR": 0, "MINUTE": 0, "SECOND": 0}
    below = order[order.index(unit_of(part)) + 1 :]
    changes = {unit.lower(): least[unit] for unit in below if unit in least}
    moment = parsed(text)
    micro = moment.microsecond // 1000 * 1000 if not below else 0
    return iso(moment.replace(microsecond=micro, **changes))  # type: ignore[arg-type]


def _translated(form: str) -> str:
    def piece(match: re.Match[str]) -> str:
        word = match.group().upper()
        if word not in _STRPTIME:
            raise ValueError(f"a date cannot be read by {match.group()!r}")
        return _STRPTIME[word]

    return _PIECES.sub(piece, form.replace("%", "%%"))
