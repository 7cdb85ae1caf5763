"""What a store keeps, as values: facts go in, events and rows come out.

A run's history is a list of events. Everything else that a store knows of it (its row, its attempts,
its results, its timers) is a projection of that list, see `projection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, NamedTuple

from nodeling._dataclass import dataclass

MOST_RECOVERIES = 3  # a run that has taken its runner with it more often than this is dead
INLINE_BYTES = 256 * 1024  # a larger value is kept once, under its hash
NO_DATA: Mapping[str, Any] = {}

RunStatus = Literal["queued", "running", "suspended", "succeeded", "failed", "cancelled", "dead"]
OPEN: tuple[RunStatus, ...] = ("queued", "running", "suspended")
CLOSED: tuple[RunStatus, ...] = ("succeeded", "failed", "cancelled", "dead")


class Fact(NamedTuple):
    """One thing that happened in a run, on its way into the store.

    A tuple, as `Event` is: a step makes several of both, and a frozen dataclass takes five times as long.

    Args:
        kind: What happened; `projection` lists the kinds and what their `data` holds.
        at: When, in seconds since the epoch.
        path: The step it happened to, container by container; empty for the run itself.
        data: What is known of it; small, and free of secrets.
        value: A step's or the run's output, as checked JSON bytes.
        delta: What the step wrote into the context, as a JSON object by key.
        gen: The step's generation: 0, and one more for each restart that included it.
    """

    kind: str
    at: float
    path: str = ""
    data: Mapping[str, Any] = NO_DATA
    value: bytes | None = None
    delta: bytes | None = None
    gen: int = 0


class Event(NamedTuple):
    """A fact in its place in a run's history; `seq` counts from 1 without a gap."""

    run_id: str
    seq: int
    epoch: int
    kind: str
    at: float
    path: str
    gen: int
    data: Mapping[str, Any]
    value: bytes | None = None
    delta: bytes | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write to a run. A later claim has a higher epoch and ends this one."""

    run_id: str
    owner: str
    epoch: int
    is_recovery: bool = False


@dataclass(frozen=True, slots=True)
class RunLimit:
    """How many runs of one workflow may be open at once, and what becomes of one more."""

    most: int
    when_full: Literal["queue", "refuse", "cancel_oldest"] = "queue"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that is asked for.

    Args:
        run_id: Its id.
        workflow: The workflow's name.
        version: The workflow's version.
        definition: The pinned workflow and nodes, as JSON bytes; kept once, under its hash.
        request: The run's input, part by part, and its parameters, as JSON bytes.
        at: When it was asked for.
        key: Two requests of one workflow with one key are one run.
        labels: What lists may be filtered by.
        fingerprint: What makes two requests with one key the same; by default all bytes of `request`.
        options: How it is to be run; in the history, for whoever resumes it.
        owner: Who claims it at once; None leaves it queued.
        limit: How many runs of this workflow may be open.
    """

    run_id: str
    workflow: str
    version: str
    definition: bytes
    request: bytes
    at: float
    key: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    owner: str | None = None
    limit: RunLimit | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """What became of a `NewRun`: its row, the claim of its owner, and whether it was there before."""

    run: RunRow
    claim: Claim | None
    existed: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Facts of one run that become events together or not at all."""

    claim: Claim
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Appended:
    """The batch is kept. `cancel` is the reason for which somebody asked the run to end, if anybody did."""

    last_seq: int
    cancel: str | None = None


@dataclass(frozen=True, slots=True)
class Fenced:
    """The claim is no longer the run's: nothing of the batch was kept, and nothing ever will be."""

    owner: str | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as lists show it."""

    run_id: str
    workflow: str
    version: str
    definition: str
    status: RunStatus
    created: float
    started: float | None
    ended: float | None
    recoveries: int
    cancel: str | None
    error: Mapping[str, Any] | None
    labels: Mapping[str, Any]
    key: str | None
    owner: str | None
    epoch: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One try of one step. State: running, succeeded, failed, cancelled, lost, in_doubt."""

    path: str
    gen: int
    attempt: int
    epoch: int
    state: str
    started: float
    ended: float | None
    error: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ResultRow:
    """How one generation of a step ended; `seq` is the event that holds its value and its writes."""

    path: str
    gen: int
    name: str
    node: str
    status: str
    reason: str | None
    attempts: int
    started: float | None
    ended: float
    error: Mapping[str, Any] | None
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class TimerRow:
    """What a step waits for: a moment, in seconds since the epoch."""

    path: str
    gen: int
    kind: str
    due: float


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows, newest first."""

    limit: int | None = None
    statuses: tuple[RunStatus, ...] = ()
    workflow: str | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """Which runs that have ended may go: the older ones, and the surplus of each workflow."""

    seconds: float | None = 30 * 86_400.0
    most_per_workflow: int | None = 10_000
