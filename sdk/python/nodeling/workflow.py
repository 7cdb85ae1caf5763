"""Workflows from Python: loaded from a file, or built step by step into the same document.

    with Workflow("report") as wf:
        load = step("load", "csv-read", inputs={"path": "sales.csv"})
        step("sum", total, needs=[load], inputs={"rows": load.output["rows"]})

    print(wf.run({"month": "May"}).output)

The engine is found through the entry point group `nodeling.engine`; this module never imports it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from nodeling.errors import Fault, PluginError, WorkflowError
from nodeling.node import NodeDefinition, node
from nodeling.results import RunResult

__all__ = ["Reference", "Step", "Workflow", "ctx", "load", "run", "step", "task"]

_CURRENT: ContextVar[Workflow | None] = ContextVar("nodeling_workflow", default=None)


class Engine(Protocol):
    """What an engine offers the SDK."""

    def run(self, workflow: Workflow, options: Mapping[str, Any]) -> RunResult:
        """Run to the end, from ordinary code."""

    async def arun(self, workflow: Workflow, options: Mapping[str, Any]) -> RunResult:
        """Run to the end on the caller's loop."""

    def check(self, workflow: Workflow) -> list[Any]:
        """Every fault of the workflow."""

    def read(self, path: Path) -> dict[str, Any]:
        """A document from a file."""

    def write_yaml(self, document: Mapping[str, Any]) -> str:
        """A document as YAML."""

    def compile_schema(self, schema: Any, where: str) -> Callable[[Any], list[Fault]]:
        """What tells the faults of a value by a JSON Schema."""


@functools.cache
def find_engine() -> Engine:
    """The installed engine, looked for once in a process.

    Raises:
        PluginError: There is none, or more than one.
    """
    import importlib.metadata  # it loads email and with it sockets, which a node's process must not pay for

    points = {point.value: point for point in importlib.metadata.entry_points(group="nodeling.engine")}
    if len(points) != 1:
        found = ", ".join(points) or "none"
        raise PluginError(f"one engine is needed, found {found}", hint="pip install nodeling")
    engine: Engine = next(iter(points.values())).load()()
    return engine


class Reference:
    """A place in the context, written as an expression: `load.output["rows"][0]`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, key: str | int | slice) -> Reference:
        if isinstance(key, slice):
            start = "" if key.start is None else key.start
            stop = "" if key.stop is None else key.stop
            return Reference(f"{self._text}[{start}:{stop}]")
        if isinstance(key, str) and key.isidentifier() and key.isascii():
            return Reference(f"{self._text}.{key}")
        return Reference(f"{self._text}[{json.dumps(key)}]")

    def __str__(self) -> str:
        """The reference as a document writes it."""
        return f"${{{self._text}}}"

    def __repr__(self) -> str:
        return str(self)


ctx = Reference("ctx")


class Step:
    """A step that was added to a workflow under construction."""

    def __init__(self, name: str, document: dict[str, Any]) -> None:
        self.name = name
        self.document = document

    @property
    def output(self) -> Reference:
        """The step's output, for the inputs of others."""
        return Reference("steps")[self.name]["output"]

    @property
    def status(self) -> Reference:
        """The step's status."""
        return Reference("steps")[self.name]["status"]

    def __repr__(self) -> str:
        return f"Step({self.name!r})"


