"""The context of a call as far as the host sent it; the rest refuses to be read."""

from __future__ import annotations

from nodeling.errors import NodelingError
from nodeling.values import encode

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

__all__ = ["SentSource"]


class SentSource:
    """Reads from what travelled with the call.

    Args:
        context: The `context` member of the call.
        reads: What the node's manifest declares that it reads. What is declared and was not sent
            does not exist; what is neither declared nor sent cannot be known here.
    """

    __slots__ = ("_context", "_reads")

    def __init__(self, context: Mapping[str, Any], reads: Collection[str]) -> None:
        self._context = context
        self._reads = reads

    def read(self, key: str) -> bytes | None:
        """The value of a variable."""
        sent = self._sent("vars")
        if key in sent:
            return encode(sent[key])
        self._declared(f"vars.{key}", "vars.*")
        return None

    def keys(self) -> list[str]:
        """Every variable that was sent."""
        sent = self._sent("vars")
        if not sent and not any(word.startswith("vars.") for word in self._reads):
            self._declared("vars.*")
        return list(sent)

    def who(self, key: str) -> str | None:
        """The step that wrote a variable, when the host said so."""
        writer = self._sent("writers").get(key)
        return writer if isinstance(writer, str) else None

    def part(self, name: str) -> bytes | None:
        """`request.body`, `error`, `response` and their like."""
        outer, _, inner = name.partition(".")
        found = self._context.get(outer)
        if inner:
            if isinstance(found, dict) and inner in found:
                return encode(found[inner])
            self._declared(name, f"{outer}.*", outer)
            return None
        if found is None:
            if outer != "error":  # which is sent to every step that has one
                self._declared(name)
            return None
        return encode(found)

    def reserved(self, key: str) -> bool:
        """Never: the names of the steps are the host's to guard."""
        return False

    def _sent(self, part: str) -> dict[str, Any]:
        found = self._context.get(part)
        return found if isinstance(found, dict) else {}

    def _declared(self, *words: str) -> None:
        if not any(word in self._reads for word in words):
            raise NodelingError(
                f"this node does not declare that it reads {words[0]!r}",
                code="context.not_sent",
                hint=f'add "{words[0]}" to `reads` in its config.json',
            )
