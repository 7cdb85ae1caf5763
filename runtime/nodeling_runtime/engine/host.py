"""The engine as others use it: load a workflow with its nodes, check it, run it.

The SDK finds `EngineHost` through an entry point; `nodectl` uses the same functions. Ordinary code runs
a workflow on a loop and a thread of the engine's own, so that it works inside a notebook's loop too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeling.errors import ConfigError, Fault, NodelingError, PluginError, StoreError
from nodeling.node import NodeDefinition
from nodeling.results import RunResult, StepResult
from nodeling_runtime.dispatch.base import Dispatcher
from nodeling_runtime.documents.reader import Document, from_data, read_document
from nodeling_runtime.engine.run import Run, RunOptions, RunOutcome, missing_secrets, needed_secrets, needed_workers
from nodeling_runtime.expressions.function_table import ExpressionFunction, FunctionTable
from nodeling_runtime.expressions.functions import BUILTINS
from nodeling_runtime.project import project_root, resolve_secrets
from nodeling_runtime.registry import PROJECT, Registry, build_registry, register
from nodeling_runtime.values import InvalidValue, Value
from nodeling_runtime.workflow.check import check_workflow
from nodeling_runtime.workflow.duration import DurationError, milliseconds
from nodeling_runtime.workflow.load import load_workflow, raise_faults
from nodeling_runtime.workflow.model import Workflow

if TYPE_CHECKING:
    from nodeling.workflow import Workflow as SdkWorkflow

OPTIONS = ("inputs", "store", "max_concurrent", "timeout", "parameters", "request", "on_event", "nodes", "random", "run_id")
MOST_PREWARMED = 4  # workers that start together with a run; the others start with their first call
REQUEST_PARTS = ("method", "headers", "query", "params", "path", "body")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document, the nodes it was resolved against, and all that is wrong with it."""

    document: Document
    registry: Registry
    workflow: Workflow | None
    faults: list[Fault]
    functions: FunctionTable

    def ready(self) -> Workflow:
        """The workflow, when nothing is wrong with it.

        Raises:
            ConfigError: It has faults; all of them are listed.
        """
        raise_faults(self.faults, self.document.name)
        if self.workflow is None:
            raise AssertionError("a document without faults is a workflow")
        return self.workflow


def function_table() -> FunctionTable:
    """The expression functions, those of plugins included."""
    from nodeling_runtime import plugins

    table = BUILTINS
    for name, function, options in plugins.expression_functions():
        try:
            table = table.extended([_function(name, function, options)])
        except PluginError as error:
            broken = plugins.BrokenPlugin(name, str(options.get("owner", "")), str(error))
            plugins.load_plugins().broken.append(broken)
    return table