class Workflow:
    """A workflow: a document, and the functions that its steps name."""

    def __init__(
        self,
        name: str,
        *,
        version: str | None = None,
        description: str | None = None,
        settings: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        output: Any = None,
        nodes: Sequence[Path | str] = (),
    ) -> None:
        self.document: dict[str, Any] = {"name": name}
        given = {"version": version, "description": description, "settings": settings, "inputs": inputs}
        self.document.update({key: value for key, value in given.items() if value is not None})
        if output is not None:
            self.document["output"] = _plain(output)
        self.document["steps"] = []
        self.path: Path | None = None
        self.node_folders = [Path(folder) for folder in nodes]
        self.definitions: dict[str, NodeDefinition] = {}
        self._token: Any = None
        self._prepared: Any = None

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], *, path: Path | None = None, nodes: Sequence[Path | str] = ()
    ) -> Workflow:
        """Wrap a document that is there already."""
        workflow = cls(str(document.get("name", "workflow")), nodes=nodes)
        workflow.document = dict(document)
        workflow.path = path
        return workflow

    @property
    def name(self) -> str:
        """What the workflow is called."""
        return str(self.document.get("name", ""))

    # -- building

    def __enter__(self) -> Workflow:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _CURRENT.reset(self._token)

    def step(
        self,
        name: str,
        target: str | NodeDefinition | Callable[..., Any],
        *,
        needs: Iterable[Step | str | Mapping[str, Any]] | None = None,
        **keys: Any,
    ) -> Step:
        """Add a step.

        Args:
            name: Unique in the workflow.
            target: A node's name, or a function.
            needs: The steps it waits for; without it on any step, steps run in order.
            **keys: Any other key of a step; `if_` and `in_` stand for `if` and `in`.
        """
        document: dict[str, Any] = {"name": name, "node": self._reference(target)}
        if needs is not None:
            document["needs"] = [_need(entry) for entry in needs]
        document.update({key.rstrip("_"): _plain(value) for key, value in keys.items()})
        steps: list[dict[str, Any]] = self.document["steps"]
        steps.append(document)
        self._prepared = None
        return Step(name, document)

    def _reference(self, target: str | NodeDefinition | Callable[..., Any]) -> str:
        if isinstance(target, str):
            return target
        definition = target if isinstance(target, NodeDefinition) else node(target)
        held = self.definitions.get(definition.name)
        if held is not None and held.function is not definition.function:
            raise WorkflowError(
                f"two functions are called {definition.name!r}", hint="give one of them @node(name=…)"
            )
        self.definitions[definition.name] = definition
        return definition.name

    # -- using

    def run(self, inputs: Any = None, **options: Any) -> RunResult:
        """Run to the end, and return how it ended; a failed run is a result, not an exception.

        Args:
            inputs: The run's input, `ctx.request.body`.
            **options: `store` (None: in memory), `max_concurrent`, `timeout` (seconds or "30s"),
                `parameters` ({step: {key: value}}), `request` (headers, query, params, method, path),
                `on_event` (a function called with each event), `nodes` (more node folders).

        Raises:
            ConfigError: The document has faults; all of them are listed.
        """
        return find_engine().run(self, {"inputs": inputs, **options})

    async def arun(self, inputs: Any = None, **options: Any) -> RunResult:
        """The same as `run`, on the caller's event loop."""
        return await find_engine().arun(self, {"inputs": inputs, **options})

    def check(self) -> list[Any]:
        """Every fault of the workflow, warnings included; nothing is run."""
        return find_engine().check(self)

    def to_yaml(self) -> str:
        """The document as YAML. Functions are written as the names of their nodes."""
        return find_engine().write_yaml(self.document)

    def to_json(self) -> str:
        """The document as JSON."""
        return json.dumps(self.document, indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        return f"Workflow({self.name!r}, {len(self.document.get('steps', []))} steps)"


def step(name: str, target: str | NodeDefinition | Callable[..., Any], **keys: Any) -> Step:
    """Add a step to the workflow whose `with` block this is."""
    return _current().step(name, target, **keys)


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    needs: Iterable[Step | str | Mapping[str, Any]] | None = None,
    **keys: Any,
) -> Any:
    """Make a function a step of the workflow whose `with` block this is; gives the `Step`."""

    def decorate(target: Callable[..., Any]) -> Step:
        definition = target if isinstance(target, NodeDefinition) else node(target)
        return _current().step(name or definition.name, definition, needs=needs, **keys)

    return decorate if function is None else decorate(function)


def load(source: Path | str | Mapping[str, Any], *, nodes: Sequence[Path | str] = ()) -> Workflow:
    """A workflow from a file or from a document.

    Raises:
        ConfigError: The file is not there, or is no document.
    """
    if isinstance(source, Mapping):
        return Workflow.from_document(source, nodes=nodes)
    path = Path(source)
    return Workflow.from_document(find_engine().read(path), path=path, nodes=nodes)


def run(source: Path | str | Mapping[str, Any], inputs: Any = None, **options: Any) -> RunResult:
    """Load a workflow and run it to the end."""
    return load(source, nodes=options.pop("nodes", ())).run(inputs, **options)


def _current() -> Workflow:
    workflow = _CURRENT.get()
    if workflow is None:
        raise WorkflowError(
            "there is no workflow to add a step to", hint="write it inside `with Workflow(…):`"
        )
    return workflow


def _need(entry: Step | str | Mapping[str, Any]) -> Any:
    if isinstance(entry, Step):
        return entry.name
    if isinstance(entry, str):
        return entry
    return {key: (value.name if isinstance(value, Step) else _plain(value)) for key, value in entry.items()}


def _plain(value: Any) -> Any:
    """A document value: references become expressions, nested steps their documents."""
    if isinstance(value, Reference):
        return str(value)
    if isinstance(value, Step):
        return value.document
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
