"""What the names in an expression mean for one step: `ctx`, `steps`, `item` and their like.

Everything is looked up when it is asked for; values are shared with the engine, read-only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nodeling.errors import nearest
from nodeling_runtime.engine.context import Frame, View
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.record import Record
from nodeling_runtime.values import Value

if TYPE_CHECKING:
    from nodeling_runtime.engine.record import StepRecord

Parts = Callable[[str], Any]
ROOTS = ("ctx", "steps")
STEP_KEYS = ("output", "status", "reason", "error", "metrics", "started", "ended")
CTX_KEYS = ("request", "vars", "config", "env", "run", "error", "response")


class Fields(Record):
    """A record whose keys are computed when they are asked for."""

    def __init__(self, what: str, fields: Mapping[str, Callable[[], Any]]) -> None:
        self._what = what
        self._fields = fields

    def get(self, key: str) -> Any:
        """The field's value."""
        field = self._fields.get(key)
        if field is None:
            raise missing(self._what, key, self._fields)
        return field()

    def keys(self) -> Iterable[str]:
        """The fields there are."""
        return self._fields.keys()


def missing(what: str, key: str, known: Iterable[str]) -> ExpressionError:
    """The error of a key that is not there."""
    names = list(known)
    near = nearest(key, names)
    hint = (
        f"did you mean {near!r}?"
        if near
        else (f"there is {', '.join(names[:12])}" if names else "it is empty")
    )
    return ExpressionError(f"{what} has no {key!r}", code="expr.no_such_key", hint=hint)


class Vars(Record):
    """`ctx.vars`: what was written, and outputs under their steps' names."""

    def __init__(self, view: View) -> None:
        self._view = view

    def get(self, key: str) -> Any:
        """The variable's value, shared."""
        output = self._view.output_of(key)
        if output is not None:
            return output.readable()
        write = self._view.write(key)
        if write is None or write.data is None:
            raise missing("ctx.vars", key, self._view.keys())
        return Value.from_checked(write.data).shared()

    def keys(self) -> Iterable[str]:
        """Every variable that can be read."""
        return self._view.keys()


class Steps(Record):
    """`steps`: the ancestors in this scope and in those around it."""

    __slots__ = ("_view",)

    def __init__(self, view: View) -> None:
        self._view = view

    def leap(self, keys: Sequence[str | int]) -> tuple[Any, int]:
        """The output of a step that succeeded, which most paths lead to."""
        if len(keys) > 1 and keys[1] == "output":
            view: View | None = self._view
            while view is not None:
                index = view.frame.plan.index.get(keys[0])  # type: ignore[arg-type]
                if index is not None:
                    record, output = view.frame.records[index], view.frame.outputs[index]
                    if record is not None and record.status == "succeeded" and output is not None:
                        return output.readable(), 2
                    break
                view = view.frame.parent
        return self, 0

    def get(self, key: str) -> Any:
        """One step."""
        view: View | None = self._view
        while view is not None:
            index = view.frame.plan.index.get(key)
            if index is not None:
                return StepFields(key, view.frame, index)
            view = view.frame.parent
        raise missing("steps", key, self.keys())

    def keys(self) -> Iterable[str]:
        """The names that may be asked for."""
        names: list[str] = []
        view: View | None = self._view
        while view is not None:
            names.extend(view.frame.plan.index)
            view = view.frame.parent
        return names


class StepFields(Record):
    """One step, as far as it has come."""

    __slots__ = ("_frame", "_index", "_name", "_record")

    def __init__(self, name: str, frame: Frame, index: int) -> None:
        self._name = name
        self._frame = frame
        self._index = index
        self._record: StepRecord | None = frame.records[index]

    def get(self, key: str) -> Any:
        """What is asked of it."""
        record = self._record
        if key == "output":
            return self._output()
        if key == "status":
            return "pending" if record is None else record.status
        if key == "reason":
            return None if record is None else record.reason
        if key == "error":
            return None if record is None else record.error_json()
        if key == "metrics":
            return (record.metrics if record is not None else None) or {}
        if key in ("started", "ended"):
            return None if record is None else self._moment(getattr(record, f"{key}_at"))
        raise missing(f"steps.{self._name}", key, STEP_KEYS)

    def keys(self) -> Iterable[str]:
        """What there is to ask."""
        return STEP_KEYS

    def _moment(self, at: float | None) -> str | None:
        """A moment of the run's clock, as the world writes it."""
        top = self._frame
        while top.parent is not None and top.epoch is None:
            top = top.parent.frame
        if at is None or top.epoch is None:
            return None
        moment = datetime.fromtimestamp(round(top.epoch(at), 3), UTC)
        return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"

    def _output(self) -> Any:
        record, output = self._record, self._frame.outputs[self._index]
        if record is not None and record.status == "succeeded" and output is not None:
            return output.readable()
        silent = self._frame.plan.steps[self._index].continues
        if record is not None and (record.reason == "inactive" or (record.status == "failed" and silent)):
            return None
        raise ExpressionError(
            f"step {self._name!r} has no output: it is {'pending' if record is None else record.status}",
            code="expr.no_output",
            hint=f"guard it: steps[{self._name!r}]?.output, has(…) or ??",
        )


class Names:
    """The scope one step's expressions are evaluated in."""

    __slots__ = ("_ctx", "_given", "_parts", "_view", "keeps_deferred")

    def __init__(
        self,
        view: View,
        parts: Callable[[str], Any],
        keeps_deferred: bool = False,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self.keeps_deferred = keeps_deferred  # whether whoever evaluates takes what has not been read
        self._view = view
        self._parts = parts
        self._given = given or {}  # what a container names for this one evaluation
        self._ctx: Fields | None = None

    def lookup(self, name: str) -> Any:
        """The value of a root name."""
        if name == "ctx":
            if self._ctx is None:
                self._ctx = self._context()
            return self._ctx
        if name == "steps":
            return Steps(self._view)
        if name in self._given:
            return self._given[name]
        view: View | None = self._view
        while view is not None:
            if name in view.names:
                return view.names[name]
            view = view.frame.parent
        near = nearest(name, (*ROOTS, *self.local_names()))
        raise ExpressionError(
            f"nothing is called {name!r} here",
            code="expr.unknown_name",
            hint=f"did you mean {near!r}?"
            if near
            else f"there is {', '.join((*ROOTS, *self.local_names()))}",
        )

    def local_names(self) -> list[str]:
        """`item`, `index` and what else the containers around this step named."""
        names: list[str] = list(self._given)
        view: View | None = self._view
        while view is not None:
            names.extend(view.names)
            view = view.frame.parent
        return names

    def _context(self) -> Fields:
        view, parts = self._view, self._parts

        def part(name: str) -> Callable[[], Any]:
            return lambda: parts(name)

        fields: dict[str, Callable[[], Any]] = {key: part(key) for key in CTX_KEYS if key != "vars"}
        fields["vars"] = lambda: Vars(view)
        return Fields("ctx", fields)


def environment(allowed: Iterable[str]) -> dict[str, str]:
    """The environment variables that a workflow may read."""
    return {name: os.environ[name] for name in allowed if name in os.environ}
