"""`nodectl runs resolve`: somebody has looked whether a step in doubt did what it was to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from nodeling.errors import StoreError, nearest
from nodeling_runtime.cli.inputs import json_value
from nodeling_runtime.cli.output import talk
from nodeling_runtime.cli.runs.where import find_run, store_option, store_url
from nodeling_runtime.cli.words import complete_runs

if TYPE_CHECKING:
    from nodeling_runtime.engine.recorded import Begun, Recorded
    from nodeling_runtime.store.model import Event, Fact


@click.command("resolve")
@click.argument("run", shell_complete=complete_runs)
@click.argument("step")
@click.option("--done", metavar="JSON", help="It did it, and this is its output.")
@click.option("--retry", is_flag=True, help="It did nothing: the step is run again.")
@click.option("--fail", is_flag=True, help="It failed.")
@store_option
def command(run: str, step: str, done: str | None, retry: bool, fail: bool, store: str | None) -> None:
    """Decide on a STEP of RUN of which nobody knows whether it did its work before its process died.

    `nodectl runs resume RUN` goes on from there.
    """
    from nodeling_runtime.engine.durable import Keeper
    from nodeling_runtime.engine.recorded import fold
    from nodeling_runtime.store.model import OPEN, Batch

    if (done is not None) + retry + fail != 1:
        raise click.UsageError("say one of --done JSON, --retry and --fail")
    value = None if done is None else json_value(done, "--done")
    keeper = Keeper.open(store_url(store))
    try:
        row = find_run(keeper.store, run)
        if row.status in OPEN:  # a run that is claimed is no longer suspended: who errs changes nothing
            _doubtful(fold(keeper.store.events(row.run_id)), step)
        claim = keeper.store.claim(row.run_id, keeper.owner)
        try:
            events = keeper.store.events(row.run_id)
            recorded = fold(events)
            begun = _doubtful(recorded, step)
            fact = _decided(
                events, recorded, step, begun, "retry" if retry else "fail" if fail else "done", value
            )
            keeper.store.append([Batch(claim, (fact,))])
            left = [path for path, _ in recorded.doubtful() if path != step]
        finally:
            keeper.store.release(claim)
    finally:
        keeper.close()
    said = f"; {', '.join(left)} of it are in doubt still" if left else ""
    talk(f"{step} is decided on{said}: `nodectl runs resume {row.run_id}` goes on")


def _doubtful(recorded: Recorded, step: str) -> Begun:
    doubtful = dict(recorded.doubtful())
    if step in doubtful:
        return doubtful[step]
    near = nearest(step, list(doubtful))
    hint = f"did you mean {near!r}?" if near else f"in doubt: {', '.join(doubtful) or 'nothing'}"
    raise StoreError(f"step {step!r} is not in doubt", code="run.step", hint=hint)


def _decided(events: list[Event], recorded: Recorded, path: str, begun: Begun, how: str, value: Any) -> Fact:
    from nodeling_runtime.store.model import Fact
    from nodeling_runtime.values import Value

    gen = recorded.generation(path)
    if how == "retry":
        return Fact("step.lost", time.time(), path, {"attempt": begun.attempts, "by": "resolve"}, gen=gen)
    started = next(event for event in reversed(events) if event.kind == "step.started" and event.path == path)
    error = None
    if how == "fail":
        message = "its process died while it ran, and somebody decided that it failed"
        error = {"code": "run.in_doubt", "message": message, "type": "StoreError", "retryable": False}
    data = {
        "name": started.data["name"],
        "node": started.data["node"],
        "status": "failed" if how == "fail" else "succeeded",
        "reason": None,
        "by": "resolve",
        "attempts": begun.attempts,
        "attempt": begun.attempts,
        "started": begun.started,
        "error": error,
        **_place(recorded, events, path),
    }
    return Fact(
        "step.resolved", time.time(), path, data, Value.of(value).data if how == "done" else None, gen=gen
    )


def _place(recorded: Recorded, events: list[Event], path: str) -> dict[str, Any]:
    """Where a child of a container comes in the order of its siblings' answers: last."""
    from nodeling_runtime.engine.recorded import within

    started = {event.path: event.data for event in events if event.kind == "step.started"}
    above = [one for one in started if one != path and within(path, (one,)) and started[one].get("container")]
    if not above:
        return {}
    nearest_above = max(above, key=len)
    made = max((made for _, made in recorded.children.get(nearest_above, ())), default=0)
    return {"of": nearest_above, "made": made}
