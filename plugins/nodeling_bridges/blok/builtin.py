"""Nodes that Blok ships, as nodes of ours: the scope before their names has changed four times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeling_bridges.blok.draft import Draft

__all__ = ["SCOPES", "bare_name", "known_nodes", "lower_builtin"]

SCOPES = ("@blokjs/", "@blok-ts/", "@blok/", "@nanoservice-ts/")
BODILESS = ("GET", "HEAD")
# What `use` may be that is no node but a shape of its own.
IF_ELSE = "if-else"

Step = dict[str, Any]


def bare_name(node: str) -> str | None:
    """The name of a shipped node without its scope and version; None for anybody else's."""
    scope = next((scope for scope in SCOPES if node.startswith(scope)), None)
    if scope is not None:
        return node[len(scope) :].partition("@")[0]
    return "mapper" if node.partition("@")[0] == "mapper" else None


def known_nodes() -> tuple[str, ...]:
    """The shipped nodes that something stands for here."""
    return (IF_ELSE, *_NODES)


def lower_builtin(draft: Draft, step: Step, bare: str, pointer: str) -> Step:
    """A step of a shipped node, its inputs converted already, as a step of ours."""
    return _NODES[bare](draft, step, pointer)


def _inputs(draft: Draft, step: Step, pointer: str) -> dict[str, Any]:
    return draft.mapping(step.pop("inputs", {}), f"{pointer}/inputs", "`inputs`")


def _expr(draft: Draft, step: Step, pointer: str) -> Step:
    """`expression` is JavaScript without a mark."""
    given = _inputs(draft, step, pointer).get("expression")
    if not isinstance(given, str):
        draft.fault("shape", pointer, "an expr step needs an `expression`")
    return {**step, "node": "blok-expr", "inputs": {"value": given}}


def _mapper(draft: Draft, step: Step, pointer: str) -> Step:
    """A mapper gives its `model`, the expressions in it resolved."""
    inputs = _inputs(draft, step, pointer)
    if "model" not in inputs:
        draft.fault("shape", pointer, "a mapper needs a `model` among its inputs")
    return {**step, "node": "blok-expr", "inputs": {"value": inputs.get("model")}}


def _publish(draft: Draft, step: Step, pointer: str) -> Step:
    inputs = _inputs(draft, step, pointer)
    if not isinstance(inputs.get("name"), str):
        draft.fault("shape", pointer, "a ctx-publish step needs a literal `name`")
        return {**step, "node": "blok-publish", "inputs": {"values": {}}}
    name, value = inputs["name"], inputs.get("value")
    gives = {"name": name, "value": value}
    return {**step, "node": "blok-publish", "inputs": {"values": {name: value}, "gives": gives}}


def _publish_many(draft: Draft, step: Step, pointer: str) -> Step:
    inputs = _inputs(draft, step, pointer)
    values = inputs.get("values")
    if not isinstance(values, dict):
        draft.fault("shape", pointer, "a ctx-publish-many step needs an object of `values`")
        values = {}
    return {**step, "node": "blok-publish", "inputs": {"values": values, "gives": {"count": len(values)}}}


def _log(draft: Draft, step: Step, pointer: str) -> Step:
    return {**step, "node": "blok-log", "inputs": _inputs(draft, step, pointer)}


def _throw(draft: Draft, step: Step, pointer: str) -> Step:
    return {**step, "node": "blok-throw", "inputs": _inputs(draft, step, pointer)}


def _respond(draft: Draft, step: Step, pointer: str) -> Step:
    """The response is the step's output, whole; there is no server to set a status or cookies with."""
    inputs = _inputs(draft, step, pointer)
    if set(inputs) - {"body", "status"}:
        draft.note("respond", pointer, "headers, cookies and contentType of a response become plain output")
    return {**step, "node": "blok-expr", "inputs": {"value": inputs}}


def _json_schema(draft: Draft, step: Step, pointer: str) -> Step:
    """Fails where the data does not fit."""
    return {**_json_validator(draft, step, pointer), "on_invalid": "fail"}


def _json_validator(draft: Draft, step: Step, pointer: str) -> Step:
    """Reports `valid` and `errors`; the data is one record, also where it is a list."""
    inputs = _inputs(draft, step, pointer)
    for key in ("schema", "data"):
        if key not in inputs:
            draft.fault("shape", pointer, f"a validating step needs `{key}` among its inputs")
    return {**step, "node": "validate", "in": [inputs.get("data")], "schema": inputs.get("schema", True)}


def _api_call(draft: Draft, step: Step, pointer: str) -> Step:
    """The answer's body alone is the output, so a second step takes it out."""
    inputs, name = _inputs(draft, step, pointer), step["name"]
    asks: Step = {key: inputs[key] for key in ("url", "method", "headers") if key in inputs}
    if isinstance(asks.get("method"), str):
        asks["method"] = asks["method"].upper()
    body = inputs.get("body")
    if body is None and draft.is_first and asks.get("method", "GET") not in BODILESS:
        body = "${ctx.response.data}"  # the first generation sends what the step before gave
    if body is not None and asks.get("method", "GET") not in BODILESS:
        is_text = isinstance(body, str) and not body.startswith("js/") and "${" not in body
        asks["body" if is_text else "json"] = body
    for key in set(inputs) - {"url", "method", "headers", "body", "responseType"}:
        draft.note(
            "unknown_key", f"{pointer}/inputs/{key}", f"api-call has the key {key!r}, which is left out"
        )
    kept = {"cache": step.pop("cache")} if "cache" in step else {}
    request, answer = draft.unique(f"{name}-request"), draft.unique(f"{name}-body")
    place = f"steps[{_quoted(request)}].output.body"
    return {
        **step,
        "node": "sequence",
        "steps": [
            {"name": request, "node": "http-request", "inputs": asks, **kept},
            {"name": answer, "node": "blok-expr", "inputs": {"value": "${" + place + "}"}},
        ],
    }


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_NODES: dict[str, Callable[[Draft, Step, str], Step]] = {
    "api-call": _api_call,
    "ctx-publish": _publish,
    "ctx-publish-many": _publish_many,
    "expr": _expr,
    "json-schema": _json_schema,
    "json-validator": _json_validator,
    "log": _log,
    "mapper": _mapper,
    "respond": _respond,
    "throw": _throw,
}
