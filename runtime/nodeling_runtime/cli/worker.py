"""`nodectl worker`: a process that takes the runs that wait in a store and runs them."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import click

from nodeling_runtime.cli.inputs import Duration, Folder
from nodeling_runtime.cli.runs.where import durability_option, store_option, store_url
from nodeling_runtime.engine.pinned import POLICIES, Policy

if TYPE_CHECKING:
    from nodeling_runtime.engine.durable import Keeper
    from nodeling_runtime.engine.loaded import Loaded
    from nodeling_runtime.engine.serving import Server, Serving
    from nodeling_runtime.store.model import RunRow

SIGNALS = (signal.SIGINT, signal.SIGTERM)
MOST_LOADED = 64  # workflows that are kept loaded
GRACE_MS = 30_000.0


@click.command("worker")
@store_option
@click.option(
    "--concurrency", metavar="N", type=click.IntRange(min=1), default=4, help="At most N runs at once."
)
@click.option(
    "--workflow", "workflows", metavar="NAME", multiple=True, help="Take only runs of this workflow."
)
@click.option("--once", is_flag=True, help="Take one run, or none where none waits, and end.")
@click.option("--drain", is_flag=True, help="End when no run waits any more.")
@click.option("--nodes", metavar="DIR", multiple=True, type=Folder(), help="More nodes.")
@click.option(
    "--versions",
    "policy",
    type=click.Choice(POLICIES),
    default="compatible",
    help="How much the nodes may have changed: not at all, within one major version, or as they like.",
)
@click.option(
    "--grace",
    metavar="TIME",
    type=Duration(),
    default=f"{GRACE_MS / 1_000:.0f}s",
    help="How long calls may go on when the worker is told to stop.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what happens, one JSON object a line.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@durability_option
def command(
    store: str | None,
    concurrency: int,
    workflows: tuple[str, ...],
    once: bool,
    drain: bool,
    nodes: tuple[Path, ...],
    policy: Policy,
    grace: float,
    as_json: bool,
    quiet: bool,
    durability: str,
) -> int:
    """Take the runs that wait in a store, the oldest first, and run them.

    `nodectl run --queue FILE` puts one there. As many workers as like share a store, on as many machines as
    reach it; a run whose worker died or was stopped is taken over by another one. SIGTERM and Ctrl-C end a
    worker in order: it takes nothing more, lets calls end within --grace, and leaves the rest to others.
    A second one ends it at once.
    """
    from nodeling_runtime.cli.output import quiet_stdout
    from nodeling_runtime.engine.durable import Keeper
    from nodeling_runtime.engine.serving import Serving

    if once and drain:
        raise click.UsageError("--once takes one run, --drain takes all that wait: say one of them")
    wanted = Serving(
        concurrency, workflows, policy, "one" if once else "empty" if drain else "stopped", grace / 1_000
    )
    keeper = Keeper.open(store_url(store), durability)
    try:
        with _teller(keeper.owner, as_json=as_json, quiet=quiet) as tell, quiet_stdout():
            tell("worker.started", store=keeper.store.url, concurrency=concurrency)
            number = _serve(keeper, wanted, _Loader(list(nodes)), tell)
            tell("worker.stopped")
    finally:
        keeper.close()
    return 128 + number if number == signal.SIGINT else 0


class _Loader:
    """Loads what runs hold on to, each once."""

    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders
        self._loaded: dict[str, Loaded] = {}

    def __call__(self, row: RunRow, definition: bytes) -> Loaded:
        found = self._loaded.pop(row.definition, None)
        if found is None:
            from nodeling_runtime.cli.runs.resume import load_kept

            found = load_kept(definition, self._folders)[0]
        self._loaded[row.definition] = found
        if len(self._loaded) > MOST_LOADED:
            del self._loaded[next(iter(self._loaded))]
        return found


def _serve(
    keeper: Keeper, wanted: Serving, load: Callable[[RunRow, bytes], Loaded], tell: Callable[..., None]
) -> int:
    """Serve on a loop in this thread; the signal that ended it, or 0."""
    import asyncio

    from nodeling_runtime.engine.host import close_loop
    from nodeling_runtime.engine.serving import Server

    loop = asyncio.new_event_loop()
    heard: list[int] = []

    async def serve() -> None:
        server = Server(keeper, wanted, load, tell)
        with _listening(loop, server, heard, tell):
            await server.serve()

    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
    finally:
        asyncio.set_event_loop(None)
        close_loop(loop)
    return heard[0] if heard else 0


@contextlib.contextmanager
def _listening(loop: Any, server: Server, heard: list[int], tell: Callable[..., None]) -> Iterator[None]:
    """The first signal ends the service in order, the second one the process, with all that it started."""

    def hear(number: int, _frame: FrameType | None) -> None:
        if heard:
            from nodeling_runtime.dispatch.descendants import kill_descendants

            kill_descendants()
            os._exit(128 + number)
        heard.append(number)
        loop.call_soon_threadsafe(server.stop)
        loop.call_soon_threadsafe(tell, "worker.stopping")

    before = {number: signal.signal(number, hear) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _teller(owner: str, *, as_json: bool, quiet: bool) -> Iterator[Callable[..., None]]:
    """Say what happens: lines of JSON on stdout, or a text on stderr."""
    with _stdout() as stream:

        def tell(event: str, **facts: Any) -> None:
            if as_json:
                import orjson

                now = datetime.datetime.now(datetime.UTC).isoformat()
                line = {"at": now, "event": event, "worker": owner, **facts}
                print(orjson.dumps(line, default=str).decode(), file=stream, flush=True)
            if not as_json and (not quiet or event in ("run.blocked", "store.away")):
                _say(event, facts)

        yield tell


@contextlib.contextmanager
def _stdout() -> Iterator[TextIO]:
    """Standard output as it is now, whatever nodes print meanwhile."""
    try:
        number = os.dup(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # a test's, which is no file
        yield sys.stdout
        return
    with open(number, "w", encoding="utf-8") as stream:
        yield stream


def _say(event: str, facts: dict[str, Any]) -> None:
    from nodeling_runtime.cli.output import talk
    from nodeling_runtime.cli.text import error_line

    words = [event.replace(".", " ").replace("_", " ")]
    words += [
        str(facts[name]) for name in ("run_id", "workflow", "status", "store", "message") if name in facts
    ]
    if facts.get("recovery"):
        words.append("(its last owner is gone)")
    if "duration_ms" in facts:
        words.append(f"in {facts['duration_ms'] / 1_000:.3f} s")
    text = "  ".join(words)
    talk(f"{text}: {error_line(facts['error'])}" if facts.get("error") else text)
