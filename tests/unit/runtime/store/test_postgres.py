"""What only a store in PostgreSQL has: leases, a server that goes away, schemas, many who ask at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from nodeling.errors import StoreError
from nodeling_runtime.store import postgres_link, postgres_schema
from nodeling_runtime.store.migration import Migration, migrations
from nodeling_runtime.store.model import Appended, Batch, Claim, Fact, Fenced, NewRun, RunLimit
from nodeling_runtime.store.postgres import PostgresStore
from nodeling_runtime.store.postgres_address import Address
from nodeling_runtime.store.postgres_schema import migrate
from nodeling_runtime.store.verify import verify
from stores import PostgresPlace, drop_schema

if TYPE_CHECKING:
    from pathlib import Path

    from postgres_server import Server

PATIENCE = 60.0
Open = Callable[..., PostgresStore]


@pytest.fixture
def url(tmp_path: Path, postgres: str) -> Iterator[str]:
    place = PostgresPlace(tmp_path, postgres)
    yield place.url
    place.close()


@pytest.fixture
def opened(url: str) -> Iterator[Open]:
    stores: list[PostgresStore] = []

    def open_one(durability: str = "off") -> PostgresStore:
        stores.append(PostgresStore(url, durability))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


def new(run_id: str, **given: Any) -> NewRun:
    return NewRun(run_id, "work", "1", b"{}", b"null", 100.0, **given)


def begun(store: PostgresStore, run_id: str = "r1") -> Claim:
    claim = store.create(new(run_id, owner="me")).claim
    assert claim is not None
    return claim


def decided(number: int) -> Fact:
    return Fact("decision", 101.0, "a", {"what": f"link {number}", "is": True})


def started(path: str) -> Fact:
    return Fact("step.started", 101.0, path, {"attempt": 1, "name": path, "node": "n", "container": False})


# -- the address


def test_an_address_is_taken_apart_and_its_password_is_never_shown() -> None:
    address = Address.parse(
        "postgresql://me:s3cret@host:5/db?schema=a_b&lease=2.5&password=x&sslmode=require"
    )
    assert (address.schema, address.lease_seconds) == ("a_b", 2.5)
    assert address.given == "postgresql://me:s3cret@host:5/db?password=x&sslmode=require"
    assert address.shown == "postgresql://me@host:5/db?schema=a_b&lease=2.5&sslmode=require"


@pytest.mark.parametrize(
    "query",
    ["schema=a%3B+drop+table", "schema=", "schema=pg_mine", "schema=" + "x" * 49, 'schema=a"b', "lease=0.5",
     "lease=soon", "lease=nan", "lease=inf"],
)  # fmt: skip
def test_what_is_no_schema_and_no_lease_is_refused_before_anything_is_asked(query: str) -> None:
    with pytest.raises(StoreError) as error:
        PostgresStore(f"postgresql://127.0.0.1:1/db?{query}")
    assert error.value.code == "store.address"


def test_a_server_that_is_not_there_is_said_so_at_once() -> None:
    with pytest.raises(StoreError) as error:
        PostgresStore("postgresql://me:s3cret@127.0.0.1:1/db")
    assert error.value.code == "store.unreachable"
    assert "s3cret" not in str(error.value)


def test_a_value_that_the_server_cannot_hold_is_no_trouble_of_the_server(opened: Open) -> None:
    store = opened()
    claim = begun(store)
    with pytest.raises(StoreError) as error:
        store.append([Batch(claim, (started("a\0b"),))])
    assert error.value.code == "store.contradiction"
    assert store.append([Batch(claim, (started("a"),))]) == [Appended(3)]


# -- the schema


def test_tenants_do_not_see_each_other(opened: Open, postgres: str) -> None:
    mine = opened()
    begun(mine)
    other_url = f"{postgres}?schema=other_tenant"
    other = PostgresStore(other_url, "off")
    try:
        assert other.run("r1") is None
        begun(other)
    finally:
        other.close()
        drop_schema(other_url)
    assert mine.run("r1") is not None


def test_many_who_open_an_empty_schema_at_once_make_it_once(opened: Open) -> None:
    gate = threading.Barrier(4)
    failed: list[BaseException] = []

    def open_one() -> None:
        gate.wait()
        try:
            opened()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_an_older_schema_is_brought_up_and_a_newer_one_is_refused(opened: Open, url: str) -> None:
    """FAULTS 75: in one transaction; a newer program's is left alone."""
    begun(opened())
    address = Address.parse(url)
    steps = migrations("postgres")
    good = "ALTER TABLE run ADD COLUMN colour text"
    broken = Migration(len(steps) + 1, (good, "SELECT * FROM nowhere"), 1)
    with pytest.raises(StoreError):
        migrate(address, [*steps, broken])
    opened()  # nothing of it was kept
    newer = [*steps, Migration(len(steps) + 1, (good, "UPDATE run SET colour = 'red'"), 1)]
    migrate(address, newer)
    migrate(address, newer)
    with pytest.raises(StoreError) as error:
        opened()
    assert error.value.code == "store.newer"


