"""The engine as others use it: load a workflow with its nodes, check it, run it.

The SDK finds `EngineHost` through an entry point; `nodectl` uses the same functions. Ordinary code runs
a workflow on a loop and a thread of the engine's own, so that it works inside a notebook's loop too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeling.errors import ConfigError, Fault, NodelingError
from nodeling.results import RunResult, StepResult
from nodeling_runtime.blob_values import BlobValue
from nodeling_runtime.blobs import Blob
from nodeling_runtime.dispatch.base import Dispatcher
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.loaded import Loaded, load
from nodeling_runtime.engine.options import check_parameters, run_options
from nodeling_runtime.engine.run import (
    Needs,
    Run,
    RunOptions,
    RunOutcome,
    missing_secrets,
    needs_of,
)
from nodeling_runtime.engine.run_limits import refuse_limit
from nodeling_runtime.formats import open_workflow
from nodeling_runtime.project import resolve_secrets
from nodeling_runtime.values import Value

if TYPE_CHECKING:
    from nodeling.workflow import Workflow as SdkWorkflow
    from nodeling_runtime.engine.journal import Journal
    from nodeling_runtime.toolchains.ahead import Failures, Plans
    from nodeling_runtime.toolchains.plan import Plan
    from nodeling_runtime.workflow.model import Workflow

CLOSING_ROUNDS = 3
CLOSING_SECONDS = 0.05  # for each round: the run has its result, and nobody waits for these
MOST_PREWARMED = 4  # workers that start together with a run; the others start with their first call


async def execute(
    loaded: Loaded, options: RunOptions, begin: Callable[[], Journal | Awaitable[Journal]] | None = None
) -> RunOutcome:
    """Run a loaded workflow on the running loop.

    Args:
        loaded: The workflow.
        options: How.
        begin: Makes the run's journal, once nothing is in the way of the run; None: nothing is kept.

    Raises:
        ConfigError: The workflow has faults, a secret is missing, or its runs cannot be counted.
        StoreError: The run cannot be kept.
    """
    from nodeling_runtime.dispatch.inprocess import InProcessDispatcher

    workflow = loaded.ready()
    needs = needs_of(workflow)
    wanted = needs.secrets
    secrets = resolve_secrets(wanted, Path(loaded.document.name).parent) if wanted else {}
    absent = missing_secrets(wanted, secrets)
    if absent is not None:
        raise absent
    failures: Failures = {}
    plans: dict[Any, Plan] = {}
    if needs.processes:
        from nodeling_runtime.toolchains.ahead import build_ahead

        failures = await build_ahead(needs.processes, options.on_build, plans)
    journal = None
    if begin is None:
        refuse_limit(workflow)
    else:
        begun = begin()
        journal = await begun if isinstance(begun, Awaitable) else begun
    dispatchers: dict[str, Dispatcher] = {"inprocess": InProcessDispatcher()}
    try:
        if needs.processes:
            _add_out_of_process(dispatchers, needs, failures, plans)
        return await Run(workflow, options, dispatchers, secrets, journal).execute()
    finally:
        if journal is not None:
            journal.close()
        for dispatcher in dispatchers.values():
            await dispatcher.close()


def _add_out_of_process(
    dispatchers: dict[str, Dispatcher], needs: Needs, failures: Failures, plans: Plans
) -> None:
    """Add what runs nodes in other processes; it is imported for the workflows alone that have such nodes."""
    from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
    from nodeling_runtime.toolchains.launching import launch_of

    workers = WorkerDispatcher(launcher=lambda spec: launch_of(spec, failures, plans))
    dispatchers["worker"] = workers
    if any(spec.runs_in == "exec" for spec in needs.processes):
        from nodeling_runtime.dispatch.exec import ExecDispatcher

        dispatchers["exec"] = ExecDispatcher(failures)
    for spec in needs.workers[:MOST_PREWARMED]:
        workers.warm(spec)


def prewarm(workflow: Workflow) -> None:
    """Start the workers that a run of this workflow will need first, while it is being checked.

    Only those start that run nothing of their nodes until the run itself speaks to them: a workflow that
    turns out to be wrong runs nothing.
    """
    wanted = needs_of(workflow).workers[:MOST_PREWARMED]
    if not wanted:
        return
    from nodeling_runtime.dispatch.exec_result import Refused
    from nodeling_runtime.dispatch.worker.bounds import Bounds
    from nodeling_runtime.dispatch.worker.hub import prepare
    from nodeling_runtime.toolchains.launching import launch_of

    launches = []
    for spec in wanted:
        try:
            launch = launch_of(spec)
        except Refused:
            continue  # the run will say so, or build it
        if launch.is_patient:
            launches.append(launch)
    if launches:
        prepare(launches, Bounds())


def _held(output: Value | None, files: dict[str, Blob]) -> bytes | BlobValue | None:
    """What a result keeps of an output: its bytes, or the files it lies in, which go with the result."""
    if output is None or not isinstance(output, BlobValue):
        return None if output is None else output.data
    for name, blob in output.blobs.items():
        if name not in files:
            files[name] = blob.handed_over()
    return BlobValue(output.skeleton, {name: files[name] for name in output.blobs})


def result_of(outcome: RunOutcome) -> RunResult:
    """The outcome as callers see it."""
    files: dict[str, Blob] = {}
    steps = {
        name: StepResult(
            name=name,
            held=_held(record.output, files),
            **outcome.redactor.value(record.to_json()),
        )
        for name, record in outcome.records.items()
    }
    return RunResult(
        run_id=outcome.run_id,
        workflow=outcome.workflow,
        status=outcome.status,
        steps=steps,
        error=outcome.redactor.value(outcome.error),
        duration_ms=round(outcome.duration_ms, 3),
        started=outcome.started,
        leaked=outcome.leaked,
        held=_held(outcome.output, files),
    )


class EngineHost:
    """The engine that the SDK finds."""

    def load(self, workflow: SdkWorkflow, folders: Sequence[Path] = (), *, to_run: bool = False) -> Loaded:
        """Resolve an SDK workflow; what it needs is started meanwhile when it is to be run."""
        path = workflow.path
        document = open_workflow(path) if path is not None else from_data(workflow.document, workflow.name)
        base = None if path is None else path.parent
        extra = [*workflow.node_folders, *folders]
        return load(
            document,
            base=base,
            folders=extra,
            definitions=workflow.definitions,
            resolved=prewarm if to_run else None,
        )

    async def arun(self, workflow: SdkWorkflow, options: Mapping[str, Any]) -> RunResult:
        """Run to the end on the caller's loop."""
        chosen = run_options(options)
        loaded = self._prepared(workflow, options)
        check_parameters(loaded.ready(), chosen.parameters)
        url = options.get("store")
        outcome: RunOutcome | RunResult
        if url in (None, "none"):
            outcome = await execute(loaded, chosen)
        else:
            from nodeling_runtime.engine.durable import run_in_store

            outcome = await run_in_store(loaded, chosen, str(url), options)
        if isinstance(outcome, RunResult):
            return outcome
        if outcome.interrupted:
            raise asyncio.CancelledError  # the run has ended in order; the caller's cancellation goes on
        return result_of(outcome)

    def run(self, workflow: SdkWorkflow, options: Mapping[str, Any]) -> RunResult:
        """Run to the end on a loop of the engine's own."""
        result: RunResult = in_own_loop(lambda: self.arun(workflow, options))
        return result

    def check(self, workflow: SdkWorkflow) -> list[Fault]:
        """Every fault of a workflow."""
        return self.load(workflow).faults

    def read(self, path: Path) -> dict[str, Any]:
        """A document from a file."""
        data = open_workflow(path).data
        if not isinstance(data, dict):
            raise ConfigError(f"{path} holds no workflow", code="document.type")
        return data

    def compile_schema(self, schema: Any, where: str) -> Callable[[Any], list[Fault]]:
        """What tells the faults of a value by a JSON Schema."""
        from nodeling_runtime.schemas import compile_schema

        validator = compile_schema(schema, where=where)

        def faults(value: Any) -> list[Fault]:
            found = validator.check(value) or []
            return [Fault("schema.misfit", one.message, one.pointer, one.hint) for one in found]

        return faults

    def write_yaml(self, document: Mapping[str, Any]) -> str:
        """A document as YAML."""
        from nodeling_runtime.documents.writer import to_text

        return to_text(dict(document), "yaml")

    def _prepared(self, workflow: SdkWorkflow, options: Mapping[str, Any]) -> Loaded:
        folders = [Path(folder) for folder in options.get("nodes") or ()]
        return self.load(workflow, folders, to_run=True)


