"""Outputs that a step takes over from an earlier call of its node, instead of making the call.

An entry is found by the node, its version and what its folder holds, by what the node would be given, and
by the step's own key; with `any_inputs` by the node's name and that key alone. Only what succeeded is kept,
with what the node wrote into the context; outputs in files are not, nor is what holds a secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import orjson

from nodeling._dataclass import dataclass
from nodeling_runtime.blob_values import BlobValue
from nodeling_runtime.dispatch.base import Outcome
from nodeling_runtime.redact import Redactor
from nodeling_runtime.values import Value

if TYPE_CHECKING:
    from nodeling_runtime.engine.shared import Shared
    from nodeling_runtime.registry import NodeSpec

SPACE = "cache"
REASON = "cached"  # why a step succeeded that ran nothing
_HASHES: WeakKeyDictionary[NodeSpec, str] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Hit:
    """An output that was there."""

    outcome: Outcome
    run_id: str
    step: str
    at: float


class Entry:
    """Where one step's output is kept."""

    def __init__(
        self,
        shared: Shared,
        spec: NodeSpec,
        given: tuple[Value, Mapping[str, Any]] | None,
        key: Any,
        ttl_ms: float | None,
    ) -> None:
        """Find an entry by a node, what it is given (None where that does not count), and a key."""
        self._shared = shared
        self._ttl = None if ttl_ms is None else ttl_ms / 1_000
        if given is None:
            parts = [spec.name, Value.of(key).data.decode()]
        else:
            said = Value.of([given[1], key]).data.decode()
            parts = [spec.name, str(spec.manifest.version), _hash(spec), said]
        state = hashlib.sha256(orjson.dumps(parts))
        if given is not None:
            state.update(given[0].data)
        self.key = state.hexdigest()

    async def read(self) -> Hit | None:
        """What is kept here.

        Raises:
            StoreError: The store cannot be read.
        """
        kept = await self._shared.read(SPACE, self.key)
        if kept is None:
            return None
        data = orjson.loads(kept)
        delta = {key: None if value is None else value.encode() for key, value in data["delta"].items()}
        outcome = Outcome(Value.from_checked(data["output"].encode()), delta=delta)
        return Hit(outcome, data["run"], data["step"], data["at"])

    def keep(self, outcome: Outcome, redactor: Redactor, run_id: str, step: str, at: float) -> None:
        """Keep what a call gave."""
        output = outcome.output
        if output is None or isinstance(output, BlobValue):
            return
        delta = {key: None if value is None else value.decode() for key, value in outcome.delta.items()}
        data = {"output": output.data.decode(), "delta": delta, "run": run_id, "step": step, "at": at}
        if redactor and redactor.value(data) != data:
            return
        entry = orjson.dumps(data)
        self._shared.tell(SPACE, self.key, lambda _before: entry, self._ttl)


def _hash(spec: NodeSpec) -> str:
    """What the node's folder holds, looked at once: a run has the nodes that it began with."""
    from nodeling_runtime.engine.pinned import hash_of_node

    found = _HASHES.get(spec)
    if found is None:
        found = _HASHES[spec] = hash_of_node(spec)
    return found
