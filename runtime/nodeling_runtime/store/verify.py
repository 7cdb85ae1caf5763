"""Whether what a store says of a run is what its history says."""

from __future__ import annotations

from collections.abc import Iterable

from nodeling_runtime.store.base import Store
from nodeling_runtime.store.model import RunFilter
from nodeling_runtime.store.projection import KEYS, ProjectionError, Tables


def verify_run(store: Store, run_id: str) -> list[str]:
    """Fold a run's events again and compare; what differs, in words.

    The run may be running: its history is read first, and read again when it has grown meanwhile.
    """
    while True:
        events = store.events(run_id)
        kept = {table: store.rows(table, run_id) for table in KEYS}
        row = store.run(run_id)
        if row is None or row.last_seq == len(events):
            break
        if [event.seq for event in events] != list(range(1, len(events) + 1)):
            break
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        return [f"{run_id}: its events are not numbered from 1 without a gap"]
    tables = Tables()
    try:
        for event in events:
            tables.apply(event)
    except (ProjectionError, KeyError) as error:
        return [f"{run_id}: {error}"]
    faults: list[str] = []
    for table, keys in KEYS.items():
        there = {tuple(row[name] for name in keys): row for row in kept[table]}
        for key in there.keys() | tables.rows[table].keys():
            mine, folded = there.get(key), tables.rows[table].get(key)
            if mine != folded:
                faults.append(
                    f"{run_id}: {table} {'/'.join(map(str, key))} is {mine}, its events say {folded}"
                )
    return faults


def verify(store: Store, run_ids: Iterable[str] = ()) -> list[str]:
    """Verify these runs, or all there are."""
    ids = list(run_ids) or [row.run_id for row in store.runs(RunFilter())]
    return [fault for run_id in ids for fault in verify_run(store, run_id)]
