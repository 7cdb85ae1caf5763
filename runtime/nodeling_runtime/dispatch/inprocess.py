"""Python nodes in this process: coroutines on the loop, plain functions on threads of our own.

Neither can be killed. A coroutine is cancelled in the task that awaits it; a thread is told through
`ctx.cancelled` and, when it does not come back within the grace, abandoned and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from nodeling.context import Context
from nodeling.errors import NodeError, NodelingError
from nodeling.node import Implementation
from nodeling.values import InvalidValue
from nodeling_runtime.blob_values import BlobValue, settled
from nodeling_runtime.blobs import BlobFault
from nodeling_runtime.dispatch.base import (
    CANCEL_GRACE_SECONDS,
    NOTHING_WRITTEN,
    CallError,
    NodeCall,
    Outcome,
)
from nodeling_runtime.dispatch.live_call import LiveCall
from nodeling_runtime.dispatch.loading import load_implementation, loaded_implementation
from nodeling_runtime.dispatch.threads import RaisedOutsideError, ThreadPool
from nodeling_runtime.values import Value
from nodeling_runtime.writable import is_writable, writable

LONGEST_TRACEBACK = 32 * 1024
CONSUMER_POLL_SECONDS = 0.05  # how often a thread that waits for a consumer looks whether its call goes on
PLAIN_KINDS = ("async", "sync")  # what reports nothing by itself, as generators do


class InProcessDispatcher:
    """Runs Python nodes in this process."""

    def __init__(self) -> None:
        self.threads = ThreadPool()

    async def call(self, call: NodeCall) -> Outcome:
        """Run one attempt."""
        spec = call.spec
        live = LiveCall(call)
        context: Context | None = None
        implementation = loaded_implementation(spec)
        try:
            if implementation is None:
                implementation = await self._on_thread(lambda: load_implementation(spec), live)
            if implementation.takes_context or implementation.kind not in PLAIN_KINDS:
                context = live.context()
            if implementation.kind == "async" and call.inputs.__class__ is not BlobValue:
                result = await implementation.call(context, call.inputs.fresh())
            else:
                result = await self._drive(implementation, context, call, live)
            output = call.blobs.value_of(result)
            delta = NOTHING_WRITTEN if context is None else context._delta
            if delta:
                _refuse(delta, call)
            return Outcome(output, None, delta, live.worker, metrics=live.metrics)
        except (asyncio.CancelledError, GeneratorExit):  # GeneratorExit: the loop is gone, and nobody waits
            live.cancelled = True
            raise
        except BaseException as error:  # whatever a node raises is the node's failure
            delta = NOTHING_WRITTEN if context is None else _nameable(context._delta)
            failure = failure_of(error, loaded=implementation is not None)
            return Outcome(None, failure, delta, live.worker, metrics=live.metrics)
        finally:
            if live.work_dirs:
                live.sweep()

    async def close(self) -> None:
        """Let the idle threads end."""
        self.threads.close()

    async def _drive(self, implementation: Implementation, ctx: Any, call: NodeCall, live: LiveCall) -> Any:
        function, kind = implementation.call, implementation.kind
        if kind == "flow":
            return await function(ctx, call.flow.keys, call.flow)
        if isinstance(call.inputs, BlobValue):
            inputs = await self._on_thread(lambda: _read(call.inputs), live)
        else:
            inputs = call.inputs.fresh()
        if kind == "async":
            return await function(ctx, inputs)
        if kind == "async_generator":
            return await _collect_async(function(ctx, inputs), ctx, call)
        if kind == "generator":
            drive = partial(_collect, function, ctx, inputs, call, asyncio.get_running_loop())
            return await self._on_thread(drive, live, is_node=True)
        if implementation.blocking:
            result = await self._on_thread(lambda: function(ctx, inputs), live, is_node=True)
        else:
            result = function(ctx, inputs)
        return await result if inspect.isawaitable(result) else result

    async def _on_thread(self, function: Callable[[], Any], live: LiveCall, *, is_node: bool = False) -> Any:
        future, worker = self.threads.submit(function, limited=is_node)
        if is_node:
            live.worker = worker.name
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            live.cancelled = True
            if not await _back_within_grace(future):
                self.threads.abandon(worker)
            raise


async def _back_within_grace(future: asyncio.Future[Any]) -> bool:
    """Whether a thread that was told to end did so. Being told again changes nothing about the grace."""
    loop = asyncio.get_running_loop()
    end = loop.time() + CANCEL_GRACE_SECONDS
    while not future.done() and (left := end - loop.time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([future], timeout=left)
    if future.done() and not future.cancelled():
        future.exception()  # looked at, so that nobody warns of it
    return future.done()


def _collect(
    function: Callable[..., Any],
    ctx: Context,
    inputs: Any,
    call: NodeCall,
    loop: asyncio.AbstractEventLoop,
) -> Any:
    """Drive a generator: each yield is a chunk; its return value, or the chunks, is the output.

    A call that was cancelled ends at its next yield, so that its thread comes back.
    """
    generator = function(ctx, inputs)
    chunks: list[Any] = []
    try:
        while not ctx.cancelled:
            value = _chunk(chunks, next(generator), ctx, call)
            if call.on_chunk is not None:
                _wait_for_consumer(call.on_chunk(value), ctx, loop)
    except StopIteration as stop:
        return chunks if stop.value is None else stop.value
    finally:
        generator.close()
    return None


async def _collect_async(generator: Any, ctx: Context, call: NodeCall) -> list[Any]:
    chunks: list[Any] = []
    try:
        async for chunk in generator:
            value = _chunk(chunks, chunk, ctx, call)
            if call.on_chunk is not None:
                await call.on_chunk(value)
    finally:
        await generator.aclose()
    return chunks


def _wait_for_consumer(taking: Awaitable[None], ctx: Context, loop: asyncio.AbstractEventLoop) -> None:
    """Hold a generator's thread until its chunk was taken, or nobody wants it any more."""

    async def take() -> None:
        await taking

    future = asyncio.run_coroutine_threadsafe(take(), loop)
    while True:
        try:
            return future.result(CONSUMER_POLL_SECONDS)
        except TimeoutError:
            if ctx.cancelled:
                future.cancel()
                return None


