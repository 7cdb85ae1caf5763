"""Permits: first come, first served, and none is ever lost."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling_runtime.engine.permits import Permits
from virtual_time import run_virtual


def test_permits_are_served_in_the_order_of_asking() -> None:
    async def scene() -> list[int]:
        permits, served = Permits(1), []
        await permits.acquire()

        async def want(number: int) -> None:
            await permits.acquire()
            served.append(number)
            permits.release()

        waiting = [asyncio.create_task(want(n)) for n in range(5)]
        await asyncio.sleep(0)
        permits.release()
        await asyncio.gather(*waiting)
        return served

    assert run_virtual(scene) == [0, 1, 2, 3, 4]


def test_nobody_overtakes_those_who_wait() -> None:
    async def scene() -> bool:
        permits = Permits(1)
        await permits.acquire()
        waiting = asyncio.create_task(permits.acquire())
        await asyncio.sleep(0)
        permits.release()
        overtook = permits.try_acquire()  # the permit is promised to the one who waits
        await waiting
        return overtook

    assert run_virtual(scene) is False


def test_a_waiter_that_was_cancelled_takes_no_permit() -> None:
    async def scene() -> bool:
        permits = Permits(1)
        await permits.acquire()
        waiting = asyncio.create_task(permits.acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        permits.release()
        return permits.try_acquire()

    assert run_virtual(scene)


def test_a_permit_granted_to_a_cancelled_waiter_goes_on_to_the_next() -> None:
    async def scene() -> bool:
        permits = Permits(1)
        await permits.acquire()
        first = asyncio.create_task(permits.acquire())
        second = asyncio.create_task(permits.acquire())
        await asyncio.sleep(0)
        permits.release()  # granted to the first, which has not run yet
        first.cancel()
        await asyncio.wait([first, second])
        return first.cancelled() and second.exception() is None

    assert run_virtual(scene)


@settings(deadline=None, max_examples=300)
@given(
    limit=st.integers(1, 3),
    lives=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(0, 12)), max_size=12
    ),
)
def test_whoever_is_cancelled_whenever_the_bound_holds_and_all_permits_come_back(
    limit: int, lives: list[tuple[int, int, int | None]]
) -> None:
    async def scene() -> None:
        permits, inside = Permits(limit), 0

        async def live(arrives: int, stays: int) -> None:
            nonlocal inside
            await asyncio.sleep(arrives)
            await permits.acquire()
            inside += 1
            assert inside <= limit
            try:
                await asyncio.sleep(stays)
            finally:
                inside -= 1
                permits.release()

        tasks = []
        for arrives, stays, cancelled_at in lives:
            task = asyncio.create_task(live(arrives, stays))
            tasks.append(task)
            if cancelled_at is not None:
                asyncio.get_running_loop().call_later(cancelled_at, task.cancel)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(item is None or isinstance(item, asyncio.CancelledError) for item in found)
        assert [permits.try_acquire() for _ in range(limit + 1)] == [True] * limit + [False]

    run_virtual(scene)
