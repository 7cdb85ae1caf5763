"""How many runs of a workflow there are at once, and how one too many waits for its turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nodeling.errors import ConfigError, StoreError
from nodeling_runtime.engine.events import Listener
from nodeling_runtime.workflow.model import Workflow

if TYPE_CHECKING:
    from nodeling_runtime.engine.durable import Keeper
    from nodeling_runtime.store.model import Claim, RunLimit, RunRow

ASK_SECONDS = 0.2  # how often a run that waits asks whether it may begin


def run_limit(workflow: Workflow) -> RunLimit | None:
    """What a workflow says of how many of its runs there may be."""
    settings = workflow.settings
    if settings.max_runs is None:
        return None
    from nodeling_runtime.store.model import RunLimit  # which a run that is kept nowhere does not load

    return RunLimit(settings.max_runs, settings.when_full)


def refuse_limit(workflow: Workflow) -> None:
    """Refuse to run, kept nowhere, what may not run more often than so at once: nobody would count.

    Raises:
        ConfigError: The workflow sets `max_runs`.
    """
    if workflow.settings.max_runs is not None:
        raise ConfigError(
            f"{workflow.name!r} limits how many of its runs there are, and only a store can count them",
            code="run.no_store",
            hint="name a store (`--store URL`, or `store=` in Python), or leave `settings.max_runs` out",
        )


async def waited_for(keeper: Keeper, row: RunRow, listeners: Iterable[Listener]) -> Claim:
    """Wait until a queued run may begin, and claim it. Who stops waiting ends the run.

    Raises:
        StoreError: It was ended by somebody, or begun by another process.
    """
    from nodeling_runtime.store.model import CLOSED

    event = {"seq": 0, "ts": time.time(), "event": "run.queued", "run_id": row.run_id}
    for listener in listeners:
        listener({**event, "workflow": row.workflow})
    try:
        while True:
            try:
                return keeper.store.claim(row.run_id, keeper.owner)
            except StoreError as error:
                if error.code != "run.limit":
                    raise
            await asyncio.sleep(ASK_SECONDS)
    except asyncio.CancelledError:
        after = keeper.store.cancel(row.run_id, "cancelled", keeper.owner)
        if after.status not in CLOSED:
            raise AssertionError("a queued run ends when it is cancelled") from None
        raise
