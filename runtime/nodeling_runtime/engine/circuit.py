"""Circuit breakers: after some failures within a time a node is not called for a while, then tried once.

Closed, every call passes. As many failures as `failures` within `window` open it: calls are refused,
unstarted, until `cooldown` is over. Then it is half open: one call passes, the probe, and its end closes
the breaker or opens it again. A probe that is never heard of again makes room for another one after one
more `cooldown`. A breaker belongs to a node, so all steps that guard calls of it with one share it.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import orjson

from nodeling._dataclass import dataclass
from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.engine.attempts import NEVER
from nodeling_runtime.workflow.duration import spoken
from nodeling_runtime.workflow.model import Circuit

if TYPE_CHECKING:
    from nodeling_runtime.engine.shared import Shared

SPACE = "circuit"
Phase = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one breaker."""

    failures: tuple[float, ...] = ()  # when they were, while it was closed
    opened: float | None = None
    probe: str | None = None  # the call that is tried while it is half open
    probed: float = 0.0

    def phase(self, circuit: Circuit, now: float) -> Phase:
        """Whether calls pass."""
        if self.opened is None:
            return "closed"
        return "half-open" if now >= self.opened + circuit.cooldown_ms / 1_000 else "open"


def admitted(state: State, circuit: Circuit, now: float, call: str) -> State | None:
    """The state after a call was let through; None when it is refused."""
    phase = state.phase(circuit, now)
    if phase == "closed":
        return state
    if phase == "open" or (state.probe is not None and now < state.probed + circuit.cooldown_ms / 1_000):
        return None
    return replace(state, probe=call, probed=now)


def ended(state: State, circuit: Circuit, now: float, call: str, failed: bool | None) -> State:
    """The state after a call has ended; `failed` is None when its end says nothing of the node."""
    if state.opened is not None:
        if state.probe != call:
            return state  # it began before the breaker opened
        if failed is None:
            return replace(state, probe=None)
        return State(opened=now) if failed else State()
    if not failed:
        return state
    recent = (*(at for at in state.failures if at > now - circuit.window_ms / 1_000), now)
    return State(opened=now) if len(recent) >= circuit.failures else State(recent)


def counts(error: CallError) -> bool:
    """Whether a failure says something of the node: not where its caller was wrong, or the engine."""
    return isinstance(error.code, int) and error.code not in NEVER


class Breaker:
    """One call's view of its node's breaker."""

    def __init__(self, shared: Shared, circuit: Circuit, node: str) -> None:
        self._shared = shared
        self._circuit = circuit
        self._node = node
        self._call = uuid.uuid4().hex
        self._is_in = False

    async def enter(self, now: float) -> CallError | None:
        """Let the call through, or say why not.

        Raises:
            StoreError: The breaker's state cannot be read.
        """
        seen: list[tuple[State, bool]] = []

        def change(kept: bytes | None) -> bytes | None:
            state = _read(kept)
            after = admitted(state, self._circuit, now, self._call)
            seen.append((state, after is not None))
            return kept if after is None or after == state else _write(after)

        await self._shared.change(SPACE, self._node, change)
        state, self._is_in = seen[-1]
        return None if self._is_in else self._refusal(state, now)

    def leave(self, now: float, status: str, error: CallError | None) -> None:
        """The call has ended."""
        if not self._is_in:
            return
        self._is_in = False
        failed = False if status == "succeeded" else True if error is not None and counts(error) else None

        def change(kept: bytes | None) -> bytes | None:
            after = ended(_read(kept), self._circuit, now, self._call, failed)
            return None if after == State() else _write(after)

        self._shared.tell(SPACE, self._node, change)

    def _refusal(self, state: State, now: float) -> CallError:
        cooldown = self._circuit.cooldown_ms
        left = max(0.0, ((state.opened or now) - now) * 1_000 + cooldown)
        what = f"in {spoken(left)} one call is tried" if left else "one call is being tried"
        message = f"{self._node!r} failed too often and is not called: {what}"
        details = {
            "node": self._node,
            "state": state.phase(self._circuit, now),
            "retry_after_ms": round(left, 3),
        }
        return CallError("circuit.open", message, "CircuitOpen", False, started=False, details=details)


def _read(kept: bytes | None) -> State:
    if kept is None:
        return State()
    data = orjson.loads(kept)
    return State(tuple(data["failures"]), data["opened"], data["probe"], data["probed"])


def _write(state: State) -> bytes:
    return orjson.dumps(
        {"failures": state.failures, "opened": state.opened, "probe": state.probe, "probed": state.probed}
    )
