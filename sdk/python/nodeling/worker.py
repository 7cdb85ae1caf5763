"""Runs one Python node for a host: `python -m nodeling.worker --folder DIR --entry node.py`.

The host sets `NODELING=1`, and `NODELING_FDS=<read>,<write>` where it passes a private pipe pair; else
stdin and stdout are the channel and are moved out of the node's reach first. The options:

    --folder DIR         the node's folder (default: here)
    --entry ENTRY        its file, or `package.module`, or `package.module:name` (default: node.py)
    --name NAME          calls for another node are refused (default: every call is taken)
    --version VERSION    told in the handshake
    --concurrency N      how many calls at once (default: 1)
    --reads A,B          what the manifest declares that the node reads of its context
    --env A,B            the environment variables that stand in `ctx.env`

Plain functions run in the main thread, one after the other; with `--concurrency` above one, in
threads. Async functions run on a loop. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import _thread
import os
import sys

from nodeling.protocol_node import Credit, Greeting, Invoke, Lost, NodeConnection, Shutdown
from nodeling.values import choose_back_end, put_off_orjson
from nodeling.worker_call import Call, CallCancelled, NotLoaded
from nodeling.worker_channel import Channel, make_prints_prompt, open_channel
from nodeling.worker_load import load

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from nodeling.node import Implementation
    from nodeling.protocol_node import NodeEvent

__all__ = ["Options", "Worker", "main", "run_node"]

EX_USAGE = 64
_NOT_AWAITED = (dict, list, str, int, float, bool, type(None))
SERIAL_FEATURES = ("blob", "credit", "drain", "log", "progress", "stream")
CONCURRENT_FEATURES = (*SERIAL_FEATURES, "cancel", "ping")


class Options:
    """What stands on the worker's command line.

    Raises:
        ValueError: An option is unknown, or has no value.
    """

    def __init__(self, argv: list[str]) -> None:
        given = {"folder": ".", "entry": "node.py", "name": "", "version": "0.0.0", "concurrency": "1"}
        given.update(reads="", env="")
        rest = iter(argv)
        for word in rest:
            name, has_value, value = word.partition("=")
            if not name.startswith("--") or name[2:] not in given:
                raise ValueError(f"{word!r} is no option; there are --{', --'.join(given)}")
            found = value if has_value else next(rest, None)
            if found is None:
                raise ValueError(f"{name} needs a value")
            given[name[2:]] = found
        self.folder, self.entry = given["folder"], given["entry"]
        self.name, self.version = given["name"], given["version"]
        if not given["concurrency"].isdigit() or int(given["concurrency"]) < 1:
            raise ValueError(f"--concurrency is a number from 1 on, not {given['concurrency']!r}")
        self.concurrency = int(given["concurrency"])
        self.reads = tuple(word for word in given["reads"].split(",") if word)
        self.env = tuple(word for word in given["env"].split(",") if word)


class Worker:
    """What the calls of one process share: the connection and its lock, the node, the limits."""

    def __init__(self, channel: Channel, options: Options) -> None:
        self.channel = channel
        self.name = options.name
        self.reads = frozenset(options.reads)
        self.env = options.env
        self.concurrency = options.concurrency
        self.blob_dir: str | None = None
        self.spill_bytes = 1024 * 1024
        self.log_level = "info"
        self.may_stream = self.may_wait_for_credit = False  # until the host offers it
        self.calls: dict[Any, Call] = {}
        self.lock = _thread.allocate_lock()
        self.waiting: list[NodeEvent] = []
        self.served = 0
        self._import_error: BaseException | None = None
        self.implementation = self._load(options)
        self.kind = "sync" if self.implementation is None else self.implementation.kind
        is_serial = self.concurrency == 1 and self.kind in ("sync", "generator")
        self.is_serial = is_serial
        self.connection = NodeConnection(
            name=options.name,
            version=options.version,
            sdk={"name": "nodeling", "version": "0.1.0", "language": "python"},
            features=SERIAL_FEATURES if is_serial else CONCURRENT_FEATURES,
            max_concurrency=self.concurrency,
        )

    def _load(self, options: Options) -> Implementation | None:
        try:
            return load(options.folder, options.entry, options.name or "the node")
        except BaseException as error:  # whatever the node's module does is the node's failure
            self._import_error = error
            return None

    # --- Reading and writing ----------------------------------------------------------------------

    def read(self) -> list[NodeEvent] | None:
        """What the host sent next, its greetings and credits already heeded; None when it is gone."""
        data = self.channel.read()
        if not data:
            return None
        connection = self.connection
        with self.lock:
            events = connection.receive(data)
            if connection.has_replies:
                self.channel.write(connection.take())
        if len(events) == 1 and type(events[0]) is Invoke:  # as nearly always
            return events
        return [event for event in events if not self._heed(event)]

    def _heed(self, event: NodeEvent) -> bool:
        if isinstance(event, Greeting):
            self.blob_dir, self.spill_bytes = event.blob_dir, event.spill_bytes
            self.log_level = event.log_level
            agreed = self.connection.features
            self.may_stream, self.may_wait_for_credit = "stream" in agreed, "credit" in agreed
        elif isinstance(event, Credit):
            call = self.calls.get(event.id)
            if call is not None:
                call.grant(event.n)
        elif isinstance(event, Lost):
            os._exit(1)
        else:
            return False
        return True

    def say(self, make: Callable[[], bytes]) -> None:
        """Make a frame and write it, both under the one lock."""
        with self.lock:
            frame = make()
            if frame:
                self.channel.write(frame)

    def hung_up(self) -> None:
        """The host is gone: every call shall end."""
        for call in list(self.calls.values()):
            call.cancel()

    # --- Calls ------------------------------------------------------------------------------------

    def open(self, invoke: Invoke) -> Call:
        """Take a call on."""
        call = self.calls[invoke.id] = Call(self, invoke)
        return call

    def run(self, call: Call) -> None:
        """Run a call to its terminal frame, in this thread."""
        try:
            ctx, inputs = call.begin()
            self.finish(call, call.result(self._drive(call, ctx, inputs)))
        except BaseException as error:  # whatever a node raises is the node's failure
            self.finish(call, call.failure(error))

    def loaded(self) -> Implementation:
        """The node's code.

        Raises:
            NotLoaded: It did not load.
        """
        if self.implementation is None:
            raise NotLoaded(self._import_error)
        return self.implementation

    def _drive(self, call: Call, ctx: Any, inputs: Any) -> Any:
        implementation = self.implementation or self.loaded()
        found = implementation.call(ctx, inputs)
        if found.__class__ in _NOT_AWAITED:
            return found
        if implementation.kind == "generator":
            return _collect(found, call)
        if hasattr(type(found), "__await__"):
            import asyncio

            return asyncio.run(_awaited(found))
        return found

    def finish(self, call: Call, make: Callable[[], bytes]) -> None:
        """Send a call's terminal frame; with the last one, answer a waiting shutdown."""
        call.end()
        self.calls.pop(call.id, None)
        self.say(make)
        call.context = None  # which knows the call: without the circle nobody has to collect the two

    def await_credit(self, call: Call) -> None:
        """Hold a call until it may send a chunk; the serial worker reads on meanwhile."""
        if not self.is_serial:
            call.wait_for_credit()
            return
        while call.credit is not None and call.chunks >= call.credit:
            events = self.read()
            if events is None:
                raise CallCancelled
            self.waiting.extend(events)

    def flush(self) -> None:
        """Let what the node printed reach the log before the process leaves without its exit handlers."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # closed by the node, or by a log's reader that is gone
                continue

    def shut_down(self, id: Any) -> None:
        """Answer `node/shutdown`: nothing is in flight any more."""
        self.say(lambda: self.connection.drained(id))


def _collect(generator: Any, call: Call) -> Any:
    """Drive a generator: each yield is a chunk; its return value, or the chunks, is the output."""
    kept: list[Any] = []
    try:
        while True:
            item = next(generator)
            if call.streams:
                call.chunk(item)
            else:
                call.checked(item)
                kept.append(item)
            if call.is_cancelled:
                raise CallCancelled
    except StopIteration as stop:
        if stop.value is not None or call.chunks:
            return stop.value
        return kept
    finally:
        generator.close()


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def serve_serially(worker: Worker) -> int:
    """One call after the other, in this thread."""
    is_fresh = True  # the first call is answered before anything is imported that it does not need
    waiting = worker.waiting
    while True:
        if is_fresh and worker.served and not worker.channel.has_more():
            choose_back_end()
            is_fresh = False
        events = worker.read()
        if events is None:
            return 0
        waiting.extend(events)
        while waiting:
            event = waiting.pop(0)
            if event.__class__ is Invoke:
                worker.run(worker.open(event))
                worker.served += 1
            elif event.__class__ is Shutdown:
                worker.shut_down(event.id)
                return 0


def run_node(options: Options) -> int:
    """Serve until the host is gone or says that it is enough."""
    channel = open_channel()
    make_prints_prompt()
    put_off_orjson()
    channel.wait()  # a process may be started long before it is known whether its node may run
    worker = Worker(channel, options)
    channel.watch(worker.hung_up)
    if worker.is_serial:
        return serve_serially(worker)
    choose_back_end()
    if worker.kind in ("async", "async_generator"):
        from nodeling.worker_async import serve_async

        return serve_async(worker)
    from nodeling.worker_threads import serve_threads

    return serve_threads(worker)


def main(argv: list[str] | None = None) -> int:
    """The command: its exit code."""
    try:
        options = Options(sys.argv[1:] if argv is None else argv)
        if os.environ.get("NODELING") != "1":
            raise ValueError("this is the side of a node that a host talks to, and there is no host here")
        return run_node(options)
    except ValueError as error:
        sys.stderr.write(
            f"nodeling.worker: {error}\nTo run a node by hand: nodectl test DIR, or nodectl run FILE\n"
        )
        return EX_USAGE


if __name__ == "__main__":
    sys.exit(main())
