"""Building many nodes before anything needs them: in parallel, bounded, and given up together.

Invariant: a node whose build fails hurts itself alone; its error is kept for its calls.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from nodeling.errors import NodelingError
from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.toolchains.building import Note, Report, build
from nodeling_runtime.toolchains.plan import Plan, plan_of
from nodeling_runtime.toolchains.tool import BuildCancelled

if TYPE_CHECKING:
    from nodeling_runtime.registry import NodeSpec

MOST_AT_ONCE = 4  # compilers are parallel by themselves

Failures = Mapping[Any, CallError]
Plans = Mapping[Any, Plan]


async def build_ahead(
    specs: Iterable[NodeSpec], report: Report | None = None, known: dict[Any, Plan] | None = None
) -> dict[Any, CallError]:
    """Build what these nodes lack; the errors of those that could not be built.

    Cancelling it ends the compilers.

    Args:
        specs: The nodes.
        report: Told of each build.
        known: Filled with the plans of the nodes, for whoever launches them.
    """
    failures: dict[Any, CallError] = {}
    plans = _missing(specs, failures, {} if known is None else known)
    if not plans:
        return failures
    loop = asyncio.get_running_loop()
    done: asyncio.Future[dict[Any, NodelingError]] = loop.create_future()
    cancelled = threading.Event()

    def settle(found: dict[Any, NodelingError] | BaseException) -> None:
        if done.done():
            return
        if isinstance(found, BaseException):
            done.set_exception(found)
        else:
            done.set_result(found)

    def work() -> None:
        found: dict[Any, NodelingError] | BaseException
        try:
            found = build_all(plans, report or say, cancelled)
        except BaseException as error:  # whoever listens may raise anything, and the run must hear of it
            found = error
        if not cancelled.is_set():
            loop.call_soon_threadsafe(settle, found)

    thread = threading.Thread(target=work, name="nodeling-builds", daemon=True)
    thread.start()
    try:
        found = await done
    finally:
        cancelled.set()
        thread.join()  # bounded: a cancelled build ends its tools at once
    return failures | {spec: call_error(error) for spec, error in found.items()}


def _missing(
    specs: Iterable[NodeSpec], failures: dict[Any, CallError], known: dict[Any, Plan]
) -> list[tuple[Any, Plan]]:
    plans: list[tuple[Any, Plan]] = []
    for spec in specs:
        try:
            plan = known[spec] = plan_of(spec)
        except NodelingError as error:
            failures[spec] = call_error(error)
        else:
            if not plan.is_ready:
                plans.append((spec, plan))
    return plans


def build_all(
    plans: Sequence[tuple[Any, Plan]], report: Report, cancelled: threading.Event
) -> dict[Any, NodelingError]:
    """Build every one of them; the errors of those that failed."""
    found: dict[Any, NodelingError] = {}

    def one(spec: Any, plan: Plan) -> None:
        try:
            build(plan, report, cancelled)
        except NodelingError as error:
            found[spec] = error
        except BuildCancelled:
            return

    most = max(1, min(MOST_AT_ONCE, os.cpu_count() or 1))
    with ThreadPoolExecutor(most, thread_name_prefix="nodeling-build") as pool:
        for future in [pool.submit(one, spec, plan) for spec, plan in plans]:
            future.result()
    return found


def call_error(error: NodelingError) -> CallError:
    """Why a node could not be built, as the error of its calls."""
    details = dict(error.details)
    if error.hint:
        details["hint"] = error.hint
    return CallError(
        error.code, str(error), type(error).__name__, retryable=False, started=False, details=details
    )


def say(note: Note) -> None:
    """Tell of a build on stderr, a line each; a failed one with what its tool said, as it said it."""
    sys.stderr.write(f"{line_of(note)}\n")
    output = note.error.details.get("output") if note.error is not None else None
    if output:
        sys.stderr.write(f"{output}\n")
    sys.stderr.flush()


def line_of(note: Note) -> str:
    """One line for a note."""
    what = f"{note.node} ({note.language})"
    if note.kind == "building":
        return f"building {what} …"
    if note.kind == "waiting":
        return f"waiting for another build of {what} …"
    if note.kind == "built":
        return f"built {what} in {note.seconds:.1f} s"
    return f"not built: {note.error}" if note.error is not None else f"not built: {what}"
