"""What a node reads of its context: bytes by key, within what its manifest says it reads."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from nodeling.errors import NodelingError
from nodeling_runtime.engine.context import View
from nodeling_runtime.engine.top import Request
from nodeling_runtime.expressions.record import to_plain
from nodeling_runtime.values import Value


class StepSource:
    """A step's view, as the SDK's context asks for it."""

    __slots__ = ("_names", "_parts", "_reads", "_view")

    def __init__(
        self,
        view: View,
        parts: Callable[[str], Any],
        step_names: Collection[str],
        reads: tuple[str, ...] | None,
    ) -> None:
        self._view = view
        self._parts = parts
        self._names = step_names
        self._reads = None if reads is None else frozenset(reads)

    def read(self, key: str) -> bytes | None:
        """The value of a variable; an output stands under its step's name."""
        self._allowed(f"vars.{key}", "vars.*")
        output = self._view.output_of(key)
        if output is not None:
            return output.data
        write = self._view.write(key)
        return None if write is None else write.data

    def keys(self) -> list[str]:
        """Every readable key."""
        keys = self._view.keys()
        if self._reads is None or "vars.*" in self._reads:
            return keys
        return [key for key in keys if f"vars.{key}" in self._reads]

    def who(self, key: str) -> str | None:
        """The step that wrote what a read of `key` gives."""
        if self._view.output_of(key) is not None:
            return key
        write = self._view.write(key)
        return None if write is None or write.data is None else write.who

    def part(self, name: str) -> bytes | None:
        """`request.body`, `error`, `response` and their like."""
        if name.startswith("request."):
            self._allowed(name, "request.*", "request")
            request: Request = self._parts("request")
            return request.value(name.partition(".")[2]).data
        value = to_plain(self._parts(name))
        return None if value is None else Value.of(value).data

    def reserved(self, key: str) -> bool:
        """Whether `key` is a step's name."""
        return key in self._names

    def _allowed(self, *words: str) -> None:
        if self._reads is None or not self._reads.isdisjoint(words):
            return
        raise NodelingError(
            f"this node does not declare that it reads {words[0]!r}",
            code="context.not_sent",
            hint=f'add "{words[0]}" to `reads` in its config.json',
        )
