"""What of the workers' promises this machine can keep, and what is lost where it cannot.

Each is found out by trying, in the guard process itself where it is the one that needs it.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

from nodeling._dataclass import dataclass
from nodeling_runtime.dispatch.worker.warden import Warden
from nodeling_runtime.dispatch.worker.warden_group import VARIABLE
from nodeling_runtime.dispatch.worker.warden_look import SAMPLE_SECONDS

ANSWER_SECONDS = 10.0  # the guard process says what it can do as soon as it runs


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing that is promised of workers."""

    name: str
    holds: bool
    detail: str
    lost: str | None = None  # what does not hold without it


def promises() -> Iterator[Promise]:
    """All of them."""
    warden = Warden()
    has_subreaper, fault = asyncio.run(_ask(warden))
    if fault is not None:
        lost = "no node can run in a worker here; nodes in process and `protocol: exec` are not concerned"
        yield Promise("guard process", False, f"does not start: {fault}", lost)
        return
    yield Promise("guard process", True, "starts; what it started is gone two seconds after the runtime")
    yield Promise(
        "subreaper",
        has_subreaper,
        "orphans of workers are found and ended" if has_subreaper else "this system has none",
        None if has_subreaper else "what a worker forks twice outlives its call, and the runtime",
    )
    yield _tables()
    yield _limits()
    yield _escapes(warden)


def _escapes(warden: Warden) -> Promise:
    if warden.has_groups:
        return Promise("escapes", True, "each worker has a control group, which nobody leaves")
    detail = (
        "a process that clears its environment and is forked twice within a quarter of a second is not told "
        "apart from other workers'"
    )
    hint = f"set {VARIABLE} to a folder of control groups (version 2) that is delegated to you"
    why = f"; {warden.refusal}" if warden.refusal else ""
    return Promise("escapes", False, detail + why, f"it ends with the runtime, not with its worker; {hint}")


async def _ask(warden: Warden) -> tuple[bool, OSError | None]:
    warden.attach()
    try:
        return await asyncio.wait_for(warden.ask(), ANSWER_SECONDS), None
    except (OSError, AttributeError, TimeoutError) as error:
        return False, error if isinstance(error, OSError) else OSError(str(error) or "it does not answer")
    finally:
        warden.close()


def _tables() -> Promise:
    has_tables = Path("/proc/self/stat").is_file() and Path("/proc/self/environ").is_file()
    lost = "memory, processes and files of workers are not bounded, and what left its group is not found"
    detail = "trees of processes are seen" if has_tables else "there is no /proc"
    return Promise("/proc", has_tables, detail, None if has_tables else lost)


def _limits() -> Promise:
    detail = (
        f"`limits` are held by looking every {SAMPLE_SECONDS * 1000:.0f} ms: a peak between two looks is not "
        "seen, and memory that processes share counts in each"
    )
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if hard != resource.RLIM_INFINITY:
        detail += f"; no file may grow beyond {hard // 1048576} MiB here in any case"
    return Promise("limits", True, detail)
