"""How a run is wanted, as the SDK and the command line say it: judged before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeling.errors import ConfigError, nearest
from nodeling_runtime.blobs import LARGEST_JSON
from nodeling_runtime.engine.run import RunOptions, all_steps
from nodeling_runtime.values import InvalidValue, Value
from nodeling_runtime.workflow.duration import DurationError, milliseconds
from nodeling_runtime.workflow.model import Workflow

OPTIONS = (
    "inputs",
    "store",
    "max_concurrent",
    "timeout",
    "parameters",
    "request",
    "on_event",
    "nodes",
    "random",
    "run_id",
    "key",
    "durability",
)
REQUEST_PARTS = ("method", "headers", "query", "params", "path", "body")


def run_options(given: Mapping[str, Any]) -> RunOptions:
    """Options as callers of the SDK write them.

    Raises:
        ConfigError: One of them is unknown or wrong.
    """
    unknown = [name for name in given if name not in OPTIONS]
    if unknown:
        raise ConfigError(
            f"a run has no option {unknown[0]!r}", code="run.option", hint=f"it has {', '.join(OPTIONS)}"
        )
    kept = given.get("store") not in (None, "none")
    if not kept and (given.get("key") is not None or given.get("durability") is not None):
        raise ConfigError(
            "`key` and `durability` are about a run that is kept", code="run.option", hint="add `store`"
        )
    from nodeling_runtime import plugins

    values = _request(given)
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


def _request(given: Mapping[str, Any]) -> dict[str, Value]:
    request = dict(given.get("request") or {})
    for part in request:
        if part not in REQUEST_PARTS:
            raise ConfigError(
                f"a request has no {part!r}", code="run.request", hint=f"it has {', '.join(REQUEST_PARTS)}"
            )
    if given.get("inputs") is not None or "body" not in request:
        request["body"] = given.get("inputs")
    try:
        values = {part: Value.of(value) for part, value in request.items()}
    except InvalidValue as error:
        raise ConfigError(f"the run's input is no JSON value: {error}", code="run.input") from error
    for part, value in values.items():
        if value.size > LARGEST_JSON:
            said = f"{value.size / 2**20:.1f} MiB, more than the {LARGEST_JSON // 2**20} MiB"
            raise ConfigError(f"the request's {part} is {said} that a value may have", code="run.input")
    return values


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
