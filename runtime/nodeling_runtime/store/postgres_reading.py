"""What is read of a PostgreSQL store, through a connection of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nodeling_runtime.store import rows
from nodeling_runtime.store.model import AttemptRow, Claim, Event, ResultRow, RunFilter, RunRow, TimerRow
from nodeling_runtime.store.postgres_address import Address
from nodeling_runtime.store.postgres_link import Link
from nodeling_runtime.store.projection import COLUMNS, JSON_COLUMNS, Row, Table

RUN = f"SELECT {', '.join(rows.RUN)} FROM run"  # noqa: S608  # names of columns
STATE = (
    "SELECT value FROM state WHERE space = %s AND key = %s"
    " AND (expires IS NULL OR expires > clock_timestamp())"
)
_EVENTS = (
    "SELECT run, seq, epoch, kind, at, path, gen, data, coalesce(event.value, blob.body), delta"
    " FROM event LEFT JOIN blob ON blob.hash = event.blob WHERE run = %s AND seq > %s ORDER BY seq LIMIT %s"
)
_BEAT = (
    "UPDATE run SET lease_until = clock_timestamp() + make_interval(secs => %s)"
    " FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS mine (id, epoch, owner)"
    " WHERE run.id = mine.id AND run.epoch = mine.epoch AND run.owner = mine.owner"
    " RETURNING run.id, run.epoch"
)
_UNNUMBERED = (
    "SELECT id, last_seq, count(event.seq), coalesce(max(event.seq), 0) FROM run"
    " LEFT JOIN event ON event.run = run.id GROUP BY run.id, last_seq"
    " HAVING count(event.seq) <> last_seq OR coalesce(max(event.seq), 0) <> last_seq ORDER BY id"
)


class PostgresReading:
    """The reading half of `PostgresStore`."""

    def __init__(self, address: Address, durability: str) -> None:
        self.address = address
        self._reads = Link(address, durability)

    def run(self, run_id: str) -> RunRow | None:
        """One run."""
        found = self._all(f"{RUN} WHERE id = %s", run_id)
        return rows.run_row(found[0]) if found else None

    def find(self, prefix: str) -> list[RunRow]:
        """The runs whose id begins so."""
        found = self._all(f"{RUN} WHERE starts_with(id, %s) ORDER BY number DESC LIMIT 10", prefix)
        return [rows.run_row(row) for row in found]

    def runs(self, wanted: RunFilter) -> list[RunRow]:
        """Runs, newest first."""
        wheres: list[str] = []
        values: list[Any] = []
        for text, value in (
            ("status = ANY(%s)", list(wanted.statuses) or None),
            ("workflow = %s", wanted.workflow),
            ("created >= %s", wanted.since),
            ("created < %s", wanted.until),
        ):
            if value is not None:
                wheres.append(text)
                values.append(value)
        where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
        found = self._all(f"{RUN}{where} ORDER BY number DESC LIMIT %s", *values, wanted.limit)
        return [rows.run_row(row) for row in found]

    def abandoned(self) -> set[str]:
        """The runs that are running and whose lease is over."""
        text = (
            "SELECT id FROM run WHERE status = 'running'"
            " AND (owner IS NULL OR lease_until <= clock_timestamp())"
        )
        return {row[0] for row in self._all(text)}

    def attempts(self, run_id: str) -> list[AttemptRow]:
        """Every try of every step."""
        found = self._of_run("attempt", rows.ATTEMPT, run_id, 'started, path COLLATE "C"')
        return [rows.attempt_row(row) for row in found]

    def results(self, run_id: str) -> list[ResultRow]:
        """How each generation of each step ended."""
        return [rows.result_row(row) for row in self._of_run("result", rows.RESULT, run_id, "seq")]

    def timers(self, run_id: str) -> list[TimerRow]:
        """What is waited for."""
        return [rows.timer_row(row) for row in self._of_run("timer", rows.TIMER, run_id, "due")]

    def events(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        """A run's history."""
        return [rows.event_row(row) for row in self._all(_EVENTS, run_id, after, limit)]

    def definition(self, hash: str) -> bytes | None:
        """A pinned workflow with its nodes."""
        return self._one("SELECT body FROM definition WHERE hash = %s", hash)

    def request(self, run_id: str) -> bytes | None:
        """What the run was asked to do."""
        return self._one("SELECT request FROM run WHERE id = %s", run_id)

    def read_state(self, space: str, key: str) -> bytes | None:
        """A kept value whose time is not over."""
        text = (
            "SELECT value FROM state WHERE space = %s AND key = %s AND (expires IS NULL OR expires > now())"
        )
        return self._one(text, space, key)

    def heartbeat(self, claims: Sequence[Claim]) -> list[Claim]:
        """Extend all leases at once; those that have been overtaken are returned."""
        if not claims:
            return []
        ids, epochs = [claim.run_id for claim in claims], [claim.epoch for claim in claims]
        owners = [claim.owner for claim in claims]
        kept = set(self._all(_BEAT, self.address.lease_seconds, ids, epochs, owners))
        return [claim for claim in claims if (claim.run_id, claim.epoch) not in kept]

    def cancels(self, claims: Sequence[Claim]) -> dict[str, str]:
        """Which of these runs were asked to end."""
        text = "SELECT id, cancel FROM run WHERE id = ANY(%s) AND cancel IS NOT NULL"
        return dict(self._all(text, [claim.run_id for claim in claims]))

    def rows(self, table: Table, run_id: str) -> list[Row]:
        """The projection's rows as they are kept."""
        names = COLUMNS[table]
        key = "id" if table == "run" else "run"
        text = f"SELECT {', '.join(names)} FROM {table} WHERE {key} = %s"  # noqa: S608  # names of columns
        found = [dict(zip(names, row, strict=True)) for row in self._all(text, run_id)]
        return [{n: rows.from_json(v) if n in JSON_COLUMNS else v for n, v in row.items()} for row in found]

    def check(self) -> list[str]:
        """What is wrong with the histories as a whole; the server looks after its files itself."""
        return [
            f"run {run_id} has {count} events up to number {last}, and should have {wanted}"
            for run_id, wanted, count, last in self._all(_UNNUMBERED)
        ]

    # -- inside

    def _all(self, text: str, *values: Any) -> list[Any]:
        found: list[Any] = self._reads.read(lambda db: db.execute(text, values).fetchall())
        return found

    def _of_run(self, table: str, names: Sequence[str], run_id: str, order: str) -> list[Any]:
        text = f"SELECT {', '.join(names)} FROM {table} WHERE run = %s ORDER BY {order}"  # noqa: S608  # names
        return self._all(text, run_id)

    def _one(self, text: str, *values: Any) -> bytes | None:
        found = self._all(text, *values)
        return bytes(found[0][0]) if found else None