def test_a_schema_of_something_else_is_left_alone(url: str) -> None:
    address = Address.parse(url)
    text = f"CREATE SCHEMA {address.schema}; CREATE TABLE {address.schema}.customers (id int)"
    postgres_schema.once(address, "off", lambda db: db.execute(text))
    with pytest.raises(StoreError) as error:
        PostgresStore(url)
    assert error.value.code == "store.foreign"


# -- leases


def overdue(store: PostgresStore) -> None:
    """All leases have run out, as the server's clock sees it."""
    text = "UPDATE run SET lease_until = clock_timestamp() - interval '1 second'"
    store._writes.write(lambda db: db.execute(text))


def test_who_lets_the_lease_run_out_is_overtaken_and_writes_nothing_more(opened: Open) -> None:
    """FAULTS 60: one of two wins, and the other one's writes are refused."""
    mine, yours = opened(), opened()
    old = begun(mine)
    with pytest.raises(StoreError) as error:
        yours.claim("r1", "you")
    assert error.value.code == "run.held"
    overdue(mine)
    claim = yours.claim_next("you")
    assert claim is not None
    assert (claim.epoch, claim.is_recovery) == (old.epoch + 1, True)
    assert mine.append([Batch(old, (started("a"),))]) == [Fenced("you")]
    assert mine.heartbeat([old]) == [old]
    mine.release(old)  # gives nothing away that is no longer its own
    row = yours.run("r1")
    assert row is not None
    assert row.owner == "you"
    assert yours.attempts("r1") == []
    assert verify(yours) == []


def test_a_heartbeat_keeps_a_lease_that_had_nearly_run_out(opened: Open) -> None:
    mine, yours = opened(), opened()
    claims = [begun(mine, f"r{number}") for number in range(3)]
    overdue(mine)
    assert mine.heartbeat(claims) == []
    assert yours.claim_next("you") is None


