"""One run of one workflow, from its input to its result."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nodeling._dataclass import dataclass
from nodeling.errors import ConfigError
from nodeling_runtime.blob_values import RunBlobs
from nodeling_runtime.dispatch.base import CallError, Dispatcher
from nodeling_runtime.engine.child import Place
from nodeling_runtime.engine.context import Frame
from nodeling_runtime.engine.events import Events, Listener
from nodeling_runtime.engine.failure import refused_input
from nodeling_runtime.engine.permits import Permits
from nodeling_runtime.engine.record import StepRecord
from nodeling_runtime.engine.run_log import Lost, RunLog
from nodeling_runtime.engine.scope_job import ScopeJob
from nodeling_runtime.engine.shared import IN_PROCESS, Shared, StoreState
from nodeling_runtime.engine.team import Job, Team
from nodeling_runtime.engine.top import parts_of
from nodeling_runtime.engine.turns import clock_of
from nodeling_runtime.engine.watchdog import watched
from nodeling_runtime.manifests import ANNOTATION
from nodeling_runtime.redact import NOTHING, Redactor
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.values import Value
from nodeling_runtime.workflow.model import Scope, Step, Workflow
from nodeling_runtime.workflow.plan import plan_of

if TYPE_CHECKING:
    import tempfile

    from nodeling_runtime.engine.journal import Journal
    from nodeling_runtime.toolchains.building import Note


@dataclass(slots=True)
class RunOptions:
    """How one run is wanted."""

    request: Mapping[str, Value] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_concurrent: int | None = None
    timeout_ms: float | None = None
    listeners: list[Listener] = field(default_factory=list)
    random: Callable[[], float] = random.random
    run_id: str | None = None
    on_build: Callable[[Note], None] | None = None  # told of builds; None: they are told on stderr


@dataclass(slots=True)
class RunOutcome:
    """How a run ended."""

    run_id: str
    workflow: str
    status: str
    output: Value | None
    records: dict[str, StepRecord]
    error: dict[str, Any] | None
    started: float
    duration_ms: float
    leaked: int
    redactor: Redactor = NOTHING
    interrupted: bool = False  # the coroutine that ran it was cancelled from outside


class Run:
    """Everything the steps of one run share."""

    def __init__(
        self,
        workflow: Workflow,
        options: RunOptions,
        dispatchers: Mapping[str, Dispatcher],
        secrets: Mapping[str, str],
        journal: Journal | None = None,
    ) -> None:
        self.journal = journal
        self.id = options.run_id or uuid.uuid4().hex if journal is None else journal.claim.run_id
        self.workflow = workflow
        self.options = options
        self.parameters = options.parameters
        self.random = options.random
        self.clock: Callable[[], float] = time.monotonic  # its loop's own, from the moment it has one
        self.redactor = Redactor(secrets.values())
        after = None if journal is None else journal.when_kept
        self.events = Events(self.id, options.listeners, self.redactor, after)
        self.shared: Shared = IN_PROCESS if journal is None else StoreState(journal.writer)
        self.blobs = RunBlobs()
        self.request = {part: self.blobs.contained(value) for part, value in options.request.items()}
        self.step_names = needs_of(workflow).names
        self._dispatchers = dispatchers
        self._secrets = secrets
        self._node_permits: dict[NodeSpec, Permits] = {}
        limit = options.max_concurrent or workflow.settings.max_concurrent
        self._leaf_permits = None if limit is None else Permits(limit)
        self.bounds_leaves = limit is not None  # whether every call needs a permit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work_root: tempfile.TemporaryDirectory[str] | None = None
        self._work_lock = threading.Lock()
        self.job: ScopeJob | None = None
        self._ends_at: float | None = None
        self.timed_out: float | None = None
        self._cleanup: asyncio.TimerHandle | None = None
        self._doom: StepRecord | None = None  # the step whose failure nothing in the run may handle
        self.log = None if journal is None else RunLog(self, journal)
        self.leaked = 0
        self.cancelled_from_outside = False

    # -- what steps ask

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def moment(self, epoch: float) -> float:
        """A moment of the world's clock on the loop's."""
        return self.clock() + (epoch - time.time())

    def epoch(self, moment: float) -> float:
        """A moment of the loop's clock on the world's."""
        return time.time() + (moment - self.clock())

    def remaining(self) -> float | None:
        """Seconds until the run's own deadline; once it is being ended, until its cleanup has to be over."""
        ends_at = self._ends_at if self._cleanup is None else self._cleanup.when()
        return None if ends_at is None else max(0.0, ends_at - self.clock())

    def permits_for(self, spec: NodeSpec) -> list[Permits]:
        """The permits one call of a node needs, outermost first."""
        found = [] if self._leaf_permits is None else [self._leaf_permits]
        limit = spec.manifest.runtime.concurrency
        if limit is not None:
            node = spec.declared_as or spec  # what a step's own limits made of it counts for the node
            if node not in self._node_permits:
                self._node_permits[node] = Permits(limit)
            found.append(self._node_permits[node])
        return found

    def dispatcher_for(self, spec: NodeSpec) -> Dispatcher:
        """Whoever runs nodes of this kind."""
        return self._dispatchers[spec.runs_in]

    def secrets_for(self, step: Step) -> dict[str, str]:
        """The secrets that a step's node declares or its `config` names, and no others."""
        if not self._secrets:
            return {}
        return {name: self._secrets[name] for name in secrets_of(step) if name in self._secrets}

    def work_root(self) -> str:
        """A private folder that lives as long as the run. Nodes ask for it from threads too."""
        with self._work_lock:
            if self._work_root is None:
                import tempfile

                self._work_root = tempfile.TemporaryDirectory(prefix="nodeling-", ignore_cleanup_errors=True)
            return self._work_root.name

    def step_ended(self, record: StepRecord) -> None:
        """Tell of a step's end."""
        if self.events.active:
            self.events.emit(
                "step.finished",
                record.path,
                name=record.name,
                node=record.node,
                worker=record.worker,
                handled=record.handled,
                output=None if record.output is None else record.output.brief(),
                **record.to_json(),
            )

    # -- the whole

    async def execute(self) -> RunOutcome:
        """Run the workflow to its end. Cancelling this coroutine cancels the run, and waits for it."""
        self._loop = asyncio.get_running_loop()
        self.clock = clock_of(self._loop)
        started, began = time.time(), self.clock()
        if self.log is not None:
            started = self.log.began
            began = self.moment(started)
        self.events.emit("run.started", workflow=self.workflow.name, version=self.workflow.version)
        record = StepRecord("", self.workflow.name, "")
        given = {} if self.journal is None else self.journal.recorded.set_by_hand
        frame = Frame(plan_of(self.workflow.scope), None, given, epoch=self.epoch)
        body = self.request.get("body")
        refusal = None
        if self.workflow.inputs is not None:
            refusal = refused_input(self.workflow, None if body is None else body.shared())
        try:
            if refusal is None:
                parts = parts_of(self, self.workflow, self.request)
                top = Place("", None, None)
                job = self.job = ScopeJob(self, self.workflow.scope, frame, top, parts, record, None)
                job.scope_run.scheduler.suspends = (
                    self.journal is not None and self.workflow.settings.suspends
                )
                if self.log is not None and await self.log.is_suspended():
                    job.scope_run.recollect()
                    status, error = "suspended", None
                else:
                    with watched(self):
                        await self._drive(job)
                    status, error = self._verdict(record)
                    if status == "failed" and job.scope_run.scheduler.at_rest:
                        status = "suspended"
            else:
                record.error = refusal
                status, error = "failed", refusal.to_json()
        finally:
            if self._work_root is not None:
                self._work_root.cleanup()
        duration = (self.clock() - began) * 1_000
        if self.log is not None and status != "suspended":
            await self.log.write_end(status, error, record)
        elif self.log is not None and error is not None and self.job is not None:
            await self.log.write_suspended(error, Lost.of(self.job.scope_run))
        self.events.emit("run.finished", status=status, error=error, duration_ms=round(duration, 3))
        records = {
            step.name: frame.records[step.index] or StepRecord(step.name, step.name, step.node)
            for step in self.workflow.scope.steps
        }
        output = record.output if status == "succeeded" else None
        self.blobs.close([output, *(one.output for one in records.values())])
        frame.let_go()
        return RunOutcome(
            self.id,
            self.workflow.name,
            status,
            output,
            records,
            error,
            started,
            duration,
            self.leaked,
            self.redactor,
            self.cancelled_from_outside,
        )

    def is_to_end(self) -> bool:
        """Whether somebody asked for its end."""
        asked = self.journal is not None and self.journal.recorded.cancel is not None
        return asked or (self.job is not None and self.job.ending is not None)

    def cancel(self, reason: str = "cancelled") -> None:
        """End the run: `always` steps still run, within the cleanup time. A second call ends those too."""
        job = self.job
        if job is None or job.done:
            return
        first = job.ending is None
        if self.log is not None:
            self.log.write_cancel(reason, "cancel" if first else "hurry", self.timed_out)
        if first:
            job.end(reason)
            limit = self.workflow.settings.cleanup_timeout_ms / 1_000
            self._cleanup = asyncio.get_running_loop().call_later(limit, self.cancel, reason)
        else:
            job.hurry(reason)

    def end_from_within(self, how: str, record: StepRecord) -> None:
        """A node asked for the end of the run: it ends next, for what is in the middle of something now."""
        if how == "fail":
            self._doom = self._doom or record
        else:
            asyncio.get_running_loop().call_soon(self._end_from_within, how)

    def _end_from_within(self, how: str) -> None:
        if self.job is None or self.job.done:
            return
        if how == "stop":
            if self.log is not None:
                self.log.write_cancel("stopped", "stop")
            self.job.scope_run.stop()
        elif self.job.ending is None:
            self.cancel("aborted")

    async def _drive(self, job: ScopeJob) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        waiting: list[Job] = [job]

        def settled(_job: Job) -> None:
            if not done.done():
                done.set_result(None)

        team = Team(lambda: waiting.pop() if waiting else None, settled)
        job.team = team
        limit = self.options.timeout_ms or self.workflow.settings.timeout_ms
        timer = None
        if limit is not None:
            began = None if self.journal is None else self.journal.recorded.created
            self._ends_at = (self.clock() if began is None else self.moment(began)) + limit / 1_000
            timer = loop.call_at(self._ends_at, self._expire, limit)
        team.wake()
        if self.log is not None:
            self._cleanup = self.log.resume_ending(job, self.workflow.settings.cleanup_timeout_ms)
        try:
            await self._outlast(done)
        finally:
            for handle in (timer, self._cleanup):
                if handle is not None:
                    handle.cancel()

    async def _outlast(self, done: asyncio.Future[None]) -> None:
        """Wait for the end; every cancellation from outside cancels the run once more."""
        outside = False
        while not done.done():
            try:
                await asyncio.shield(done)
            except asyncio.CancelledError:
                outside = True
                self.cancel("cancelled")
        if outside:
            self.cancelled_from_outside = True

    def _expire(self, limit_ms: float) -> None:
        if self.job is not None and self.job.ending is not None:
            return  # it is ending already, and cleans up within a time of its own
        self.timed_out = limit_ms
        self.cancel("run_timeout")

    def _verdict(self, record: StepRecord) -> tuple[str, dict[str, Any] | None]:
        if self.log is not None and self.log.events is not None:
            message = f"its history has {self.log.events} events, and something in it does not end"
            error = CallError("run.history_limit", message, "StoreError", False)
            return "failed", {**error.to_json(), "step": None, "others": []}
        if self.timed_out is not None and record.status == "cancelled":
            details = {"limit": "run_timeout", "limit_ms": self.timed_out}
            error = CallError(
                9005, f"timed out after {self.timed_out:.0f} ms", "TimeoutError", details=details
            )
            return "failed", {**error.to_json(), "step": None, "others": []}
        doom = self._doom
        if doom is not None and doom.error is not None and record.status == "succeeded":
            return "failed", {**doom.error.to_json(), "step": doom.name, "others": []}
        if record.error is None:
            return record.status, None
        body = record.error.to_json()
        details = dict(body.get("details", {}))
        body["step"] = details.pop("step", None)
        body["others"] = details.pop("others", [])
        body["details"] = details
        return record.status, body


