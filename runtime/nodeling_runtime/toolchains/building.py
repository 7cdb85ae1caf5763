"""Building a node once, whoever asks for it and however many ask at the same moment.

A build is made in a folder of its own and renamed to its content's hash when it is whole, under a lock
that the kernel lets go of with its holder. Invariant: a folder that bears a hash is a finished build.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from nodeling._dataclass import dataclass
from nodeling.errors import NodelingError, PluginError
from nodeling.toolchain import SourceNode
from nodeling_runtime.toolchains.catalogue import find_programs, language_of
from nodeling_runtime.toolchains.plan import Plan, builds_folder
from nodeling_runtime.toolchains.tool import BuildCancelled, run_tool

BUILD_SECONDS = 900.0  # a first build of a language with many dependencies, on a slow machine
LOCK_SECONDS = BUILD_SECONDS + 60.0  # another builder of the same thing gets its whole time
LOOK_SECONDS = 0.1
KEPT_BUILDS = 3  # of one node: the present one, and what other processes may still be starting


@dataclass(frozen=True, slots=True)
class Note:
    """What happened to a build, for whoever watches."""

    kind: Literal["building", "waiting", "built", "failed"]
    node: str
    language: str
    seconds: float = 0.0
    error: NodelingError | None = None


Report = Callable[[Note], None]


@dataclass(frozen=True, slots=True)
class _Job:
    """One build under way, as its toolchain sees it."""

    node: SourceNode
    out: Path
    cache: Path
    due: float
    cancelled: threading.Event

    def run(self, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run a tool; its failure ends the build."""
        run_tool(
            argv,
            cwd=cwd or self.node.folder,
            env={**os.environ, **(env or {})},
            seconds=max(0.0, self.due - time.monotonic()),
            cancelled=self.cancelled,
            node=self.node.manifest.name,
        )


def build(plan: Plan, report: Report, cancelled: threading.Event) -> Path | None:
    """The folder of a node's build, made now if it is not there; None for a node that is not built.

    Raises:
        PluginError: A tool is missing (`toolchain.missing`), the build fails (`toolchain.build`), or
            somebody else builds the same thing for too long (`toolchain.locked`).
        BuildCancelled: `cancelled` was set.
    """
    if plan.target is None or plan.is_ready:
        return plan.target
    name, language = plan.node.manifest.name, language_of(plan.toolchain)
    started = time.monotonic()
    try:
        programs = find_programs(plan.toolchain.build_needs, node=name, purpose="built")
        with _locked(plan, report, cancelled):
            if not plan.is_ready:  # nobody was faster
                report(Note("building", name, language))
                _make_on_disk(plan, plan.target, programs, cancelled)
                report(Note("built", name, language, time.monotonic() - started))
    except NodelingError as error:
        report(Note("failed", name, language, time.monotonic() - started, error))
        raise
    return plan.target


@contextlib.contextmanager
def _locked(plan: Plan, report: Report, cancelled: threading.Event) -> Iterator[None]:
    assert plan.target is not None  # noqa: S101 (the caller has looked)
    name = plan.node.manifest.name
    lock = plan.target.with_suffix(".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        _ignore(lock.parent.parent)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PluginError(
            f"{name} could not be built: {lock.parent} cannot be written: {error.strerror}",
            code="toolchain.build",
        ) from error
    try:
        due = time.monotonic() + LOCK_SECONDS
        told = False
        while not _take(descriptor):
            if not told:
                report(Note("waiting", name, language_of(plan.toolchain)))
                told = True
            if time.monotonic() >= due:
                raise PluginError(
                    f"{name} could not be built: another builder has held {lock} for {LOCK_SECONDS:g} s",
                    code="toolchain.locked",
                    hint="end the process that holds it, then try again",
                )
            if cancelled.wait(LOOK_SECONDS):
                raise BuildCancelled
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ignore(folder: Path) -> None:
    """Builds belong to a machine, not to a repository."""
    mark = folder / ".gitignore"
    if not mark.exists():
        mark.write_text("*\n", encoding="utf-8")


def _make_on_disk(plan: Plan, target: Path, programs: Mapping[str, str], cancelled: threading.Event) -> None:
    """Make a build; a disk that refuses is the build's failure too."""
    try:
        _make(plan, target, programs, cancelled)
    except OSError as error:
        raise PluginError(
            f"{plan.node.manifest.name} could not be built: {error.filename or target}: {error.strerror}",
            code="toolchain.build",
        ) from error


def _make(plan: Plan, target: Path, programs: Mapping[str, str], cancelled: threading.Event) -> None:
    for left in target.parent.glob(f"new-{target.name}-*"):  # of a builder that was killed
        shutil.rmtree(left, ignore_errors=True)
    cache = builds_folder(plan.toolchain, plan.node) / "cache"
    fresh = Path(tempfile.mkdtemp(prefix=f"new-{target.name}-", dir=target.parent))
    try:
        cache.mkdir(exist_ok=True)
        node = replace(plan.node, programs=programs, built=None)
        _call(plan, _Job(node, fresh, cache, time.monotonic() + BUILD_SECONDS, cancelled))
        fresh.chmod(0o755)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _note(target, plan.node)
    _prune(target, plan.node)


def _call(plan: Plan, job: _Job) -> None:
    """Let the toolchain work; whatever goes wrong in it is the build's failure."""
    name = plan.node.manifest.name
    try:
        plan.toolchain.build(job)
        made = any(job.out.iterdir())
    except (NodelingError, BuildCancelled):
        raise
    except Exception as error:  # a stranger's toolchain may raise anything
        raise PluginError(
            f"{name} could not be built: {type(error).__name__}: {error}",
            code="toolchain.build",
            details={"traceback": traceback.format_exc()},
        ) from error
    if not made:
        raise PluginError(
            f"{name} could not be built: the toolchain of {plan.toolchain.type} made nothing",
            code="toolchain.build",
        )


def _note(target: Path, node: SourceNode) -> None:
    """Say beside a build whose it is."""
    about = {"node": node.manifest.name, "folder": str(node.folder)}
    target.with_suffix(".json").write_text(json.dumps(about), encoding="utf-8")


def _prune(target: Path, node: SourceNode) -> None:
    """Remove what this node was before, but for the last few."""
    own: list[tuple[float, Path]] = []
    for note in target.parent.glob("*.json"):
        try:
            about = json.loads(note.read_text(encoding="utf-8"))
            if about.get("folder") == str(node.folder):
                own.append((note.stat().st_mtime, note))
        except (OSError, ValueError):
            continue  # another builder is at it
    for _, note in sorted(own, reverse=True)[KEPT_BUILDS:]:
        for path in (note, note.with_suffix(".lock")):
            path.unlink(missing_ok=True)
        shutil.rmtree(note.with_suffix(""), ignore_errors=True)
