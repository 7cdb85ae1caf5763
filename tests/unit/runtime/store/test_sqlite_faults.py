"""What a SQLite store does when its file, its disk or its neighbours do not do what they should."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeling.errors import StoreError
from nodeling_runtime import fault_points
from nodeling_runtime.store import sqlite_file, sqlite_log
from nodeling_runtime.store.migration import Migration, migrations
from nodeling_runtime.store.model import Appended, Batch, Claim, Fact, NewRun, Retention, RunFilter
from nodeling_runtime.store.run_locks import RunLocks
from nodeling_runtime.store.sqlite import SqliteStore
from nodeling_runtime.store.verify import verify
from nodeling_runtime.store.writer import Answer, Writer

RELEASED = Path(__file__).parents[3] / "fixtures" / "stores"


def new(run_id: str = "r") -> NewRun:
    return NewRun(run_id, "w", "1", b"{}", b"{}", 1.0, owner="me")


def begun(store: SqliteStore, run_id: str = "r") -> Claim:
    claim = store.create(new(run_id)).claim
    assert claim is not None
    return claim


def noted(claim: Claim, size: int = 10) -> Batch:
    return Batch(claim, (Fact("flow.value", 1.0, "p", {"kind": "now", "n": 0}, b'"' + b"x" * size + b'"'),))


def code_of(act: Callable[[], Any]) -> str:
    with pytest.raises(StoreError) as error:
        act()
    return str(error.value.code)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


# -- the disk


def test_a_full_disk_refuses_the_batch_and_leaves_the_store_as_it_was(path: Path) -> None:
    """FAULTS 55: a real SQLITE_FULL, from a limit on the number of pages."""
    store = SqliteStore(path)
    try:
        claim = begun(store)
        (pages,) = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        assert code_of(lambda: store.append([noted(claim, 200_000)])) == "store.full"
        assert [event.kind for event in store.events("r")] == ["run.created", "run.claimed"]
        store._db.execute("PRAGMA max_page_count = 1000000")
        assert store.append([noted(claim, 200_000)]) == [Appended(3)]
        assert verify(store) == []
    finally:
        store.close()


class FullForAWhile(SqliteStore):
    """A store whose disk has room again after some tries."""

    def __init__(self, path: Path, times: int, code: str = "store.full") -> None:
        super().__init__(path)
        self.times = times
        self.code = code

    def append(self, batches: Any) -> Any:
        if self.times:
            self.times -= 1
            raise StoreError("no room", code=self.code)
        return super().append(batches)


def answers(store: SqliteStore, batches: list[Batch], hold: float) -> tuple[list[Answer], list[str]]:
    """What a writer says of batches, and what troubles it met."""
    found: list[Answer] = []
    troubles: list[str] = []
    done = threading.Event()

    def heard(answer: Answer) -> None:
        found.append(answer)
        if len(found) == len(batches):
            done.set()

    writer = Writer(store, hold)
    writer.on_trouble = lambda error: troubles.append(str(error.code))
    for batch in batches:
        writer.append(batch, heard)
    assert done.wait(60)
    writer.close()
    return found, troubles


def test_what_cannot_be_kept_for_a_moment_is_held_and_kept_later(path: Path) -> None:
    """FAULTS 55: nobody is told that anything was kept before it is."""
    store = FullForAWhile(path, 3)
    try:
        claim = begun(store)
        found, troubles = answers(store, [noted(claim), noted(claim)], 60.0)
        assert [type(one) for one in found] == [Appended, Appended]
        assert troubles == ["store.full"], "it is told once, however often it is tried"
        assert len(store.events("r")) == 4
    finally:
        store.close()


@pytest.mark.parametrize(("code", "tried_again"), [("store.full", True), ("store.corrupt", False)])
def test_what_cannot_be_kept_at_all_is_told_to_everybody_who_waits(
    path: Path, code: str, tried_again: bool
) -> None:
    store = FullForAWhile(path, 10**9, code)
    try:
        claim = begun(store)
        found, troubles = answers(store, [noted(claim)], 0.2)
        assert [one.code for one in found if isinstance(one, StoreError)] == [code]
        assert bool(troubles) is tried_again
        assert len(store.events("r")) == 2
    finally:
        store.close()


def test_a_batch_that_contradicts_the_history_hurts_no_other_in_its_transaction(path: Path) -> None:
    store = SqliteStore(path)
    try:
        good, bad = begun(store, "good"), begun(store, "bad")
        wrong = Batch(bad, (Fact("step.retry", 1.0, "p", {"attempt": 1, "error": None, "due": 2.0}),))
        writer = Writer(store)
        found: dict[str, Answer] = {}
        both = threading.Semaphore(0)

        def keep(name: str, answer: Answer) -> None:
            found[name] = answer
            both.release()

        store._guard.acquire()  # so that both wait for one transaction
        writer.append(noted(good), lambda answer: keep("first", answer))
        writer.append(wrong, lambda answer: keep("wrong", answer))
        writer.append(noted(good), lambda answer: keep("last", answer))
        store._guard.release()
        for _ in range(3):
            assert both.acquire(timeout=60)
        writer.close()
        assert isinstance(found["first"], Appended)
        assert isinstance(found["last"], Appended)
        assert isinstance(found["wrong"], StoreError)
        assert found["wrong"].code == "store.contradiction"
        assert verify(store) == []
    finally:
        store.close()


def test_runs_that_could_not_be_kept_are_held_by_nobody(path: Path) -> None:
    store = SqliteStore(path)
    other = RunLocks(path.with_name("runs.db.lock"))
    try:
        begun(store)
        assert code_of(lambda: store.create_all([new("a"), new("r")])) == "store.contradiction"
        assert [row.run_id for row in store.runs(RunFilter())] == ["r"]
        assert other.acquire(2), "the run that is not there is locked"
    finally:
        other.close()
        store.close()


def test_what_cannot_be_written_at_all_is_told_and_the_next_batch_is_kept(path: Path) -> None:
    store = SqliteStore(path)
    try:
        claim = begun(store)
        odd = Batch(claim, (Fact("step.log", 1.0, "p", {"message": {1: "no text"}}),))
        found, _ = answers(store, [odd, noted(claim)], 60.0)
        assert isinstance(found[0], StoreError)
        assert found[0].code == "internal"
        assert isinstance(found[1], Appended)
    finally:
        store.close()


def test_half_a_character_is_spelled_out(path: Path) -> None:
    """Python reads file names so, and they stand in messages."""
    store = SqliteStore(path)
    try:
        claim = begun(store)
        store.append([Batch(claim, (Fact("step.log", 1.0, "p", {"message": "caf\udce9"}),))])
        assert store.events("r")[-1].data == {"message": "caf\\udce9"}
    finally:
        store.close()


def test_who_comes_when_the_writer_has_ended_is_told_so(path: Path) -> None:
    store = SqliteStore(path)
    try:
        claim = begun(store)
        writer = Writer(store)
        writer.append(noted(claim), lambda answer: None)
        writer.close()
        said: list[Any] = []
        writer.append(noted(claim), said.append)
        writer.create(new("late"), said.append)
        writer.release(claim, said.append)
        writer.call(lambda: said.append("called"), said.append)
        assert [str(error.code) for error in said] == ["store.closed"] * 4
    finally:
        store.close()


# -- neighbours


def test_a_writer_waits_for_another_process_and_says_when_it_waited_too_long(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 56."""
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.2)
    store = SqliteStore(path)
    other = sqlite3.connect(path, isolation_level=None)
    try:
        claim = begun(store)
        other.execute("BEGIN IMMEDIATE")
        assert code_of(lambda: store.append([noted(claim)])) == "store.locked"
        other.execute("COMMIT")
        assert store.append([noted(claim)]) == [Appended(3)]
    finally:
        other.close()
        store.close()


