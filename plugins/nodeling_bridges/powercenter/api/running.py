"""A workflow of this API on the engine: started in a thread of its own, watched, and ended when asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import nodeling
from nodeling.errors import ConfigError, NodelingError
from nodeling.formats import Source
from nodeling.node import NodeDefinition, node
from nodeling.results import RunResult
from nodeling_bridges.powercenter.api.config import ConfigManager
from nodeling_bridges.powercenter.api.dag import Workflow, flow_from
from nodeling_bridges.powercenter.load import native
from nodeling_bridges.powercenter.lower import Whole
from nodeling_bridges.powercenter.model import Repository
from nodeling_bridges.powercenter.parameters import read_parameters

Event = Mapping[str, Any]
_FUNCTION_PREFIX = "bound-to-"


def prepared(workflow: Workflow, config: Any) -> nodeling.Workflow:
    """The native workflow.

    Raises:
        ConfigError: A task means nothing, or a session is bound to nothing; all of it is listed.
    """
    known = config if isinstance(config, ConfigManager) else ConfigManager()
    bindings, definitions = _bound(known.bindings)
    parameters = read_parameters(known.parameter_files)
    whole = Whole(Source(workflow.name, ""), Repository({}, {}), parameters, bindings, False)
    document = native(flow_from(workflow), whole)
    faults = [fault for fault in whole.faults if fault.severity == "error"]
    faults += [
        whole.source.fault("powercenter.unbound", f"the session {name!r} is bound to nothing")
        for name in whole.unbound
    ]
    if faults:
        said = "; ".join(fault.message for fault in faults)
        hint = 'ConfigManager(bindings={"session": node})'
        raise ConfigError(f"{workflow.name}: {said}", code="powercenter.faults", faults=faults, hint=hint)
    if known.get("max_concurrent") is not None:
        document["settings"] = {"max_concurrent": known.get("max_concurrent")}
    made = nodeling.Workflow.from_document(document, nodes=known.get("nodes") or ())
    made.definitions.update(definitions)
    return made


def _bound(bindings: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, NodeDefinition]]:
    names: dict[str, str] = {}
    definitions: dict[str, NodeDefinition] = {}
    for session, target in bindings.items():
        if isinstance(target, str):
            names[session] = target
            continue
        made = target if isinstance(target, NodeDefinition) else _made(session, target)
        definitions[made.name] = made
        names[session] = made.name
    return names, definitions


def _made(session: str, function: Callable[..., Any]) -> NodeDefinition:
    word = "".join(letter if letter.isalnum() else "-" for letter in session.lower()).strip("-")
    made: NodeDefinition = node(name=f"{_FUNCTION_PREFIX}{word}")(function)
    return made


class Running:
    """One run, on a loop and a thread of its own."""

    def __init__(
        self, workflow: nodeling.Workflow, listen: Callable[[Event], None], ended: Callable[[Running], None]
    ) -> None:
        self._workflow = workflow
        self._listen = listen
        self._ended = ended
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[RunResult] | None = None
        self.result: RunResult | None = None
        self.error: BaseException | None = None
        self.was_cancelled = False
        self._begun = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._drive, name=f"run-{workflow.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._begun.wait()

    def cancel(self) -> bool:
        """Ask it to end; what runs is ended for real. False when it has ended already."""
        if self._over.is_set() or self._task is None:
            return False
        self.was_cancelled = True
        self._loop.call_soon_threadsafe(self._task.cancel)
        return True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; False when it has not come by then."""
        return self._over.wait(timeout)

    def _drive(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._workflow.arun(on_event=self._listen))
        self._begun.set()
        try:
            self.result = self._loop.run_until_complete(self._task)
        except asyncio.CancelledError as error:
            self.error = error
        except (NodelingError, Exception) as error:
            self.error = error
        finally:
            self._loop.close()
            try:
                self._ended(self)
            finally:
                self._over.set()
