"""What goes into a statement and what comes out of one, as JSON."""

from __future__ import annotations

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from nodeling import NodeError

MAX_INTEGER = 2**53 - 1
AT_ONCE = 1_000


class Result:
    """The rows of the last statement, and how many rows all of them changed."""

    def __init__(self, max_rows: int) -> None:
        self.rows: list[dict[str, Any]] = []
        self.columns: list[str] = []
        self.changed = 0
        self._max_rows = max_rows

    def take(self, cursor: Any, where: str) -> None:
        """Keep what a statement gave in the place of what the one before gave."""
        self.rows, self.columns = [], []
        if cursor.description is None:
            return
        self.columns = [str(column[0]) for column in cursor.description]
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            raise NodeError(
                f"{where} gives two columns called {twice[0]!r}",
                code=4001,
                retryable=False,
                hint="name them with `as`",
            )
        while rows := cursor.fetchmany(AT_ONCE):
            if len(self.rows) + len(rows) > self._max_rows:
                raise NodeError(
                    f"{where} gives more than {self._max_rows} rows, its `max_rows`",
                    code=4005,
                    retryable=False,
                )
            self.rows.extend(dict(zip(self.columns, map(plain, row), strict=True)) for row in rows)

    def to_json(self) -> dict[str, Any]:
        """The node's output."""
        return {
            "rows": self.rows,
            "columns": self.columns,
            "row_count": len(self.rows),
            "changed": self.changed,
        }


def check_parameters(given: Any, where: str) -> None:
    """Refuse what no database takes as one value."""
    items = given.items() if isinstance(given, dict) else enumerate(given)
    for name, value in items:
        if isinstance(value, (dict, list)):
            raise NodeError(
                f"{where}: parameter {name!r} is {'an object' if isinstance(value, dict) else 'a list'}",
                code=4001,
                retryable=False,
                hint="pass a text, a number, a boolean or null; for a list, json_each or one parameter each",
            )


def plain(value: Any) -> Any:
    """A value of a database as JSON: exact, or a text."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_INTEGER else str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)  # a UUID, a network address, an enum


def _number(value: Decimal) -> Any:
    """A decimal as a number where that says the same, else as its text."""
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value():
        return int(value) if abs(value) <= MAX_INTEGER else str(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)
