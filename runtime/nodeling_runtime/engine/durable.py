"""Runs that are kept: begun, resumed, and looked at after their end.

A `Keeper` is one process's hold on one store. It gives `execute` a journal, and lets a run go when it has
ended here, however that was.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import orjson

from nodeling._dataclass import dataclass
from nodeling.errors import StoreError
from nodeling.results import RunResult
from nodeling_runtime.engine.asked import asked, called
from nodeling_runtime.engine.cone import suspended_cone
from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.journal import Journal
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.pinned import Policy, changed_nodes, load_pinned, pinned_definition
from nodeling_runtime.engine.recorded import Recorded, fold
from nodeling_runtime.engine.run import RunOptions, RunOutcome
from nodeling_runtime.engine.run_limits import run_limit, waited_for
from nodeling_runtime.engine.stored import stored_result
from nodeling_runtime.store.base import Store, hash_of, not_found
from nodeling_runtime.store.model import CLOSED, Batch, Claim, Created, Fact, NewRun, RunRow
from nodeling_runtime.store.opening import open_store, owner_name
from nodeling_runtime.store.writer import Writer
from nodeling_runtime.values import Value

T = TypeVar("T")


class KnownRunError(Exception):
    """A run with this key and this input is there already."""

    def __init__(self, row: RunRow) -> None:
        super().__init__(row.run_id)
        self.row = row


@dataclass(slots=True)
class Keeper:
    """One process's hold on a store."""

    store: Store
    writer: Writer
    owner: str

    @classmethod
    def open(cls, url: str, durability: str = "full") -> Keeper:
        """Open a store by its address.

        Raises:
            StoreError: It cannot be used.
        """
        store = open_store(url, durability)
        return cls(store, Writer(store), owner_name())

    def close(self) -> None:
        """Write what is left, and let go."""
        self.writer.close()
        self.store.close()


async def run_durably(
    keeper: Keeper, loaded: Loaded, options: RunOptions, *, key: str | None = None, target: str | None = None
) -> RunOutcome:
    """Run a workflow to its end, every step of it kept.

    Args:
        keeper: Where.
        loaded: The workflow.
        options: How.
        key: Two requests with one key are one run.
        target: `module:name`, where the workflow was made in Python.

    Raises:
        KnownRunError: A run with this key and this input is there.
        StoreError: The run cannot be kept, the key belongs to another request, or there are as many runs of
            the workflow as may be.
    """
    new = _asked_for(loaded, options, key, target, keeper.owner)
    async with held(keeper) as hold:

        async def begin() -> Journal:
            created = await hold.created(new)
            if created.existed:
                raise KnownRunError(created.run)
            claim = created.claim or await waited_for(keeper, created.run, options.listeners)
            return hold.journal(claim)

        return await execute(loaded, options, begin)


def enqueue(
    keeper: Keeper, loaded: Loaded, options: RunOptions, *, key: str | None = None, target: str | None = None
) -> Created:
    """Keep a run that whoever serves the store will take; it is asked for as soon as this returns.

    Raises:
        StoreError: It cannot be kept, or the key belongs to another request.
    """
    return keeper.store.create(_asked_for(loaded, options, key, target, None))


async def resume_run(
    keeper: Keeper,
    run_id: str,
    options: RunOptions,
    *,
    policy: Policy = "compatible",
    loaded: Loaded | None = None,
    claim: Claim | None = None,
    begun: Callable[[Journal], None] = lambda journal: None,
) -> RunOutcome:
    """Go on with a run that has not ended, where its history ends.

    Args:
        keeper: Where it is kept.
        run_id: The run.
        options: Who listens; what was asked for is the run's own.
        policy: How much its nodes may have changed.
        loaded: The workflow, where it is known: one made in Python, or one that was loaded before.
        claim: The right to write to it, where it was taken already. It is given back by whoever took it
            unless the run has begun here.
        begun: Told that it has.

    Raises:
        StoreError: There is no such run, it has ended, somebody runs it, it is dead, or a node changed.
    """
    store = keeper.store
    definition, request = await called(keeper.writer, lambda: _asked_once(store, run_id))
    if loaded is None:
        loaded, kept = load_pinned(definition)
    else:
        kept = orjson.loads(definition)
        if loaded.document.data != kept["document"]:
            raise StoreError(
                f"the workflow {kept['target']} is not the one that run {run_id} began with",
                code="run.definition",
                hint="check out the code that was there, or start a new run",
            )
    changed = changed_nodes(loaded, kept, policy)
    restore(options, request)
    async with held(keeper) as hold:

        async def begin() -> Journal:
            mine = claim or await hold.claimed(run_id)
            recorded = await called(keeper.writer, lambda: _taken_up(store, mine, loaded))
            options.max_concurrent = recorded.options.get("max_concurrent")
            options.timeout_ms = recorded.options.get("timeout_ms")
            journal = hold.journal(mine, recorded)
            if changed:
                journal.note("definition.changed", "", {"nodes": changed, "policy": policy})
            begun(journal)
            return journal

        return await execute(loaded, options, begin)


