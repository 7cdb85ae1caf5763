"""A run that is cut short and resumed, and what must hold of it afterwards: for the tests of durable runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nodeling import Workflow
from nodeling_runtime.dispatch.base import idempotency_key
from nodeling_runtime.engine.durable import Keeper, resume_run, run_durably
from nodeling_runtime.engine.host import EngineHost, in_own_loop
from nodeling_runtime.engine.loaded import Loaded, load_file
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.engine.run import RunOutcome
from nodeling_runtime.store.base import Store
from nodeling_runtime.store.model import Batch, Event, Fact, NewRun
from nodeling_runtime.store.verify import verify_run
from nodeling_runtime.store.writer import Writer

FLOW = Path(__file__).parent / "fixtures" / "durable" / "flow.yaml"


def keeper_of(store: Store) -> Keeper:
    return Keeper(store, Writer(store), "a test")


def begin(keeper: Keeper, loaded: Loaded | None = None, **options: Any) -> RunOutcome:
    """Run a workflow to its end on a loop of its own."""
    chosen = run_options(options)
    found = load_file(FLOW) if loaded is None else loaded
    outcome: RunOutcome = in_own_loop(lambda: run_durably(keeper, found, chosen))
    return outcome


def resume(keeper: Keeper, run_id: str, **settings: Any) -> RunOutcome:
    """Resume a run and see it to its end."""
    outcome: RunOutcome = in_own_loop(lambda: resume_run(keeper, run_id, run_options({}), **settings))
    return outcome


def cut(source: Store, run_id: str, kept: int, target: Store) -> None:
    """Put the first events of a run into another store, as if its runner had died right after them."""
    row = source.run(run_id)
    assert row is not None
    events = source.events(run_id)
    definition, request = source.definition(row.definition), source.request(run_id)
    assert definition is not None
    assert request is not None
    new = NewRun(
        run_id,
        row.workflow,
        row.version,
        definition,
        request,
        row.created,
        owner="the one who died",
        options=events[0].data["options"],
    )
    claim = target.create(new).claim
    assert claim is not None
    facts = tuple(_fact(event) for event in events[2:kept])
    if facts:
        target.append([Batch(claim, facts)])


def _fact(event: Event) -> Fact:
    return Fact(event.kind, event.at, event.path, event.data, event.value, event.delta, event.gen)


def output_of(outcome: RunOutcome) -> Any:
    return None if outcome.output is None else json.loads(outcome.output.data)


def effects(path: Path) -> list[tuple[str, str, int]]:
    """What was done: the key, the step and the attempt of each call that had its effect."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(key, step, int(attempt)) for key, step, attempt in (line.split(" ") for line in lines)]


def check_run(store: Store, run_id: str, done: Sequence[tuple[str, str, int]]) -> list[str]:
    """What is wrong with a run that has ended, in words: its rows, its results, and its effects."""
    faults = verify_run(store, run_id)
    results = Counter((result.path, result.gen) for result in store.results(run_id))
    faults += [f"{key}: {count} results" for key, count in results.items() if count != 1]
    attempts = store.attempts(run_id)
    faults += [
        f"{one.path}: attempt {one.attempt} is still running" for one in attempts if one.state == "running"
    ]
    unended = {one.path for one in attempts} - {path for path, _ in results}
    faults += [f"{path} was started and has no result" for path in sorted(unended)]
    return faults + _effects(run_id, attempts, done)


def _effects(run_id: str, attempts: Sequence[Any], done: Sequence[tuple[str, str, int]]) -> list[str]:
    """Each effect belongs to an attempt of its own, and each attempt that succeeded had its effect."""
    path_of = {idempotency_key(run_id, one.path): one.path for one in attempts}
    counted = Counter((path_of.get(key), attempt) for key, _, attempt in done)
    states: Mapping[tuple[str, int], str] = {(one.path, one.attempt): one.state for one in attempts}
    faults = [f"an effect of {key} belongs to no attempt" for key, *_ in done if key not in path_of]
    faults += [f"{place} had {count} effects" for place, count in counted.items() if count > 1]
    for path in {path for path, _ in counted if path is not None}:
        tries = {attempt: state for (one, attempt), state in states.items() if one == path}
        for _, attempt in (place for place in counted if place[0] == path):
            if attempt not in tries:
                faults.append(f"{path}: the effect of attempt {attempt}, which was never written down")
    return faults


def extra_effects(run_id: str, attempts: Sequence[Any], done: Sequence[tuple[str, str, int]]) -> list[str]:
    """The steps that did more than once what only a runner's death excuses."""
    path_of = {idempotency_key(run_id, one.path): one.path for one in attempts}
    counted = Counter(path_of.get(key, key) for key, *_ in done)
    allowed = Counter(one.path for one in attempts if one.state in ("lost", "failed"))
    return [f"{path}: {count} effects" for path, count in counted.items() if count > 1 + allowed[path]]


def loaded_from(workflow: Workflow) -> Loaded:
    """A workflow made in Python, resolved."""
    return EngineHost().load(workflow)
