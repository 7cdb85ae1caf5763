"""What was found wrong, counted whole and listed up to a bound."""

from __future__ import annotations

from typing import Any


class Report:
    """Gathers the faults of many records."""

    def __init__(self, total: int, max_listed: int) -> None:
        self._total = total
        self._max_listed = max_listed
        self._invalid: set[int] = set()
        self._errors: list[dict[str, Any]] = []
        self._warnings: list[dict[str, Any]] = []
        self._counts: dict[str, int] = {}
        self._error_count = 0
        self._warning_count = 0

    def expect(self, check: str) -> None:
        """A check is made; it stands in the report with 0 when nothing is found."""
        self._counts.setdefault(check, 0)

    def error(self, index: int, check: str, pointer: str, message: str) -> None:
        """A record is not valid."""
        self._invalid.add(index)
        self._error_count += 1
        self._note(self._errors, index, check, pointer, message)

    def warning(self, index: int, check: str, pointer: str, message: str) -> None:
        """A record deserves a look."""
        self._warning_count += 1
        self._note(self._warnings, index, check, pointer, message)

    def _note(self, kept: list[dict[str, Any]], index: int, check: str, pointer: str, message: str) -> None:
        self._counts[check] += 1
        if len(kept) < self._max_listed:
            kept.append({"index": index, "check": check, "pointer": pointer, "message": message})

    def to_json(self, records: list[Any] | None) -> dict[str, Any]:
        """The report; with the records, those that are valid and those that are not."""
        bad = len(self._invalid)
        body: dict[str, Any] = {
            "valid": not bad,
            "score": round(1 - bad / self._total, 6) if self._total else 1.0,
            "total": self._total,
            "valid_count": self._total - bad,
            "invalid_count": bad,
            "error_count": self._error_count,
            "warning_count": self._warning_count,
            "checks": self._counts,
            "errors": self._errors,
            "warnings": self._warnings,
        }
        if records is not None:
            body["valid_records"] = [one for i, one in enumerate(records) if i not in self._invalid]
            body["invalid_records"] = [one for i, one in enumerate(records) if i in self._invalid]
        return body