def all_steps(scope: Scope, *, included: bool = False) -> Iterator[Step]:
    """Every step of a document, children too; with `included`, those of included workflows as well."""
    todo = [scope]
    while todo:
        for step in todo.pop().steps:
            yield step
            for slot in step.slots:
                if slot.scope is not None:
                    todo.append(slot.scope)
                if included and slot.workflow is not None:
                    todo.append(slot.workflow.scope)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a workflow needs before it can run, and what its steps are called."""

    secrets: Mapping[str, str]  # each with a node that asks for it
    workers: list[NodeSpec]  # the nodes that run in workers kept from call to call
    processes: list[NodeSpec]  # the nodes that run in processes of any kind
    names: frozenset[str]


_NEEDS: WeakKeyDictionary[Workflow, Needs] = WeakKeyDictionary()


def needs_of(workflow: Workflow) -> Needs:
    """What a workflow needs, found out once for each that is loaded."""
    found = _NEEDS.get(workflow)
    if found is None:
        found = _NEEDS[workflow] = _needs(workflow)
    return found


def _needs(workflow: Workflow) -> Needs:
    secrets: dict[str, str] = {}
    processes: dict[NodeSpec, None] = {}
    for step in all_steps(workflow.scope, included=True):
        for name in secrets_of(step):
            secrets.setdefault(name, step.spec.name)
        if step.spec.runs_in != "inprocess":
            processes[step.spec] = None
    workers = [s for s in processes if s.runs_in == "worker" and s.manifest.runtime.isolation != "call"]
    names = frozenset(step.name for step in all_steps(workflow.scope))
    return Needs(secrets, workers, list(processes), names)


def secrets_of(step: Step) -> list[str]:
    """The names of a step's secrets: those its node declares, then those its `config` names."""
    names = list(step.spec.manifest.secrets)
    schema, given = step.spec.manifest.config, step.config.source if step.config is not None else None
    if isinstance(schema, Mapping) and isinstance(given, Mapping):
        keys = (key for key, one in schema.get("properties", {}).items() if is_secret(one))
        names.extend(given[key] for key in keys if isinstance(given.get(key), str))
    return names


def is_secret(schema: object) -> bool:
    """Whether the value of a key of `config` is the name of a secret."""
    return isinstance(schema, Mapping) and schema.get(ANNOTATION) == "secret"


def missing_secrets(names: Mapping[str, str], found: Mapping[str, str]) -> ConfigError | None:
    """The error that lists every secret nobody has."""
    absent = [name for name in names if name not in found]
    if not absent:
        return None
    said = ", ".join(f"{name} (for {names[name]})" for name in absent)
    return ConfigError(
        f"no value for the secret {said}" if len(absent) == 1 else f"no value for the secrets {said}",
        code="secret.missing",
        hint=f"set NODELING_SECRET_{absent[0].upper()}, or write it in .nodeling/secrets.json",
    )
