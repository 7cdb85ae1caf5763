"""What is the same for every step of one workflow: its request, its environment, its run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nodeling_runtime.engine.names import environment, missing
from nodeling_runtime.expressions.record import Record
from nodeling_runtime.values import NULL, Value
from nodeling_runtime.workflow.model import Workflow

if TYPE_CHECKING:
    from nodeling_runtime.engine.run import Run

REQUEST_PARTS: dict[str, Value] = {
    "body": NULL,
    "headers": Value(b"{}"),
    "query": Value(b"{}"),
    "params": Value(b"{}"),
    "method": Value(b'""'),
    "path": Value(b'""'),
}


class Request(Record):
    """`ctx.request`: every part kept as bytes until somebody looks."""

    def __init__(self, parts: Mapping[str, Value]) -> None:
        self._parts = {**REQUEST_PARTS, **parts}

    def get(self, key: str) -> Any:
        """A part's value, shared."""
        return self.value(key).readable()

    def value(self, key: str) -> Value:
        """A part as bytes."""
        found = self._parts.get(key)
        if found is None:
            raise missing("ctx.request", key, self._parts)
        return found

    def keys(self) -> Iterable[str]:
        """The parts there are."""
        return self._parts.keys()


def parts_of(run: Run, workflow: Workflow, request: Mapping[str, Value]) -> Callable[[str], Any]:
    """The parts of `ctx` that do not depend on the step."""
    asked = Request(request)

    def part(name: str) -> Any:
        if name == "request":
            return asked
        if name == "response":
            body = asked.get("body")
            return {"data": body, "success": True, "error": None, "contentType": "application/json"}
        if name == "env":
            return environment(workflow.settings.env)
        if name == "run":
            return {"id": run.id, "workflow": workflow.name, "version": workflow.version, "status": "running"}
        return None

    return part
