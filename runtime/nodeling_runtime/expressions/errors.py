"""The one error an expression can end in.

Lexing, parsing, compiling and evaluating raise `ExpressionError` and nothing else, whatever the text and
whatever the data. The hint is worked out only when somebody reads it: an error that `??` swallows costs no
search for the nearest name.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from nodeling.errors import Fault, WorkflowError, nearest

__all__ = ["CODES", "ExpressionError", "no_output", "no_such_key", "syntax_error", "unknown_name"]

CODES: dict[str, str] = {
    "expr.syntax": "the text is not an expression",
    "expr.javascript": "the JavaScript cannot be expressed in this language",
    "expr.unknown_name": "no value has this name here",
    "expr.unknown_function": "no function has this name",
    "expr.arguments": "a function was given too few or too many arguments",
    "expr.no_such_key": "a map has no such key, or the value is null",
    "expr.no_output": "the step did not succeed, so it has no output",
    "expr.index": "a list or a text has no such place",
    "expr.type": "a value is of the wrong type for what is done with it",
    "expr.division": "division by zero",
    "expr.value": "a value is outside what JSON and this language allow",
    "expr.budget": "the expression costs more than it may",
    "expr.function": "a function from a plugin failed",
}

MISSING = frozenset({"expr.no_such_key", "expr.no_output", "expr.index"})

# More names than this help nobody, and comparing thousands of keys would take longer than the expression.
SHOWN_NAMES = 12
COMPARED_NAMES = 500


class ExpressionError(WorkflowError):
    """An expression that does not parse, or that has no value for this data.

    `position` is the offset in `source` where the trouble is; `pointer` is the JSON pointer of the string
    that holds the expression, when it came from a template.
    """

    default_code = "expr.syntax"

    def __init__(
        self,
        message: str,
        *,
        code: str = "expr.syntax",
        position: int | None = None,
        hint: str | None = None,
        source: str | None = None,
        pointer: str | None = None,
        word: str | None = None,
        known: Iterable[str] = (),
    ) -> None:
        self._hint: str | None = None
        self._word = word
        self._known = known
        super().__init__(message, code=code, hint=hint)
        self.position = position
        self.source = source
        self.pointer = pointer

    @property
    def hint(self) -> str | None:
        """What to try: the given hint, else the nearest known name and the names that exist."""
        if self._hint is None and self._word is not None:
            self._hint = names_hint(self._word, self._known)
        return self._hint

    @hint.setter
    def hint(self, value: str | None) -> None:
        self._hint = value

    @property
    def is_missing(self) -> bool:
        """Whether `?.`, `??` and `has()` take this error for an absent value."""
        return self.code in MISSING

    def placed(self, position: int) -> ExpressionError:
        """This error, given a position unless it has one already."""
        if self.position is None:
            self.position = position
        return self

    def __str__(self) -> str:
        """One line: what, in which expression, and what to try."""
        text = self.message
        if self.source is not None:
            text += f" in `{_clipped(self.source)}`"
            if self.position is not None:
                text += f" at offset {self.position}"
        if self.pointer:
            text += f" (at {self.pointer})"
        return f"{text}; {self.hint}" if self.hint else text

    def to_fault(self, pointer: str | None = None) -> Fault:
        """The error as one fault of a document."""
        message = self.message
        if self.source is not None:
            message += f" in `{_clipped(self.source)}`"
        return Fault(
            str(self.code), message, pointer if pointer is not None else self.pointer or "", self.hint
        )

    def __reduce__(self) -> tuple[object, ...]:
        keywords = {
            "code": self.code,
            "position": self.position,
            "hint": self.hint,
            "source": self.source,
            "pointer": self.pointer,
        }
        return (_rebuild, (self.message, keywords))


def _rebuild(message: str, keywords: dict[str, object]) -> ExpressionError:
    return ExpressionError(message, **keywords)  # type: ignore[arg-type]


def _clipped(text: str, room: int = 120) -> str:
    line = " ".join(text.split())
    return line if len(line) <= room else line[: room - 1] + "…"


def names_hint(word: str, known: Iterable[str]) -> str | None:
    """`did you mean 'x'? there are: x, y`, or None when nothing is known."""
    names = list(islice(known, COMPARED_NAMES))
    if not names:
        return None
    shown = ", ".join(_clipped(name, 40) for name in names[:SHOWN_NAMES])
    if len(names) > SHOWN_NAMES:
        shown += ", …"
    close = nearest(word, names)
    listing = f"there are: {shown}" if len(names) > 1 else f"there is only: {shown}"
    return f"did you mean '{_clipped(close, 60)}'? {listing}" if close else listing


def syntax_error(message: str, position: int, hint: str | None = None) -> ExpressionError:
    """An `expr.syntax` error at an offset."""
    return ExpressionError(message, code="expr.syntax", position=position, hint=hint)


def no_such_key(key: object, known: Iterable[str] = (), where: str = "") -> ExpressionError:
    """The error for a key that a map or a record lacks; it lists the keys that exist."""
    place = f" in {where}" if where else ""
    word = str(key)
    return ExpressionError(
        f"no key '{_clipped(word, 60)}'{place}", code="expr.no_such_key", word=word, known=known
    )


def no_output(step: str, status: str = "") -> ExpressionError:
    """The error for the output of a step that did not succeed."""
    reason = f", it is {status}" if status else ""
    return ExpressionError(
        f"step '{step}' has no output{reason}",
        code="expr.no_output",
        hint="guard it with ?., ?? or has(), or depend on its success",
    )


def unknown_name(name: str, known: Iterable[str] = ()) -> ExpressionError:
    """The error for a root that the scope does not have."""
    return ExpressionError(f"unknown name '{name}'", code="expr.unknown_name", word=name, known=known)