def test_a_reader_is_not_kept_waiting_by_a_writer(path: Path) -> None:
    store = SqliteStore(path)
    other = sqlite3.connect(path, isolation_level=None)
    try:
        begun(store)
        other.execute("BEGIN IMMEDIATE")
        assert [row.run_id for row in store.runs(RunFilter())] == ["r"]
        other.execute("ROLLBACK")
    finally:
        other.close()
        store.close()


def test_one_checkpoint_runs_at_a_time_and_a_reader_puts_it_off(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_log, "LONGEST_LOG", 64 * 1024)
    store = SqliteStore(path)
    wal = path.with_name("runs.db-wal")
    try:
        claim = begun(store)
        held = RunLocks(path.with_name("runs.db.lock"))
        assert held.acquire(0)
        for _ in range(4):
            store.append([noted(claim, 100_000)])
        longest = wal.stat().st_size
        assert longest > 300_000, "it was written back although another process was at it"
        held.close()
        for _ in range(sqlite_log.LOOK_FACTS):
            store.append([noted(claim)])
        assert wal.stat().st_size < longest
        assert store.check() == []
    finally:
        store.close()


def test_a_log_that_was_written_back_begins_again_in_the_file_it_has(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To overwrite costs a disk half of what it costs to grow a file."""
    monkeypatch.setattr(sqlite_log, "LONGEST_LOG", 256 * 1024)
    store = SqliteStore(path)
    wal = path.with_name("runs.db-wal")
    sizes = set()
    try:
        claim = begun(store)
        for number in range(400):
            store.append([noted(claim)])
            if number > 200:
                sizes.add(wal.stat().st_size)
        assert 256 * 1024 < min(sizes)
        assert max(sizes) < 512 * 1024
        assert len(store.events("r")) == 402
        assert store.check() == []
    finally:
        store.close()


def test_a_commit_of_a_run_does_not_write_its_request_again(path: Path) -> None:
    store = SqliteStore(path)
    wal = path.with_name("runs.db-wal")
    request = b'"' + b"x" * 2**20 + b'"'
    try:
        claim = store.create(replace(new(), request=request)).claim
        assert claim is not None
        before = wal.stat().st_size
        for _ in range(20):
            store.append([noted(claim)])
        assert wal.stat().st_size - before < len(request)
        assert store.request("r") == request
    finally:
        store.close()


def test_a_lock_dies_with_its_process_and_with_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    mine = RunLocks(path)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        theirs = RunLocks(path)
        os.write(write, b"1" if theirs.acquire(7) else b"0")
        signal.pause()
        os._exit(0)
    os.close(write)
    try:
        assert os.read(read, 1) == b"1"
        assert not mine.acquire(7)
        assert mine.acquire(8)
        RunLocks(path).close()  # with other locks of the kernel's this would drop those of the process
        assert not RunLocks(path).acquire(8)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read)
    assert mine.acquire(7)
    mine.close()


# -- the file


def test_what_is_no_database_is_refused_and_not_touched(path: Path) -> None:
    """FAULTS 57."""
    path.write_bytes(b"this is a letter, " * 1_000)
    before = path.read_bytes()
    assert code_of(lambda: SqliteStore(path)) == "store.corrupt"
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_not_touched(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE books (title)")
    db.commit()
    db.close()
    assert code_of(lambda: SqliteStore(path)) == "store.foreign"
    db = sqlite3.connect(path)
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("books",)]
    db.close()


def test_a_damaged_page_is_found_by_the_check(path: Path) -> None:
    store = SqliteStore(path)
    claim = begun(store)
    for _ in range(50):
        store.append([noted(claim, 3_000)])
    store.close()
    data = bytearray(path.read_bytes())
    for page in range(8, 20):
        data[page * 4_096 : page * 4_096 + 16] = b"\xff" * 16
    path.write_bytes(bytes(data))
    try:
        store = SqliteStore(path)
    except StoreError as error:
        assert error.code == "store.corrupt"
        return
    try:
        assert store.check() != []
    except StoreError as error:
        assert error.code == "store.corrupt"
    finally:
        store.close()


def test_a_file_on_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS 58."""
    monkeypatch.setattr(sqlite_file, "_file_system", lambda _path: "nfs4")
    assert code_of(lambda: SqliteStore(path)) == "store.network"
    assert not path.exists()


def test_the_file_system_of_a_path_is_the_innermost_one() -> None:
    assert sqlite_file._file_system(Path("/proc/self")) == "proc"
    assert sqlite_file._file_system(Path("/")) != ""


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert code_of(lambda: SqliteStore(tmp_path / "file" / "runs.db")) == "store.read_only"


def test_a_file_is_as_small_as_what_is_left_in_it(path: Path) -> None:
    store = SqliteStore(path)
    for run_id in ("a", "b", "c"):
        claim = begun(store, run_id)
        for _ in range(20):
            store.append([noted(claim, 200_000)])
        store.append([Batch(claim, (Fact("run.ended", 2.0, data={"status": "succeeded", "error": None}),))])
        store.release(claim)
    store.close()
    before = path.stat().st_size
    store = SqliteStore(path)
    try:
        assert len(store.prune(Retention(None, 1))) == 2
        assert store.check() == []
    finally:
        store.close()
    assert path.stat().st_size < before / 2


# -- schemas


def test_a_newer_schema_is_refused_and_not_touched(path: Path) -> None:
    """FAULTS 75."""
    SqliteStore(path).close()
    db = sqlite3.connect(path)
    db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    db.commit()
    db.close()
    before = path.read_bytes()
    assert code_of(lambda: SqliteStore(path)) == "store.newer"
    assert path.read_bytes() == before


@pytest.mark.parametrize("file", sorted(RELEASED.glob("sqlite-*.sql")), ids=lambda file: file.stem)
def test_a_store_of_every_released_schema_is_opened_and_says_what_it_said(path: Path, file: Path) -> None:
    db = sqlite3.connect(path)
    db.executescript(file.read_text(encoding="utf-8"))
    db.close()
    store = SqliteStore(path)
    try:
        assert store.check() == []
        assert verify(store) == []
        assert {row.run_id: row.status for row in store.runs(RunFilter())} == {
            "ended": "succeeded",
            "open": "running",
        }
        assert store.events("ended")[-1].value == b'{"n":1}'
        store.claim("open", "me")
    finally:
        store.close()


def with_one_more() -> list[Migration]:
    """The migrations, and one of a later version."""
    more = ("ALTER TABLE run ADD COLUMN colour TEXT", "UPDATE run SET colour = 'red'")
    return [*migrations("sqlite"), Migration(len(migrations("sqlite")) + 1, more, 1)]


def test_an_older_schema_is_brought_up_in_one_transaction_behind_a_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 75."""
    store = SqliteStore(path)
    begun(store)
    store.close()
    newer = with_one_more()
    monkeypatch.setattr(sqlite_file, "migrations", lambda kind: newer)
    store = SqliteStore(path)
    try:
        assert store._db.execute("SELECT colour FROM run").fetchall() == [("red",)]
    finally:
        store.close()
    copy = sqlite3.connect(f"{path}.v{newer[-2].version}.bak")
    assert copy.execute("SELECT count(*) FROM run").fetchone() == (1,)
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()


def test_a_migration_that_is_killed_leaves_the_old_schema_and_can_be_repeated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(path)
    begun(store)
    store.close()
    newer = with_one_more()
    monkeypatch.setattr(sqlite_file, "migrations", lambda kind: newer)
    for at in (1, 2):
        pid = os.fork()
        if pid == 0:
            fault_points.arm(f"migration:{at}")
            SqliteStore(path)
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        db = sqlite3.connect(path)
        kept = dict(db.execute("SELECT key, value FROM meta"))
        assert kept["schema_version"] == str(newer[-2].version)
        db.close()
    store = SqliteStore(path)
    try:
        assert store._db.execute("SELECT colour FROM run").fetchall() == [("red",)]
        assert verify(store) == []
    finally:
        store.close()


def test_a_copy_is_whole_while_the_store_is_written(path: Path, tmp_path: Path) -> None:
    store = SqliteStore(path)
    claim = begun(store)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.append([noted(claim)])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        store.backup(tmp_path / "copy.db")
    finally:
        stop.set()
        thread.join()
        store.close()
    shutil.copy(tmp_path / "copy.db", tmp_path / "again.db")
    copy = SqliteStore(tmp_path / "again.db")
    try:
        assert copy.check() == []
        assert verify(copy) == []
    finally:
        copy.close()