def _asked_once(store: Store, run_id: str) -> tuple[bytes, bytes]:
    """What a run that is there holds on to, and what was asked for."""
    row = store.run(run_id)
    definition = None if row is None else store.definition(row.definition)
    if definition is None:
        raise not_found(run_id)
    return definition, store.request(run_id) or b"{}"


def _taken_up(store: Store, mine: Claim, loaded: Loaded) -> Recorded:
    """The run's history; of one that waited for its failures to be looked at, without these from now on."""
    events = store.events(mine.run_id)
    recorded = fold(events)
    if not recorded.lost or recorded.cancel is not None:
        return recorded
    cone = suspended_cone(loaded.ready().scope, events, recorded)
    data = {"by": mine.owner, "gen": len(recorded.restarts) + 1, **cone.to_json()}
    store.append([Batch(mine, (Fact("run.restarted", time.time(), data=data),))])
    return fold(store.events(mine.run_id))


async def run_in_store(
    loaded: Loaded, options: RunOptions, url: str, asked: Mapping[str, Any]
) -> RunOutcome | RunResult:
    """Run a workflow in a store that is opened for it; a run with the same key is returned as it ended.

    Raises:
        StoreError: The run cannot be kept; or one with the same key has not ended.
    """
    keeper = await asyncio.to_thread(Keeper.open, url, asked.get("durability") or "full")
    try:
        return await run_durably(keeper, loaded, options, key=asked.get("key"))
    except KnownRunError as known:
        row = known.row
        if row.status in CLOSED:
            return stored_result(keeper.store, row.run_id)
        raise StoreError(
            f"run {row.run_id} has this key and is {row.status}",
            code="run.open",
            hint="`nodectl runs resume` goes on with it when its process is gone",
        ) from known
    finally:
        keeper.close()


class _Hold:
    """The claim of a run that is being run here."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.claim: Claim | None = None

    async def created(self, new: NewRun) -> Created:
        """Have a new run kept. Who is cancelled meanwhile lets it go again."""
        waiting = asyncio.ensure_future(asked(partial(self.keeper.writer.create, new)))
        return await self._outlasted(waiting, lambda created: created.claim)

    async def claimed(self, run_id: str) -> Claim:
        """Have a run claimed. Who is cancelled meanwhile lets it go again."""
        store, owner = self.keeper.store, self.keeper.owner
        waiting = asyncio.ensure_future(called(self.keeper.writer, lambda: store.claim(run_id, owner)))
        return await self._outlasted(waiting, lambda claim: claim)

    async def _outlasted(self, waiting: asyncio.Future[T], claim_of: Callable[[T], Claim | None]) -> T:
        """An answer that is waited for even by who is cancelled: it may hold a claim."""
        try:
            answer = await asyncio.shield(waiting)
        except asyncio.CancelledError:
            with contextlib.suppress(StoreError):  # then there is nothing to let go
                self.claim = claim_of(await waiting)
            raise
        self.claim = claim_of(answer)
        return answer

    def journal(self, claim: Claim, recorded: Any = None) -> Journal:
        self.claim = claim
        return Journal(self.keeper.writer, claim, recorded)


@contextlib.asynccontextmanager
async def held(keeper: Keeper) -> AsyncIterator[_Hold]:
    """What gives a run its journal, and lets it go at the end, however that comes."""
    hold = _Hold(keeper)
    try:
        yield hold
    except GeneratorExit:  # the run is abandoned together with its loop, so nobody can wait
        if hold.claim is not None:
            keeper.writer.release(hold.claim, lambda answer: None)
        raise
    except BaseException:
        await _released(keeper, hold)
        raise
    else:
        await _released(keeper, hold)


async def _released(keeper: Keeper, hold: _Hold) -> None:
    """Let the run go. A store that cannot be written keeps the claim, and its lock ends with this process."""
    if hold.claim is not None:
        with contextlib.suppress(StoreError):
            await asked(partial(keeper.writer.release, hold.claim))


def _asked_for(
    loaded: Loaded, options: RunOptions, key: str | None, target: str | None, owner: str | None
) -> NewRun:
    workflow = loaded.ready()
    request = _request(options)
    return NewRun(
        run_id=options.run_id or uuid.uuid4().hex,
        workflow=workflow.name,
        version=workflow.version,
        definition=pinned_definition(loaded, target),
        request=request,
        at=time.time(),
        key=key,
        fingerprint=hash_of(orjson.dumps(orjson.loads(request), option=orjson.OPT_SORT_KEYS)),
        labels=dict(workflow.labels),
        options={"max_concurrent": options.max_concurrent, "timeout_ms": options.timeout_ms},
        owner=owner,
        limit=run_limit(workflow),
    )


def _request(options: RunOptions) -> bytes:
    parts: Mapping[str, Any] = {name: orjson.Fragment(value.data) for name, value in options.request.items()}
    return orjson.dumps({"request": parts, "parameters": dict(options.parameters)})


def restore(options: RunOptions, request: bytes) -> None:
    """What the run was asked to do, as it was asked."""
    kept = orjson.loads(request)
    options.request = {name: Value.of(value) for name, value in (kept.get("request") or {}).items()}
    options.parameters = kept.get("parameters") or {}