def test_a_wall_clock_that_jumps_moves_no_lease(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS 63: leases are counted by the server's clock alone."""
    mine, yours = opened(), opened()
    real = time.time
    for jump in (3_600.0, -3_600.0):
        monkeypatch.setattr("nodeling_runtime.store.postgres.time.time", lambda jump=jump: real() + jump)
        claim = begun(mine, f"r{jump}")
        assert yours.claim_next("you") is None
        assert mine.heartbeat([claim]) == []


def test_of_many_runners_each_run_goes_to_one(opened: Open) -> None:
    """FAULTS 60: SKIP LOCKED: nobody waits for another one's claim, and nobody gets the same."""
    first = opened()
    for number in range(24):
        first.create(new(f"r{number:02}"))
    stores = [opened() for _ in range(6)]
    taken: list[str] = []
    guard = threading.Lock()

    def take(store: PostgresStore, owner: str) -> None:
        while (claim := store.claim_next(owner)) is not None:
            with guard:
                taken.append(claim.run_id)

    threads = [threading.Thread(target=take, args=(store, f"w{n}")) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"r{number:02}" for number in range(24)]
    assert verify(first) == []


def test_a_limit_holds_however_many_ask_at_once(opened: Open) -> None:
    first = opened()
    for number in range(8):
        first.create(new(f"r{number}", limit=RunLimit(2)))
    stores = [opened() for _ in range(5)]
    gate = threading.Barrier(len(stores))
    taken: list[Claim | None] = []

    def take(store: PostgresStore, owner: str) -> None:
        gate.wait()
        taken.append(store.claim_next(owner))

    threads = [threading.Thread(target=take, args=(store, f"w{n}")) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claim is not None for claim in taken) == 2
    assert first.claim_next("one more") is None


def test_whoever_waits_for_work_hears_of_it(opened: Open) -> None:
    mine, yours = opened(), opened()
    heard = threading.Event()

    def wait() -> None:
        yours.await_work(PATIENCE)
        heard.set()

    thread = threading.Thread(target=wait)
    began = time.monotonic()
    thread.start()
    number = 0
    while not heard.wait(0.05):  # whoever does not listen yet misses the first ones
        number += 1
        mine.create(new(f"r{number}"))
        assert time.monotonic() - began < PATIENCE / 2
    thread.join()


# -- a server that goes away


def test_a_server_that_crashes_and_comes_back_costs_a_store_nothing(
    opened: Open, postgres_server: Server
) -> None:
    """FAULTS 59: connections are made again; what was acknowledged is there, what was not is not."""
    store = opened("full")
    claim = begun(store)
    store.append([Batch(claim, (decided(0),))])
    answers: list[Any] = []
    postgres_server.stop()
    try:
        thread = threading.Thread(
            target=lambda: answers.extend(store.append([Batch(claim, (decided(1),))])), daemon=True
        )
        thread.start()
    finally:
        postgres_server.start()
    thread.join(PATIENCE)
    assert answers == [Appended(4)]
    assert store.heartbeat([claim]) == []
    assert [event.data["what"] for event in store.events("r1")[2:]] == ["link 0", "link 1"]
    assert verify(store) == []


def test_a_server_that_stays_away_is_waited_for_a_while_and_then_said_so(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 59: the writer holds results for as long again; nothing is said to be kept."""
    store = opened()
    claim = begun(store)
    monkeypatch.setattr(postgres_link, "PATIENCE_SECONDS", 0.2)
    with monkeypatch.context() as gone:
        gone.setattr(postgres_link, "connect", _refuses)
        store._writes._drop()
        with pytest.raises(StoreError) as error:
            store.append([Batch(claim, (decided(0),))])
        assert error.value.code == "store.unreachable"
    assert store.append([Batch(claim, (decided(0),))]) == [Appended(3)]


def _refuses(*_: object) -> None:
    raise StoreError("nobody answers", code="store.unreachable")


class Lossy:
    """A connection that is lost around a COMMIT: before the server gets it, or before its answer comes."""

    def __init__(self, db: Any, *, reaches_server: bool) -> None:
        self._db = db
        self._reaches_server = reaches_server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, text: Any, *args: Any) -> Any:
        import psycopg

        if text == "COMMIT":
            if self._reaches_server:
                self._db.execute("COMMIT")
            self._db.close()
            raise psycopg.OperationalError("the connection was lost")
        return self._db.execute(text, *args)


@pytest.mark.parametrize("reaches_server", [True, False], ids=["kept", "not kept"])
def test_a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten(
    opened: Open, reaches_server: bool
) -> None:
    """FAULTS 59: the server is asked what became of it."""
    store = opened()
    claim = begun(store)
    store._writes._db = Lossy(store._writes._db, reaches_server=reaches_server)
    assert store.append([Batch(claim, (started("a"), decided(0)))]) == [Appended(4)]
    assert [event.kind for event in store.events("r1")] == [
        "run.created", "run.claimed", "step.started", "decision",
    ]  # fmt: skip
    assert verify(store) == []


def test_a_server_that_cannot_say_what_it_kept_leaves_the_rest_to_whoever_asks_it_later(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    claim = begun(store)
    monkeypatch.setattr(postgres_link, "DOUBT_SECONDS", 0.2)
    monkeypatch.setattr(postgres_link, "connect", _refuses)
    store._writes._db = Lossy(store._writes._db, reaches_server=True)
    with pytest.raises(StoreError) as error:
        store.append([Batch(claim, (decided(0),))])
    assert error.value.code == "store.in_doubt"