def _function(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> ExpressionFunction:
    least = int(options.get("min_args", 1))
    most = options.get("max_args", least)
    return ExpressionFunction(
        name, function, least, most, str(options.get("doc", "")), owner=str(options.get("owner", "a plugin"))
    )


def registry_for(base: Path | None, folders: Sequence[Path] = (), *, installed: bool = True) -> Registry:
    """The nodes a workflow in `base` may use: installed ones, the project's, and those of `folders`."""
    here = (base or Path.cwd()).resolve()
    near = [here / "nodes", project_root(here) / "nodes"]
    return build_registry([path for path in near if path.is_dir()] + [Path(f) for f in folders], installed=installed)


def load(
    document: Document,
    *,
    base: Path | None = None,
    folders: Sequence[Path] = (),
    definitions: Mapping[str, NodeDefinition] | None = None,
    registry: Registry | None = None,
    strict: bool = False,
) -> Loaded:
    """Resolve and check a document; nothing is run and no node is imported."""
    known = registry or registry_for(base, folders)
    for definition in (definitions or {}).values():
        register(known, definition, PROJECT)
    functions = function_table()
    workflow, faults = load_workflow(document, known, functions)
    if workflow is not None:
        faults = [*faults, *check_workflow(workflow, strict=strict)]
    faults = sorted(faults, key=lambda fault: (fault.file or "", fault.line or 0, fault.column or 0))
    return Loaded(document, known, workflow, faults, functions)


def load_file(path: Path, folders: Sequence[Path] = (), *, strict: bool = False) -> Loaded:
    """Load a workflow file.

    Raises:
        ConfigError: It is not there, or cannot be read as a document.
    """
    return load(read_document(path), base=path.parent, folders=folders, strict=strict)


async def execute(loaded: Loaded, options: RunOptions) -> RunOutcome:
    """Run a loaded workflow on the running loop.

    Raises:
        ConfigError: The workflow has faults, or a secret is missing.
    """
    from nodeling_runtime.dispatch.exec import ExecDispatcher
    from nodeling_runtime.dispatch.inprocess import InProcessDispatcher
    from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher

    workflow = loaded.ready()
    wanted = needed_secrets(workflow)
    secrets = resolve_secrets(wanted, Path(loaded.document.name).parent) if wanted else {}
    absent = missing_secrets(wanted, secrets)
    if absent is not None:
        raise absent
    workers = WorkerDispatcher()
    dispatchers: dict[str, Dispatcher] = {
        "inprocess": InProcessDispatcher(),
        "exec": ExecDispatcher(),
        "worker": workers,
    }
    try:
        for spec in needed_workers(workflow)[:MOST_PREWARMED]:
            workers.warm(spec)
        return await Run(workflow, options, dispatchers, secrets).execute()
    finally:
        for dispatcher in dispatchers.values():
            await dispatcher.close()


def run_options(given: Mapping[str, Any]) -> RunOptions:
    """Options as callers of the SDK write them.

    Raises:
        ConfigError: One of them is unknown or wrong.
    """
    unknown = [name for name in given if name not in OPTIONS]
    if unknown:
        raise ConfigError(f"a run has no option {unknown[0]!r}", code="run.option", hint=f"it has {', '.join(OPTIONS)}")
    if given.get("store") not in (None, "none"):
        raise StoreError("a store arrives with durable runs", code="store.unavailable", hint="leave `store` out")
    from nodeling_runtime import plugins

    request = dict(given.get("request") or {})
    for part in request:
        if part not in REQUEST_PARTS:
            raise ConfigError(f"a request has no {part!r}", code="run.request", hint=f"it has {', '.join(REQUEST_PARTS)}")
    if given.get("inputs") is not None or "body" not in request:
        request["body"] = given.get("inputs")
    try:
        values = {part: Value.of(value) for part, value in request.items()}
    except InvalidValue as error:
        raise ConfigError(f"the run's input is no JSON value: {error}", code="run.input") from error
    on_event = given.get("on_event")
    options = RunOptions(
        request=values,
        parameters=given.get("parameters") or {},
        max_concurrent=given.get("max_concurrent"),
        timeout_ms=_timeout(given.get("timeout")),
        listeners=[*plugins.listeners(), *([on_event] if on_event else [])],
        run_id=given.get("run_id"),
    )
    if given.get("random") is not None:
        options.random = given["random"]
    if options.max_concurrent is not None and options.max_concurrent < 1:
        raise ConfigError("`max_concurrent` is a whole number from 1 up", code="run.option")
    return options


def _timeout(value: Any) -> float | None:
    """Seconds as a number, or a string with its unit."""
    try:
        if value is None:
            return None
        return milliseconds(value * 1_000 if isinstance(value, (int, float)) else value)
    except DurationError as error:
        raise ConfigError(f"`timeout`: {error}", code="run.option") from error


def check_parameters(workflow: Workflow, parameters: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse run parameters that name no step.

    Raises:
        ConfigError: A step is unknown; the nearest is named.
    """
    from nodeling.errors import nearest
    from nodeling_runtime.engine.run import all_steps

    steps = {step.name: step for step in all_steps(workflow.scope)}
    for name, values in parameters.items():
        if name not in steps:
            near = nearest(name, steps)
            hint = f"did you mean {near!r}?" if near else f"the steps are {', '.join(steps)}"
            raise ConfigError(f"no step is called {name!r}", code="run.parameter", hint=hint)
        schema = steps[name].spec.manifest.inputs
        known = schema.get("properties") if isinstance(schema, Mapping) else None
        for key in values:
            if known and key not in known and schema.get("additionalProperties") is False:  # type: ignore[union-attr]
                near = nearest(key, known)
                hint = f"did you mean {near!r}?" if near else f"it takes {', '.join(known)}"
                raise ConfigError(f"step {name!r} takes no input {key!r}", code="run.parameter", hint=hint)


def result_of(outcome: RunOutcome) -> RunResult:
    """The outcome as callers see it."""
    steps = {
        name: StepResult(
            name=name,
            data=None if record.output is None else record.output.data,
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
        data=None if outcome.output is None else outcome.output.data,
    )


class EngineHost:
    """The engine that the SDK finds."""

    def load(self, workflow: SdkWorkflow, folders: Sequence[Path] = ()) -> Loaded:
        """Resolve an SDK workflow."""
        path = workflow.path
        document = read_document(path) if path is not None else from_data(workflow.document, workflow.name)
        base = None if path is None else path.parent
        extra = [*workflow.node_folders, *folders]
        return load(document, base=base, folders=extra, definitions=workflow.definitions)

    async def arun(self, workflow: SdkWorkflow, options: Mapping[str, Any]) -> RunResult:
        """Run to the end on the caller's loop."""
        chosen = run_options(options)
        loaded = self._prepared(workflow, options)
        check_parameters(loaded.ready(), chosen.parameters)
        outcome = await execute(loaded, chosen)
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
        data = read_document(path).data
        if not isinstance(data, dict):
            raise ConfigError(f"{path} holds no workflow", code="document.type")
        return data

    def write_yaml(self, document: Mapping[str, Any]) -> str:
        """A document as YAML."""
        from nodeling_runtime.documents.writer import to_text

        return to_text(dict(document), "yaml")

    def _prepared(self, workflow: SdkWorkflow, options: Mapping[str, Any]) -> Loaded:
        folders = [Path(folder) for folder in options.get("nodes") or ()]
        return self.load(workflow, folders)


def in_own_loop(start: Callable[[], Any]) -> Any:
    """Run a coroutine on a new loop in a new thread, and wait for it here.

    The thread is a daemon and the loop is left, not joined, when an abandoned coroutine still holds it.
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
            if not asyncio.all_tasks(loop):
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()

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


async def _captured(start: Callable[[], Any], box: dict[str, Any]) -> None:
    try:
        box["result"] = await start()
    except (NodelingError, asyncio.CancelledError, Exception) as error:
        box["error"] = error