def _chunk(chunks: list[Any], chunk: Any, ctx: Context, call: NodeCall) -> Value:
    value = call.blobs.value_of(chunk)
    ctx._emit("chunk", {"number": len(chunks), "data": value.brief()})
    chunks.append(value.fresh())
    return value


def _nameable(delta: dict[str, bytes | None]) -> dict[str, bytes | None]:
    return {key: data for key, data in delta.items() if is_writable(key)} if delta else delta


def _refuse(delta: Mapping[str, bytes | None], call: NodeCall) -> None:
    for key, data in delta.items():
        if not is_writable(key):
            raise InvalidValue("", f"a lone surrogate stands in the variable '{writable(key)}'", "surrogate")
        if call.blobs.refers(data):
            raise NodelingError(
                f"a blob cannot stand in the context variable {key!r}",
                code="context.blob",
                hint="return it, in the node's output",
            )


def _read(inputs: Value) -> Any:
    """A copy of inputs that lie in files; they are read beside the loop."""
    try:
        return inputs.fresh()
    except BlobFault as fault:
        code = fault.code if isinstance(fault.code, int) else 4001
        raise NodeError(f"its inputs cannot be read: {fault.message}", code=code, retryable=False) from None


def failure_of(error: BaseException, *, loaded: bool = True) -> CallError:
    """What a node raised, as data that can be written down."""
    found = _failure_of(error, loaded=loaded)
    found.message, found.type = writable(found.message), writable(found.type)
    found.details = writable(found.details)
    return found


def _failure_of(error: BaseException, *, loaded: bool) -> CallError:
    if isinstance(error, RaisedOutsideError):
        error = error.original
    if isinstance(error, InvalidValue):
        return CallError(4006, f"the output is no JSON value: {error}", "InvalidOutput", retryable=False)
    if isinstance(error, BlobFault) and isinstance(error.code, int):
        return CallError(error.code, error.message, "PayloadTooLarge", retryable=False)
    if isinstance(error, NodeError):
        hint = {"hint": error.hint} if error.hint else {}
        # What a container hands on unread is told by reference: an error is no place for large values.
        details = settled(dict(error.details), lambda record: record.value.brief())
        said = {**hint, **details, **_cause(error)}
        return CallError(
            error.code,
            error.message,
            "NodeError",
            error.retryable,
            error.retry_after_ms,
            error.started,
            said,
        )
    if isinstance(error, NodelingError) and not isinstance(error.code, int):
        return CallError(error.code, str(error), type(error).__name__, details=dict(error.details))
    name = type(error).__name__
    text = _text_of(error)
    message = f"{name}: {text}" if text else name
    if not loaded:
        said = _trace(error)
        return CallError("node.import", f"its code does not load: {message}", name, False, details=said)
    return CallError(4000, message, name, details={**_trace(error), **_cause(error)})


def _trace(error: BaseException) -> dict[str, Any]:
    """The traceback from the node's own first frame on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [i for i, frame in enumerate(frames) if not _is_ours(frame.filename)]
    kept = frames[own[0] :] if own else frames[-1:]
    lines = [*traceback.format_list(kept), *traceback.format_exception_only(type(error), error)]
    return {"traceback": "".join(lines)[-LONGEST_TRACEBACK:]}


def _is_ours(filename: str) -> bool:
    """Whether a frame is the runtime's, or the import system's that runs on its behalf."""
    return "nodeling_runtime" in filename or filename.startswith("<frozen ")


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # a message that cannot be made must not hide the error
        return f"(its message cannot be read: {type(fault).__name__})"


def _cause(error: BaseException, depth: int = 5) -> dict[str, Any]:
    cause = error.__cause__
    if cause is None or depth == 0:
        return {}
    return {"cause": {"type": type(cause).__name__, "message": _text_of(cause), **_cause(cause, depth - 1)}}
