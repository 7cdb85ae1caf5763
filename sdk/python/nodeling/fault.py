"""One thing wrong with one place of a document."""

from __future__ import annotations

from typing import Any, Literal

from nodeling._dataclass import dataclass
from nodeling._python import SLOTS

__all__ = ["Fault"]


@dataclass(frozen=True, **SLOTS)
class Fault:
    """One thing wrong with one place of one document."""

    code: str
    message: str
    pointer: str = ""
    hint: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """`file:line:column: message (pointer); hint`, leaving out what is not known."""
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{where}: {self.message}" if where else self.message
        if self.pointer:
            text += f" (at {self.pointer})"
        return one_line(f"{text}; {self.hint}" if self.hint else text)

    def to_json(self) -> dict[str, Any]:
        """The same as data, in a fixed order of keys."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "pointer": self.pointer,
            "hint": self.hint,
        }


def one_line(text: str) -> str:
    """The text without characters that would break its line or move a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
