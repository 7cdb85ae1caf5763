"""One node, run alone, with everything it did laid open."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any

from nodeling._dataclass import dataclass
from nodeling.context import Context
from nodeling.errors import ConfigError
from nodeling.node import NodeDefinition, node
from nodeling.testing.fake import as_definition, stand_in
from nodeling.workflow import Workflow, find_engine

__all__ = ["NodeOutcome", "run_node"]

STEP = "node-under-test"
BEFORE, AFTER = "given-by-the-test", "seen-by-the-test"
MANIFEST = "config.json"
SECRET = "NODELING_SECRET_"  # noqa: S105 (where the engine looks, not what it finds)


@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """What one node did."""

    status: str
    output: Any = None
    error: dict[str, Any] | None = None
    vars: dict[str, Any] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    progress: list[dict[str, Any]] = field(default_factory=list)
    chunks: list[Any] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    attempts: int = 0
    duration_ms: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether the node gave an output."""
        return self.status == "succeeded"

    @property
    def code(self) -> int | str | None:
        """The code it failed with; None when it succeeded."""
        return None if self.error is None else self.error["code"]


def run_node(
    target: Any,
    inputs: Any = None,
    config: Mapping[str, Any] | None = None,
    vars: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    *,
    request: Mapping[str, Any] | None = None,
    step: Mapping[str, Any] | None = None,
    nodes: Mapping[str, Any] | None = None,
    folders: Sequence[Path] = (),
    timeout: float | str | None = 60,
) -> NodeOutcome:
    """Run a node once, and return what came of it; a node that fails is an outcome, not an exception.

    Args:
        target: A function, one under `@node`, a class with `handle`, or the folder of a node.
        inputs: What it is given, as they are: nothing in them is an expression. `{}` by default.
        config: Its configuration.
        vars: Context variables it finds.
        secrets: Secrets by name, of those its manifest declares.
        request: Parts of the request: `body`, `headers`, `query`, `params`, `method`, `path`.
        step: For a container: the keys of the step that uses it; expressions work here. Other keys of
            a step (`retry`, `timeout`) may stand here for any node.
        nodes: Fakes by name, for the children of a container.
        folders: More folders to look for nodes in.
        timeout: Seconds after which the run is given up, or a text with a unit.

    Raises:
        ConfigError: The manifest, the keys of the step or the variables are wrong.
    """
    workflow = Workflow("test", nodes=list(folders))
    document: dict[str, Any] = {"name": STEP, "node": _reference(target, workflow)}
    asked = {"method": "", "path": "", **(request or {})}
    params = dict(asked.get("params") or {})
    asked["params"] = params
    if inputs is not None or step is None:
        params["nodeling.inputs"] = {} if inputs is None else inputs
        document["inputs"] = '${ctx.request.params["nodeling.inputs"]}'
    if config is not None:
        params["nodeling.config"] = dict(config)
        document["config"] = {key: _as_it_is(key, value) for key, value in config.items()}
    document.update(step or {})
    given, seen = dict(vars or {}), _Seen()
    for name, fake in (nodes or {}).items():
        workflow.definitions[name] = as_definition(name, fake)
    workflow.definitions[BEFORE] = node(name=BEFORE, blocking=False)(_writer(given))
    workflow.definitions[AFTER] = node(name=AFTER, blocking=False)(seen.look)
    document["needs"] = [BEFORE]
    workflow.document["steps"] = [
        {"name": BEFORE, "node": BEFORE, "needs": []},
        document,
        {"name": AFTER, "node": AFTER, "needs": [{"step": STEP, "on": "failure"}], "set_var": False},
        {"name": f"{AFTER}-too", "node": AFTER, "needs": [STEP], "set_var": False},
    ]
    with _environment(secrets or {}):
        result = workflow.run(request=asked, timeout=timeout, on_event=seen.event)
    refused = result.steps[BEFORE].error
    if refused is not None:
        raise ConfigError(f"`vars` cannot be given: {refused['message']}", code="testing.vars")
    found = result.steps[STEP]
    error = found.error
    if error is None and found.status != "succeeded":
        error = {"code": f"step.{found.status}", "message": f"the step was {found.status} ({found.reason})"}
    return NodeOutcome(
        status=found.status,
        output=found.output,
        error=error,
        vars=seen.vars,
        logs=seen.logs,
        progress=seen.progress,
        chunks=seen.chunks,
        metrics=dict(found.metrics),
        attempts=found.attempts,
        duration_ms=found.duration_ms,
    )


def _as_it_is(key: str, value: Any) -> Any:
    """A value of `config` for a document: itself, as a secret's name must be, or a reference to it."""
    if isinstance(value, str) and "${" not in value and not value.startswith("js/"):
        return value
    return f'${{ctx.request.params["nodeling.config"][{json.dumps(key)}]}}'


class _Seen:
    """What became visible behind the node, and what it told while it ran."""

    def __init__(self) -> None:
        self.vars: dict[str, Any] = {}
        self.logs: list[str] = []
        self.progress: list[dict[str, Any]] = []
        self.chunks: list[Any] = []

    def look(self, ctx: Context) -> None:
        """Take down the variables that the node wrote."""
        self.vars = {key: ctx.vars[key] for key in ctx.vars if ctx.who(key) == STEP and key != STEP}

    def event(self, event: Mapping[str, Any]) -> None:
        """Take down one event of the node's own step."""
        if event.get("step") != STEP:
            return
        kind = str(event["event"])
        if kind == "step.log":
            self.logs.append(str(event["message"]))
        elif kind == "step.progress":
            self.progress.append({key: event.get(key) for key in ("progress", "total", "message")})
        elif kind == "step.chunk":
            self.chunks.append(event["data"])


def _writer(given: Mapping[str, Any]) -> Callable[..., None]:
    def write(ctx: Context) -> None:
        for key, value in given.items():
            ctx.set(key, value)

    return write


def _reference(target: Any, workflow: Workflow) -> str:
    """Make the target known to the workflow, and say how a step names it."""
    if isinstance(target, (str, os.PathLike)):
        return _folder(Path(target), workflow)
    if isinstance(target, NodeDefinition):
        workflow.definitions[target.name] = as_definition(target.name, target)
        return target.name
    if inspect.isclass(target):
        beside = _beside(target)
        if beside is not None:
            return _folder(beside, workflow)
    name = str(getattr(target, "__name__", "node")).strip("_<>").replace("_", "-").lower() or "node"
    if inspect.isclass(target) or _takes_context_and_inputs(target):
        definition = stand_in(target, name)
    else:
        definition = node(name=name)(target)
    workflow.definitions[name] = as_definition(name, definition)
    return name


def _folder(folder: Path, workflow: Workflow) -> str:
    manifest = find_engine().read(folder / MANIFEST)
    workflow.node_folders.append(folder)
    name = str(manifest.get("name", folder.name))
    return f"{name}@{manifest['version']}" if "version" in manifest else name


def _beside(target: type) -> Path | None:
    """The folder of a class, when a manifest stands there too."""
    try:
        folder = Path(inspect.getfile(target)).parent
    except (OSError, TypeError):
        return None
    return folder if (folder / MANIFEST).is_file() else None


def _takes_context_and_inputs(target: Any) -> bool:
    return list(inspect.signature(target).parameters)[:2] == ["ctx", "inputs"]


@contextmanager
def _environment(secrets: Mapping[str, str]) -> Iterator[None]:
    """Secrets where the engine looks for them first, for as long as the run lasts."""
    names = {SECRET + name.upper().replace("-", "_"): value for name, value in secrets.items()}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
