"""What a run tells while it goes on. Nobody listening costs nothing: ask `active` first."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nodeling_runtime.redact import NOTHING, Redactor

Listener = Callable[[Mapping[str, Any]], None]


class Events:
    """Hands each event to every listener, in order, in the engine's loop."""

    def __init__(
        self,
        run_id: str,
        listeners: list[Listener],
        redactor: Redactor = NOTHING,
        after: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """Listen.

        Args:
            run_id: The run.
            listeners: Who is told.
            redactor: What must not be told.
            after: Calls what it is given when what happened before is kept; None: nothing is kept.
        """
        self.run_id = run_id
        self._after = after
        self._redactor = redactor
        self._listeners = list(listeners)
        self.active = bool(listeners)  # whether anybody listens
        self._seq = 0

    def emit(self, kind: str, step: str | None = None, **data: Any) -> None:
        """Tell the listeners. One that raises is named once and told no more."""
        if not self._listeners:
            return
        self._seq += 1
        event: dict[str, Any] = {"seq": self._seq, "ts": time.time(), "event": kind, "run_id": self.run_id}
        if step is not None:
            event["step"] = step
        event.update(data)
        event = self._redactor.value(event)
        if self._after is None:
            self._tell(event)
        else:
            self._after(partial(self._tell, event))

    def _tell(self, event: Mapping[str, Any]) -> None:
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception as error:  # a listener may be a plugin's
                self._listeners.remove(listener)
                self.active = bool(self._listeners)
                sys.stderr.write(f"nodeling: an event listener failed and is called no more: {error!r}\n")
