"""From a native document to a `Workflow`: every fault of its shape is listed, none is raised alone.

Loading resolves nodes and compiles expressions; it imports no node's code. Whether the graph makes
sense (cycles, references, what fits what) is the checker's question.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodeling.errors import ConfigError, Fault, nearest
from nodeling_runtime.documents.reader import Document
from nodeling_runtime.expressions.functions import FunctionTable
from nodeling_runtime.registry import Registry
from nodeling_runtime.schemas import check_schema
from nodeling_runtime.workflow.keys import SETTINGS, TOP, WHEN_FULL
from nodeling_runtime.workflow.model import Scope, Settings, Workflow
from nodeling_runtime.workflow.policies import run_on_failure
from nodeling_runtime.workflow.reading import Reading, brief, escape, identity_of
from nodeling_runtime.workflow.steps import read_steps


def load_workflow(
    document: Document, registry: Registry, functions: FunctionTable, pinned: Mapping[str, Any] | None = None
) -> tuple[Workflow | None, list[Fault]]:
    """Read a document. The workflow is None when it cannot even be drawn as a graph.

    Args:
        document: The document.
        registry: The nodes.
        functions: What expressions may call.
        pinned: Documents that it includes, by file, where they are not to be read from there.
    """
    reading = Reading(document, registry, functions, trail=(identity_of(document),), pinned=pinned or {})
    return read_workflow(reading), reading.faults


def read_workflow(reading: Reading) -> Workflow | None:
    """Read the document of a reading, whose faults then say what is wrong with it."""
    document, data = reading.document, reading.document.data
    if not isinstance(data, dict):
        reading.fault("document.type", "a workflow is an object with a list of `steps`", "")
        return None
    misspelt = reading.unknown_keys(data, TOP, "a workflow", "")
    if "nodes" in data:
        reading.nodes = reading.mapping(data["nodes"], "`nodes`", "/nodes")
    settings, stop_on_failure = _settings(reading, data.get("settings", {}))
    inputs = _inputs(reading, data)
    scope = None
    if "steps" in data:
        scope = read_steps(reading, data["steps"], "/steps", "`steps`")
    elif "steps" not in misspelt:
        reading.fault(
            "document.missing", "a workflow has no `steps`", "", "write steps: [{name: …, node: …}]"
        )
    if scope is not None:
        _unused_nodes(reading)
        if settings.suspends:
            _refuse_recovery(reading, scope)
    output = reading.template(data["output"], "/output") if "output" in data else None
    if scope is None:
        return None
    root = Scope(
        steps=scope.steps,
        pointer="/steps",
        ordered=scope.ordered,
        stop_on_failure=stop_on_failure,
        output=output,
    )
    name = data.get("name")
    return Workflow(
        name=reading.text(name, "a workflow's name", "/name")
        if name is not None
        else Path(document.name).stem,
        version=str(data.get("version", "")),
        description=str(data.get("description", "")),
        scope=root,
        settings=settings,
        inputs=inputs,
        document=document,
        labels={key: data[key] for key in ("author", "tags", "metadata") if key in data},
    )


def raise_faults(faults: list[Fault], name: str) -> None:
    """Raise every error among the faults as one.

    Raises:
        ConfigError: There is at least one.
    """
    errors = [fault for fault in faults if fault.severity == "error"]
    if errors:
        count = f"{len(errors)} faults" if len(errors) > 1 else "a fault"
        raise ConfigError(f"{name} has {count}", code="document.faults", faults=faults)


def _settings(reading: Reading, value: Any) -> tuple[Settings, bool]:
    data = reading.mapping(value, "`settings`", "/settings")
    reading.unknown_keys(data, SETTINGS, "`settings`", "/settings")
    found: dict[str, Any] = {}
    if "max_concurrent" in data:
        pointer = "/settings/max_concurrent"
        found["max_concurrent"] = reading.count(data["max_concurrent"], "`max_concurrent`", pointer, 1)
    for key, name in (("timeout", "timeout_ms"), ("cleanup_timeout", "cleanup_timeout_ms")):
        if key in data:
            duration = reading.duration(data[key], f"/settings/{key}")
            if duration is not None:
                found[name] = duration
    found.update(_run_limit(reading, data))
    if "env" in data:
        names = data["env"] if isinstance(data["env"], list) else [data["env"]]
        found["env"] = tuple(reading.text(name, "a name in `env`", "/settings/env") for name in names)
    estimate = reading.document.data.get("estimated_duration")
    if estimate is not None:
        found["estimated_duration_ms"] = reading.duration(estimate, "/estimated_duration")
    word = run_on_failure(reading, data)
    return Settings(**found, suspends=word == "suspend"), word == "stop"


def _refuse_recovery(reading: Reading, scope: Scope) -> None:
    """A run that waits for somebody to look at its failures does not recover from them by itself."""
    for number, step in enumerate(scope.steps):
        if step.recovers:
            message = f"{step.name!r} recovers, and `on_failure: suspend` waits for somebody instead"
            hint = "leave one of the two out; a `needs` with `on: failure` handles one step's failure"
            reading.fault("document.value", message, f"/steps/{number}/recover", hint, key=True)


def _run_limit(reading: Reading, data: Mapping[str, Any]) -> dict[str, Any]:
    """How many runs there may be at once, and what becomes of one more."""
    found: dict[str, Any] = {}
    if "max_runs" in data:
        found["max_runs"] = reading.count(data["max_runs"], "`max_runs`", "/settings/max_runs", 1)
    if "when_full" in data:
        place = "/settings/when_full"
        found["when_full"] = reading.choice(data["when_full"], WHEN_FULL, "`when_full`", place, "queue")
        if "max_runs" not in data:
            message = "`when_full` says what becomes of one run too many, and there is no `max_runs`"
            reading.fault("document.value", message, place, "set `max_runs` too", key=True)
    return found


def _inputs(reading: Reading, data: Mapping[str, Any]) -> Mapping[str, Any] | bool | None:
    """The schema of the run's input; None when there is none that can be used."""
    schema = data.get("inputs")
    if "inputs" not in data:
        return None
    if not isinstance(schema, (dict, bool)):
        message = f"a workflow's `inputs` is a JSON Schema, not {brief(schema)}"
        reading.fault("document.type", message, "/inputs", "write inputs: {type: object, properties: {…}}")
        return None
    faults = check_schema(schema, "/inputs")
    for fault in faults:
        reading.fault("document.schema", fault.message, fault.pointer, fault.hint)
    return None if faults else schema


def _unused_nodes(reading: Reading) -> None:
    """`nodes` for a step that is not there is a misspelt name."""
    for name in reading.nodes:
        if name in reading.names or name in reading.used:
            continue
        near = nearest(name, reading.names)
        hint = f"did you mean {near!r}?" if near else f"the steps are {', '.join(list(reading.names)[:12])}"
        place = f"/nodes/{escape(name)}"
        reading.fault("document.unknown_step", f"`nodes` names no step {name!r}", place, hint, key=True)
