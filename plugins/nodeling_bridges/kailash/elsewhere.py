"""Types of nodes that Kailash has and nothing here stands for: what to use instead of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nodeling_bridges.kailash.draft import suggestion

__all__ = ["instead_of"]

_OVERLAPS = "everything here overlaps"
_LOOP = "nothing repeats here: write what repeats as one PythonCodeNode, or as a native `while`"
_INSTEAD: Mapping[str, str] = {
    "AsyncHTTPRequestNode": f"use HTTPRequestNode: {_OVERLAPS}",
    "AsyncMergeNode": f"use MergeNode: {_OVERLAPS}",
    "AsyncPythonCodeNode": "use PythonCodeNode: each call has a process of its own",
    "AsyncRESTClientNode": f"use RESTClientNode: {_OVERLAPS}",
    "AsyncSQLDatabaseNode": f"use SQLDatabaseNode with a `connection_string`: {_OVERLAPS}",
    "AsyncSwitchNode": f"use SwitchNode: {_OVERLAPS}",
    "APIKeyNode": "send it by `headers`; a native `http-request` takes a secret by its name",
    "BasicAuthNode": "send it by `headers`; a native `http-request` takes `auth: {basic: user}` and a secret",
    "ConvergenceCheckerNode": _LOOP,
    "EmailSenderNode": "use NotificationNode with `channel: email`",
    "EventGeneratorNode": "use PythonCodeNode",
    "FileDiscoveryNode": "use DirectoryReaderNode",
    "Filter": "use FilterNode",
    "GraphQLClientNode": "use HTTPRequestNode with `method: POST` and the query in `json_data`",
    "HTTPClientNode": "use HTTPRequestNode",
    "JoinNode": "use MergeNode(merge_type='merge_dict', key=…)",
    "LoopNode": _LOOP,
    "Map": "use DataTransformer with a lambda",
    "MultiCriteriaConvergenceNode": _LOOP,
    "OAuth2Node": "get the token in a PythonCodeNode, and send it by `headers`",
    "RateLimitedAPINode": "bound the run by `max_parallel_tasks`; a native step has `retry` and `circuit`",
    "Sort": "use DataTransformer with a lambda over the whole list, or a native `transform`",
    "TextReaderNode": "use PythonCodeNode: result = open(path).read()",
    "TextWriterNode": "use PythonCodeNode: result = open(path, 'w').write(text)",
    "WebhookNode": "use NotificationNode with `channel: webhook` to tell; nothing here listens",
    "WorkflowNode": "convert the other workflow too, and name it in a native `subworkflow` step",
}


def instead_of(name: str, known: Iterable[str]) -> str:
    """What to use in the place of a type that is not known here."""
    return _INSTEAD.get(name) or suggestion(name, known)
