"""Every error nodeling raises, named by what its reader does next.

NodelingError
├── ConfigError        fix the file: a document, a manifest, a run's input, a missing secret
├── WorkflowError      fix the graph: a cycle, a reference to a step that is no ancestor
├── PluginError        fix the install: a package that fails to import, two owners of one name
├── NodeError          the node said no; `retryable` says whether asking again can help
├── ProtocolError      the node's process broke the wire
├── NodeProcessError   the node's process or thread died, hung, or grew too big
└── StoreError         the place where runs are kept refused

A code is an integer when a node or its host made it (4000, 9005) and a dotted word when the
engine or a document check made it (`workflow.cycle`). Both are listed in
docs/reference/errors.json.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, TypeAlias

    from nodeling.fault import Fault

__all__ = [
    "ConfigError",
    "Fault",
    "NodeError",
    "NodeProcessError",
    "NodelingError",
    "PluginError",
    "ProtocolError",
    "StoreError",
    "WorkflowError",
    "nearest",
]

if TYPE_CHECKING:
    Code: TypeAlias = int | str


def __getattr__(name: str) -> Any:
    """`Fault`, when somebody asks: no node's process needs it, and dataclasses are slow to import."""
    if name == "Fault":
        from nodeling.fault import Fault

        return Fault
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class NodelingError(Exception):
    """The root: everything nodeling raises on purpose."""

    default_code: Code = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: Code | None = None,
        node: str | None = None,
        step: str | None = None,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
        faults: Iterable[Fault] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code: Code = self.default_code if code is None else code
        self.node = node
        self.step = step
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})
        self.faults: tuple[Fault, ...] = tuple(faults)

    def __str__(self) -> str:
        """One line: where, what, what to try; and one more for each fault of a document."""
        where = f"step {self.step!r}: " if self.step else ""
        text = f"{where}{self.message}"
        text = f"{text}; {self.hint}" if self.hint else text
        errors = [fault for fault in self.faults if fault.severity == "error"]
        if not errors or (len(errors) == 1 and errors[0].message in text):
            return text
        return "\n".join([f"{text}:", *(f"  {fault}" for fault in errors)])

    def in_file(self, file: str | None = None) -> tuple[Fault, ...]:
        """Its faults; itself as the only one when it has none."""
        from nodeling.fault import Fault

        return self.faults or (Fault(str(self.code), self.message, file=file, hint=self.hint),)

    def to_json(self) -> dict[str, Any]:
        """The error as data, as `--json` prints it."""
        body: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "type": type(self).__name__,
            "step": self.step,
            "node": self.node,
            "hint": self.hint,
            "details": self.details,
        }
        if self.faults:
            body["faults"] = [fault.to_json() for fault in self.faults]
        return body


class ConfigError(NodelingError):
    """A document, a manifest or a run's input is wrong: fix the file."""

    default_code = "config.invalid"


class WorkflowError(NodelingError):
    """The graph is wrong: fix the workflow."""

    default_code = "workflow.invalid"


class PluginError(NodelingError):
    """An installed package is broken or two of them collide: fix the install."""

    default_code = "plugin.broken"


class NodeError(NodelingError):
    """The node said no. Raise it from a node to choose the code and whether a retry can help.

    `started=False` says that nothing was done, so that trying again is safe whatever the node's `effects`.
    """

    default_code = 4000

    def __init__(
        self,
        message: str,
        *,
        code: Code | None = None,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
        node: str | None = None,
        step: str | None = None,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
        started: bool = True,
    ) -> None:
        super().__init__(message, code=code, node=node, step=step, hint=hint, details=details)
        self.retryable = retryable
        self.started = started
        self.retry_after_ms = retry_after_ms


class ProtocolError(NodelingError):
    """The node's process broke the protocol; the call counts as an attempt."""

    default_code = 9004


class NodeProcessError(NodelingError):
    """The node's process or thread died, ran out of time or grew too big."""

    default_code = 9003


class StoreError(NodelingError):
    """The place where runs are kept cannot be used."""

    default_code = "store.unavailable"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` most likely means, or None when nothing is close."""
    from difflib import get_close_matches

    names = list(known)
    for name in names:
        if name.lower().replace("_", "-") == word.lower().replace("_", "-"):
            return name
    found = get_close_matches(word, names, n=1, cutoff=0.6)
    return found[0] if found else None
