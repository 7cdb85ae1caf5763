"""Threads for plain functions: as many as are busy, used again, ended when idle, counted when stuck."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from nodeling.errors import NodelingError
from nodeling_runtime.dispatch import threads
from nodeling_runtime.dispatch.threads import RaisedOutsideError, ThreadPool


def on_loop(scene: Callable[[ThreadPool], Coroutine[Any, Any, Any]]) -> Any:
    async def whole() -> Any:
        pool = ThreadPool()
        try:
            return await scene(pool)
        finally:
            pool.close()

    return asyncio.run(whole())


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("nodeling-")}


def until(fact: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not fact() and time.monotonic() < end:
        threading.Event().wait(0.01)
    return fact()


def test_one_call_after_the_other_needs_one_thread() -> None:
    async def scene(pool: ThreadPool) -> set[int]:
        seen = set()
        for _ in range(5):
            future, _ = pool.submit(threading.get_ident)
            seen.add(await future)
        return seen

    assert len(on_loop(scene)) == 1


def test_calls_at_once_have_a_thread_each() -> None:
    async def scene(pool: ThreadPool) -> int:
        barrier = threading.Barrier(12)
        futures = [pool.submit(lambda: barrier.wait(10))[0] for _ in range(12)]
        return len(set(await asyncio.gather(*futures)))

    assert on_loop(scene) == 12


def test_all_are_daemons_and_end_with_the_pool() -> None:
    async def scene(pool: ThreadPool) -> bool:
        future, worker = pool.submit(lambda: threading.current_thread().daemon)
        daemon: bool = await future
        return daemon

    before = names()
    assert on_loop(scene)
    assert until(lambda: names() <= before)


def test_an_idle_thread_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.05)
    before = names()

    async def scene(pool: ThreadPool) -> list[Any]:
        await pool.submit(int)[0]
        while not names() <= before:
            await asyncio.sleep(0.01)
        return [await pool.submit(lambda: "fresh")[0], len(pool._idle)]

    assert on_loop(scene) == ["fresh", 1]


def test_the_callers_context_variables_are_carried() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def scene(pool: ThreadPool) -> list[str]:
        variable.set("the caller's")

        def change() -> str:
            found = variable.get()
            variable.set("the thread's")
            return found

        return [await pool.submit(change)[0], variable.get(), await pool.submit(variable.get)[0]]

    assert on_loop(scene) == ["the caller's"] * 3


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, StopIteration, asyncio.CancelledError])
def test_what_no_future_holds_is_carried_and_the_thread_lives_on(raised: type[BaseException]) -> None:
    async def scene(pool: ThreadPool) -> tuple[type, bool]:
        def fail() -> None:
            raise raised

        future, first = pool.submit(fail)
        try:
            await future
        except RaisedOutsideError as error:
            after, second = pool.submit(int)
            await after
            return type(error.original), first is second
        raise AssertionError("nothing was raised")

    assert on_loop(scene) == (raised, True)


def test_an_abandoned_thread_is_counted_until_it_comes_back_and_its_result_is_dropped() -> None:
    async def scene(pool: ThreadPool) -> None:
        release = threading.Event()
        future, worker = pool.submit(lambda: release.wait(20))
        pool.abandon(worker)
        assert pool.leaked == 1
        other, another = pool.submit(lambda: "free")
        assert await other == "free"
        assert another is not worker
        release.set()
        await asyncio.wait_for(future, 5)
        while pool.leaked:
            await asyncio.sleep(0.01)
        third, again = pool.submit(int)
        await third
        assert again is another, "a thread that was given up is not used again"

    on_loop(scene)


def test_a_thread_that_comes_back_at_that_very_moment_is_not_lost() -> None:
    async def scene(pool: ThreadPool) -> None:
        future, worker = pool.submit(int)
        await future
        pool.abandon(worker)
        assert pool.leaked == 0
        assert pool.submit(int)[1] is worker

    on_loop(scene)


def test_more_than_64_stuck_threads_in_the_process_refuse_new_calls() -> None:
    release = threading.Event()

    async def scene(pool: ThreadPool) -> None:
        for _ in range(3_000):  # other tests' threads are counted too, until they have come back
            if not threads._ABANDONED:
                break
            await asyncio.sleep(0.01)
        others = len(threads._ABANDONED)  # of a test whose node never returns
        stuck = [pool.submit(lambda: release.wait(30)) for _ in range(65 - others)]
        for number, (_, worker) in enumerate(stuck):
            assert await pool.submit(int)[0] == 0, f"{number} are stuck, and no more than 64"
            pool.abandon(worker)
        elsewhere = ThreadPool()  # the bound is the process's, not a pool's
        with pytest.raises(NodelingError) as caught:
            elsewhere.submit(int)
        assert caught.value.code == "inprocess.leaked"
        assert "65 threads of this process" in caught.value.message
        future, _ = elsewhere.submit(lambda: "imports go on", limited=False)
        assert await future == "imports go on"
        elsewhere.close()
        release.set()
        while pool.leaked:
            await asyncio.sleep(0.01)
        assert await pool.submit(int)[0] == 0

    try:
        on_loop(scene)
    finally:
        release.set()


def test_a_thread_that_outlives_its_loop_does_not_mind() -> None:
    release = threading.Event()
    before = names()

    async def scene(pool: ThreadPool) -> None:
        _, worker = pool.submit(lambda: release.wait(20))
        pool.abandon(worker)

    on_loop(scene)
    gc.collect()
    release.set()
    assert until(lambda: names() <= before)
