"""Runs that are done again in part: restarted in place, or replayed as new runs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from nodeling._dataclass import dataclass
from nodeling.errors import ConfigError, StoreError, nearest
from nodeling_runtime.engine.cone import Cone, cone_of
from nodeling_runtime.engine.context import Write
from nodeling_runtime.engine.durable import Keeper, held, restore
from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.kept_data import delta_data
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.pinned import changed_nodes, load_pinned
from nodeling_runtime.engine.recorded import Recorded, fold, within
from nodeling_runtime.engine.run import RunOptions, RunOutcome, all_steps
from nodeling_runtime.store.base import Store, not_found
from nodeling_runtime.store.model import CLOSED, Batch, Event, Fact, NewRun, RunRow
from nodeling_runtime.values import Value
from nodeling_runtime.workflow.model import Workflow

BY_HAND = "--set"
STEP_KINDS = (
    "step.started",
    "step.retry",
    "step.lost",
    "step.ended",
    "step.resolved",
    "decision",
    "flow.value",
)


@dataclass(frozen=True, slots=True)
class Again:
    """A run as it is found, and what is to be done anew of it."""

    row: RunRow
    loaded: Loaded
    kept: Mapping[str, Any]
    events: list[Event]
    recorded: Recorded
    cone: Cone


def plan_restart(
    store: Store, run_id: str, from_step: str | None = None, loaded: Loaded | None = None
) -> Again:
    """Look what a restart of a run would do anew; nothing when its cone is empty.

    Args:
        store: Where it is kept.
        run_id: The run.
        from_step: The step to begin from, with whatever failed; None: what failed alone.
        loaded: The workflow, where it was made in Python.

    Raises:
        StoreError: There is no such run, or it goes on and has to be resumed.
        ConfigError: There is no such step.
    """
    found = _found(store, run_id, loaded)
    if found.row.status not in (*CLOSED, "suspended"):
        raise StoreError(
            f"run {run_id} is {found.row.status}: it has nothing to restart yet",
            code="run.open",
            hint="`nodectl runs resume` goes on with one whose process is gone, `cancel` ends one",
        )
    return _with_cone(found, from_step, failed=True)


async def restart_run(
    keeper: Keeper, again: Again, options: RunOptions, variables: Mapping[str, Any] | None = None
) -> RunOutcome:
    """Do a part of a run again, in the run itself. What is not in the cone is not touched.

    Args:
        keeper: Where it is kept.
        again: What `plan_restart` found.
        options: Who listens.
        variables: What the restarted steps find under `ctx.vars`, whatever was written there before.

    Raises:
        StoreError: Somebody alive runs it, or it changed since it was looked at.
        ConfigError: A variable bears a step's name.
    """
    store, run_id = keeper.store, again.row.run_id
    given = _variables(again.loaded.ready(), variables or {})
    changed = changed_nodes(again.loaded, again.kept, "any")
    restore(options, store.request(run_id) or b"{}")
    async with held(keeper) as hold:

        def begin() -> Any:
            claim = store.reclaim(run_id, keeper.owner)
            before = store.events(run_id)
            if before[-1].seq != again.events[-1].seq and again.row.status in CLOSED:
                store.release(claim)
                raise StoreError(f"run {run_id} was restarted by somebody else just now", code="run.held")
            data = {"by": keeper.owner, "gen": len(again.recorded.restarts) + 1, **again.cone.to_json()}
            store.append(
                [Batch(claim, (Fact("run.restarted", time.time(), data=data, delta=delta_data(given)),))]
            )
            recorded = fold(store.events(run_id))
            options.max_concurrent = recorded.options.get("max_concurrent")
            options.timeout_ms = recorded.options.get("timeout_ms")
            journal = hold.journal(claim, recorded)
            if changed:
                journal.note("definition.changed", "", {"nodes": changed, "policy": "any"})
            return journal

        return await execute(again.loaded, options, begin)


def plan_replay(store: Store, run_id: str, from_step: str, loaded: Loaded | None = None) -> Again:
    """Look what a replay would take over from a run, and what it would do anew.

    Raises:
        StoreError: There is no such run.
        ConfigError: There is no such step at the top of its workflow.
    """
    found = _with_cone(_found(store, run_id, loaded), from_step, failed=False)
    if from_step not in {step.name for step in found.loaded.ready().scope.steps}:
        raise ConfigError(
            f"{from_step!r} is a child of a container; a replay begins at a step of the workflow itself",
            code="run.step",
        )
    return found


async def replay_run(
    keeper: Keeper, again: Again, options: RunOptions, inputs: Mapping[str, Any] | None = None
) -> RunOutcome:
    """Begin a new run that takes over what an old one did before a step, and does the rest itself.

    Args:
        keeper: Where the old run is kept and the new one will be.
        again: What `plan_replay` found.
        options: Who listens.
        inputs: What the step is given instead, key by key.

    Raises:
        StoreError: The new run cannot be kept.
    """
    store, row = keeper.store, again.row
    workflow, top = again.loaded.ready(), again.cone.paths
    request = orjson.loads(store.request(row.run_id) or b"{}")
    parameters = dict(request.get("parameters") or {})
    if inputs:
        step = again.kept["from"]
        parameters[step] = {**parameters.get(step, {}), **inputs}
    body = orjson.dumps({**request, "parameters": parameters})
    restore(options, body)
    before = again.recorded.options
    new = NewRun(
        run_id=uuid.uuid4().hex,
        workflow=row.workflow,
        version=row.version,
        definition=store.definition(row.definition) or b"{}",
        request=body,
        at=time.time(),
        labels=dict(workflow.labels),
        options={**before, "replay_of": row.run_id, "from": again.kept["from"]},
        owner=keeper.owner,
    )
    options.max_concurrent, options.timeout_ms = before.get("max_concurrent"), before.get("timeout_ms")
    changed = changed_nodes(again.loaded, again.kept, "any")
    taken = tuple(
        Fact(event.kind, event.at, event.path, event.data, event.value, event.delta)
        for event in again.events
        if event.kind in STEP_KINDS
        and not within(event.path, tuple(top))
        and event.gen == again.recorded.generation(event.path)
    )
    async with held(keeper) as hold:

        def begin() -> Any:
            created = store.create(new)
            if created.claim is None:
                raise AssertionError("a run without a key and a limit is claimed at once")
            if taken:
                store.append([Batch(created.claim, taken)])
            journal = hold.journal(created.claim, fold(store.events(new.run_id)))
            if changed:
                journal.note("definition.changed", "", {"nodes": changed, "policy": "any"})
            return journal

        return await execute(again.loaded, options, begin)


# -- inside


def _found(store: Store, run_id: str, loaded: Loaded | None) -> Again:
    row = store.run(run_id)
    definition = None if row is None else store.definition(row.definition)
    if row is None or definition is None:
        raise not_found(run_id)
    kept = orjson.loads(definition)
    if loaded is None:
        loaded, kept = load_pinned(definition, newest=True)
    events = store.events(run_id)
    return Again(row, loaded, dict(kept), events, fold(events), Cone())


def _with_cone(found: Again, from_step: str | None, *, failed: bool) -> Again:
    workflow = found.loaded.ready()
    if from_step is not None:
        _known(workflow, found.recorded, from_step)
    cone = cone_of(workflow.scope, found.events, found.recorded, from_step, failed=failed)
    kept = {**found.kept, "from": from_step}
    return Again(found.row, found.loaded, kept, found.events, found.recorded, cone)


def _known(workflow: Workflow, recorded: Recorded, path: str) -> None:
    """Refuse a step that the run does not know."""
    names = [step.name for step in workflow.scope.steps]
    if path in names or path in recorded.ends:
        return
    near = nearest(path, [*names, *recorded.ends])
    raise ConfigError(
        f"the run has no step {path!r}",
        code="run.step",
        hint=f"did you mean {near!r}?" if near else f"its steps are {', '.join(names)}",
    )


def _variables(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Write]:
    names = {step.name for step in all_steps(workflow.scope)}
    for key in given:
        if key in names:
            raise ConfigError(
                f"{key!r} is a step's name, and what stands there is its output",
                code="context.reserved",
                hint="restart from that step, or replay with other inputs",
            )
    return {key: Write(-1, Value.of(value).data, BY_HAND) for key, value in given.items()}
