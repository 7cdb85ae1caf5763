"""A caller goes on in the callback that read its answer, and ends in every other way as with any future."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from nodeling_runtime.dispatch.base import Outcome
from nodeling_runtime.dispatch.worker.answer import Answer
from nodeling_runtime.dispatch.worker.conversation import _wake

DONE = Outcome()
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


class Caller:
    """A task that waits for an answer, notes what became of it, and does one thing more."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.answer = Answer(asyncio.get_running_loop())
        self.heard: list[Any] = []
        self.then = then
        self.task = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        variable.set("of the caller")
        try:
            self.heard.append(await self.answer)
        except asyncio.CancelledError:
            self.heard.append("cancelled")
        self.heard.append((variable.get(), asyncio.current_task() is self.task))
        self.then()


async def in_callback(act: Callable[[], None]) -> None:
    """Have a callback of the loop do something."""
    done = asyncio.get_running_loop().create_future()

    def callback() -> None:
        act()
        done.set_result(None)

    asyncio.get_running_loop().call_soon(callback)
    await done


@on_a_loop
async def test_who_waits_goes_on_before_the_callback_returns_in_its_own_task_and_context() -> None:
    caller = Caller()
    await asyncio.sleep(0)
    seen: list[Any] = []

    def act() -> None:
        caller.answer.wake(DONE)
        seen.extend(caller.heard)

    await in_callback(act)
    assert seen == [DONE, ("of the caller", True)]
    await caller.task


@on_a_loop
async def test_an_answer_may_come_before_anybody_waits() -> None:
    caller = Caller()
    caller.answer.wake(DONE)
    await caller.task
    assert caller.heard[0] is DONE


@on_a_loop
async def test_a_result_that_is_set_reaches_who_waits_with_the_next_turn() -> None:
    caller = Caller()
    await asyncio.sleep(0)
    caller.answer.set_result(DONE)
    assert caller.heard == []
    await caller.task
    assert caller.heard[0] is DONE


@on_a_loop
async def test_a_caller_may_be_cancelled_by_another_task() -> None:
    caller = Caller()
    await asyncio.sleep(0)
    caller.task.cancel()
    assert caller.heard == [] and caller.answer.cancelled()
    await caller.task
    assert caller.heard[0] == "cancelled"


@on_a_loop
async def test_an_exception_reaches_who_waits() -> None:
    answer = Answer(asyncio.get_running_loop())
    task = asyncio.ensure_future(asyncio.wait_for(answer, 5))
    await asyncio.sleep(0)
    answer.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await task


@on_a_loop
async def test_several_may_wait_and_one_may_give_up() -> None:
    answer = Answer(asyncio.get_running_loop())
    tasks = [asyncio.ensure_future(asyncio.wait({answer}, timeout=5)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await tasks[0]
    await in_callback(lambda: answer.wake(DONE))
    for task in tasks[1:]:
        done, left = await task
        assert done == {answer} and not left
    assert await answer is DONE


def leave() -> None:
    raise SystemExit


@on_a_loop
async def test_one_who_ends_the_program_keeps_none_of_the_others_waiting() -> None:
    callers = [Caller(), Caller(leave), Caller()]
    await asyncio.sleep(0)

    def act() -> None:
        with pytest.raises(SystemExit):
            _wake([(caller.answer, DONE) for caller in callers])

    await in_callback(act)
    ended = await asyncio.gather(*(caller.task for caller in callers), return_exceptions=True)
    assert [caller.heard[0] for caller in callers] == [DONE] * 3
    assert isinstance(ended[1], SystemExit)


@on_a_loop
async def test_one_who_was_cancelled_by_the_one_before_is_left_alone() -> None:
    callers = [Caller(lambda: callers[1].task.cancel()), Caller()]
    await asyncio.sleep(0)
    await in_callback(lambda: _wake([(caller.answer, DONE) for caller in callers]))
    await asyncio.gather(*(caller.task for caller in callers))
    assert [caller.heard[0] for caller in callers] == [DONE, "cancelled"]
