"""Read CSV: named columns, typed fields, and every bad row with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nodeling import Context, NodeError
from nodeling.errors import nearest
from nodeling_nodes import _files

from . import fields

MAX_LISTED = 1_000
Row = tuple[int, list[str]]


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Read, name, and give every field its type."""
    where = inputs.get("path", "the text")
    with _lines(inputs) as lines:
        table = Table(where, inputs)
        for line, values in _records(lines, inputs, where):
            table.add(line, values)
            if ctx.cancelled:
                raise NodeError("cancelled", code=9006, retryable=False)
    ctx.metric("rows", len(table.rows))
    ctx.metric("bad_rows", table.bad_count)
    return table.to_json()


class Table:
    """The rows as they are gathered."""

    def __init__(self, where: str, inputs: Mapping[str, Any]) -> None:
        self.rows: list[dict[str, Any]] = []
        self.bad: list[dict[str, Any]] = []
        self.bad_count = 0
        self._where = where
        self._how = inputs.get("bad_rows", "fail")
        self._limit = inputs.get("max_rows", 1_000_000)
        self._empty = None if inputs.get("empty", "null") == "null" else ""
        self._types = inputs.get("types", {})
        self._wanted = inputs.get("columns")
        self._names: list[str] | None = None
        header = inputs.get("header", True)
        self._first_names = header is True
        if isinstance(header, list):
            self._name(0, header)

    def add(self, line: int, values: list[str]) -> None:
        """Take one record."""
        if self._names is None:
            names = values if self._first_names else [f"column_{i + 1}" for i in range(len(values))]
            self._name(line, names)
            if self._first_names:
                return
        names = self._names or []
        if len(values) != len(names):
            said = f"{len(values)} field{'' if len(values) == 1 else 's'} where {len(names)} are wanted"
            if not self._is_bad(line, said):
                return
            values = [*values, *[""] * (len(names) - len(values))][: len(names)]
        row = self._row(line, dict(zip(names, values, strict=True)))
        if row is not None:
            if len(self.rows) >= self._limit:
                raise NodeError(
                    f"{self._where} has more than {self._limit} rows, its `max_rows`",
                    code=4005,
                    retryable=False,
                )
            self.rows.append(row)

    def _name(self, line: int, names: list[str]) -> None:
        twice = [name for name in names if names.count(name) > 1]
        if twice or "" in names:
            said = f"two columns are called {twice[0]!r}" if twice and twice[0] else "a column has no name"
            raise self._refusal(line, said, "name them with `header`")
        asked = [*(self._wanted or []), *(self._types if isinstance(self._types, dict) else [])]
        for name in asked:
            if name not in names:
                near = nearest(name, names)
                raise self._refusal(
                    line, f"there is no column {name!r}", f"did you mean {near!r}?" if near else None
                )
        self._names = names

    def _row(self, line: int, given: dict[str, str]) -> dict[str, Any] | None:
        row: dict[str, Any] = {}
        for name in self._wanted or given:
            text = given[name]
            kind = self._types.get(name, "text") if isinstance(self._types, dict) else "text"
            if text == "":
                row[name] = self._empty
                continue
            try:
                row[name] = fields.READ[kind](text)
            except ValueError as error:
                if not self._is_bad(line, f"{name}: {error}"):
                    return None
                row[name] = text
        return row

    def _is_bad(self, line: int, message: str) -> bool:
        """Note a bad row. True when it is kept all the same."""
        if self._how == "fail":
            raise self._refusal(line, message, "`bad_rows: skip` lists such rows and goes on")
        self.bad_count += 1
        if len(self.bad) < MAX_LISTED:
            self.bad.append({"line": line, "message": message})
        return bool(self._how == "keep-text")

    def _refusal(self, line: int, message: str, hint: str | None) -> NodeError:
        place = f"{self._where}:{line}" if line else self._where
        return NodeError(
            f"{place}: {message}", code=4001, retryable=False, hint=hint, details={"line": line or None}
        )

    def to_json(self) -> dict[str, Any]:
        """The node's output."""
        if self._types == "infer":
            fields.infer(self.rows, self._wanted or self._names or [])
        return {
            "rows": self.rows,
            "columns": self._wanted or self._names or [],
            "count": len(self.rows),
            "bad": self.bad,
            "bad_count": self.bad_count,
        }


@contextmanager
def _lines(inputs: Mapping[str, Any]) -> Iterator[io.TextIOBase]:
    """The text, line by line."""
    if "text" in inputs:
        yield io.StringIO(inputs["text"], newline="")
        return
    encoding = inputs.get("encoding", "utf-8")
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    with _files.opened(inputs["path"], inputs.get("max_bytes", _files.MAX_BYTES)) as file:
        try:
            text = io.TextIOWrapper(file, encoding=encoding, newline="")
        except LookupError as error:
            raise NodeError(f"there is no encoding {encoding!r}", code=4001, retryable=False) from error
        with text:
            yield text


def _records(lines: io.TextIOBase, inputs: Mapping[str, Any], where: str) -> Iterator[Row]:
    """The records, each with the line that it begins on."""
    skip, comment = inputs.get("skip_lines", 0), inputs.get("comment")
    passed = 0

    def kept() -> Iterator[str]:
        nonlocal passed
        for line in lines:
            passed += 1
            if passed > skip and not (comment and line.startswith(comment)):
                yield line

    try:
        reader = csv.reader(
            kept(), delimiter=inputs.get("delimiter", ","), quotechar=inputs.get("quote", '"'), strict=True
        )
    except (TypeError, ValueError) as error:
        raise NodeError(f"CSV cannot be read like that: {error}", code=4001, retryable=False) from error
    before = 0
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise NodeError(f"{where}:{passed}: {error}", code=4001, retryable=False) from error
        except UnicodeDecodeError as error:
            said = f"{error.reason} at byte {error.start}"
            raise NodeError(
                f"{where}: behind line {passed} it is no {inputs.get('encoding', 'utf-8')}: {said}",
                code=4001,
                retryable=False,
            ) from error
        began, before = passed - (reader.line_num - before) + 1, reader.line_num
        if values:
            yield began, values