def in_own_loop(start: Callable[[], Any]) -> Any:
    """Run a coroutine on a new loop in a new thread, and wait for it here.

    The thread is a daemon: its caller does not wait for what an abandoned coroutine does to the loop.
    An interrupt here cancels the run; a second one leaves it behind.
    """
    loop = asyncio.new_event_loop()
    box: dict[str, Any] = {}
    ended = threading.Event()

    def drive() -> None:
        asyncio.set_event_loop(loop)
        task = box["task"] = loop.create_task(_captured(start, box))
        task.add_done_callback(lambda _: loop.stop())
        try:
            loop.run_forever()
        finally:
            ended.set()
            close_loop(loop)

    threading.Thread(target=drive, name="nodeling-engine", daemon=True).start()
    interrupts = 0
    while not ended.is_set():
        try:
            ended.wait()
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > 1 or "task" not in box:
                raise
            loop.call_soon_threadsafe(box["task"].cancel)
    if interrupts:
        raise KeyboardInterrupt
    if "error" in box:
        raise box["error"]
    return box["result"]


def close_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop whose run is over, whatever was given up on it: told thrice more to end, then dropped."""
    for _ in range(CLOSING_ROUNDS):
        left = asyncio.all_tasks(loop)
        if not left:
            loop.run_until_complete(loop.shutdown_asyncgens())
            break
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left, timeout=CLOSING_SECONDS))
    else:
        loop.set_exception_handler(lambda _loop, _context: None)  # that they were pending is known
    loop.close()


async def _captured(start: Callable[[], Any], box: dict[str, Any]) -> None:
    try:
        box["result"] = await start()
    except (NodelingError, asyncio.CancelledError, Exception) as error:
        box["error"] = error
