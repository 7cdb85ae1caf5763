"""The known types of nodes: what each takes, what it gives, and where that stands in our node's output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CATALOGUE", "ERROR", "FIXED", "METADATA", "WHOLE", "NodeType", "custom_type"]

# What shapes the document, or is code: it belongs to the workflow, and never arrives with data.
FIXED = {
    "code",
    "transformations",
    "process",
    "operation",
    "condition",
    "condition_field",
    "operator",
    "case_prefix",
    "merge_type",
    "merge_strategy",
    "required_inputs",
    "skip_none",
    "rules",
    "fail_on_invalid",
    "channel",
    "field",
    "pattern",
    "recursive",
    "response_format",
    "path_params",
}
METADATA = ("name", "description", "input_types", "output_type")  # of a code node; data may bear these names
WHOLE = ""  # the output itself
ERROR = "!error"  # the error of a step that failed, where somebody looks at it


@dataclass(frozen=True, slots=True)
class NodeType:
    """One type.

    Attributes:
        parameters: What it takes, by configuration or connection.
        outputs: Each of its outputs, and the path in our node's output where it stands.
        main_input: The input of a connection that names none.
        main_output: The output of a connection that names none.
        required: What it cannot do without; what nobody gives is the run's input.
        takes_any: It takes inputs of any name.
        gives_any: It gives outputs of any name, as members of its output.
    """

    name: str
    parameters: tuple[str, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)
    main_input: str = "data"
    main_output: str = "result"
    required: tuple[str, ...] = ()
    takes_any: bool = False
    gives_any: bool = False


_HTTP_OUTPUTS = {
    "response": "body",
    "status_code": "status",
    "success": "ok",
    "headers": "headers",
    "url": "url",
    "error": ERROR,
}
_HTTP = (
    "url",
    "method",
    "headers",
    "params",
    "query_params",
    "data",
    "json_data",
    "body",
    "timeout",
    "verify_ssl",
    "retry_count",
    "max_retries",
    "response_format",
    "allow",
)
_REST = (*_HTTP, "base_url", "resource", "path_params")
_ROWS = {"data": "rows", "columns": "columns", "row_count": "row_count", "result": "rows"}
_SQL = (
    "connection_string",
    "database_url",
    "query",
    "params",
    "parameters",
    "max_rows",
    "timeout",
    "read_only",
)


def _http(name: str, parameters: tuple[str, ...]) -> NodeType:
    return NodeType(name, parameters, _HTTP_OUTPUTS, "data", "response", ("url",))


def _sql(name: str) -> NodeType:
    return NodeType(name, _SQL, _ROWS, "params", "data", ("connection_string", "query"))


_TYPES = (
    _http("RestClientNode", _REST),
    _http("RESTClientNode", _REST),
    _http("HTTPRequestNode", _HTTP),
    NodeType(
        "SwitchNode",
        (
            "condition",
            "condition_field",
            "operator",
            "value",
            "cases",
            "case_prefix",
            "input_data",
        ),
        {
            "true_output": "true_output",
            "false_output": "false_output",
            "condition_result": "condition_result",
        },
        "input_data",
        "condition_result",
        takes_any=True,
        gives_any=True,
    ),
    NodeType(
        "MergeNode",
        ("merge_type", "merge_strategy", "key", "skip_none", "required_inputs"),
        {
            "merged_data": "result",
            "result": "result",
            "output": "result",
            "available": "available",
            "missing": "missing",
        },
        main_output="merged_data",
        takes_any=True,
    ),
    NodeType(
        "PythonCodeNode",
        ("code", *METADATA),
        {"result": WHOLE, "output": WHOLE},
        "input_data",
        takes_any=True,
        gives_any=True,
    ),
    NodeType(
        "DataTransformer",
        ("transformations", "data"),
        {"result": WHOLE, "output": WHOLE, "data": WHOLE},
        required=("data",),
        takes_any=True,
    ),
    NodeType(
        "FilterNode",
        ("data", "field", "operator", "value"),
        {"filtered_data": WHOLE, "result": WHOLE},
        main_output="filtered_data",
        required=("data",),
    ),
    NodeType(
        "CSVReaderNode",
        ("file_path", "headers", "delimiter", "encoding", "types"),
        {"data": "rows", "columns": "columns", "row_count": "count", "result": "rows"},
        "file_path",
        "data",
        ("file_path",),
    ),
    NodeType(
        "CSVWriterNode",
        ("file_path", "data", "headers", "delimiter", "encoding"),
        {"file_path": "path", "row_count": "rows", "result": WHOLE},
        required=("file_path", "data"),
    ),
    NodeType(
        "JSONReaderNode",
        ("file_path",),
        {"data": "data", "result": "data"},
        "file_path",
        "data",
        ("file_path",),
    ),
    NodeType(
        "JSONWriterNode",
        ("file_path", "data", "indent"),
        {"file_path": "path", "result": WHOLE},
        required=("file_path", "data"),
    ),
    NodeType(
        "DirectoryReaderNode",
        ("directory_path", "pattern", "recursive", "include_hidden"),
        {"discovered_files": "files", "files": "files", "file_count": "count", "result": "files"},
        "directory_path",
        "files",
        ("directory_path",),
    ),
    NodeType(
        "FileProcessorNode",
        ("files", "operation", "process"),
        {"results": WHOLE, "result": WHOLE},
        "files",
        "results",
        ("files",),
    ),
    _sql("SQLReaderNode"),
    _sql("SQLDatabaseNode"),
    NodeType(
        "ValidationNode",
        ("data", "schema", "rules", "unique", "references", "min_score", "fail_on_invalid"),
        {
            "valid": "valid",
            "is_valid": "valid",
            "errors": "errors",
            "warnings": "warnings",
            "score": "score",
            "error_count": "error_count",
            "result": WHOLE,
        },
        required=("data",),
    ),
    NodeType(
        "NotificationNode",
        (
            "channel",
            "message",
            "title",
            "level",
            "data",
            "url",
            "recipient",
            "headers",
            "timeout",
            "allow",
            "smtp_host",
            "smtp_port",
            "smtp_security",
            "sender",
        ),
        {"result": WHOLE},
        "message",
        required=("message",),
    ),
    NodeType(
        "LLMAgentNode",
        (
            "base_url",
            "model",
            "prompt",
            "system_prompt",
            "messages",
            "temperature",
            "max_tokens",
            "timeout",
            "allow",
        ),
        {"response": "text", "usage": "usage", "result": "text"},
        "prompt",
        "response",
        ("base_url", "model"),
    ),
)
CATALOGUE: Mapping[str, NodeType] = {one.name: one for one in _TYPES}


def custom_type(name: str, parameters: tuple[str, ...] | None = None) -> NodeType:
    """A type that somebody else brings: its outputs are the members of what it gives."""
    return NodeType(
        name,
        parameters or (),
        {"output": WHOLE},
        next(iter(parameters or ()), "data"),
        "output",
        takes_any=parameters is None,
        gives_any=True,
    )
