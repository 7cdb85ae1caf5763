"""Each type of node as a step of ours: which node stands for it, and what that is given. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from nodeling.errors import ConfigError
from nodeling_bridges.kailash import programs
from nodeling_bridges.kailash.conditions import condition_of, literal_of
from nodeling_bridges.kailash.draft import Draft, suggestion
from nodeling_bridges.kailash.model import Limits
from nodeling_bridges.kailash.values import Given, literal, member

__all__ = ["HANDLING", "LOWERINGS", "Tools"]

Step = dict[str, Any]
MOST_MB, LEAST_MB = 1_024, 16  # what `python-code` may be given
MOST_CODE_MS = 600_000
_STRATEGIES = {
    "concat": "concat",
    "zip": "zip",
    "merge_dict": "combine-dict",
    "combine_dict": "collect-all",
    "collect_all": "collect-all",
    "collect_available": "collect-available",
    "first": "first",
}
HANDLING = ("collect_available", "first")  # merges that go on without what failed
_OPERATORS = {"==": "==", "!=": "!=", ">": ">", "<": "<", ">=": ">=", "<=": "<=", "in": "in"}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Tools:
    """What a lowering needs beside its node: the bounds of the run, and where to say what is wrong."""

    def __init__(self, draft: Draft, limits: Limits) -> None:
        self.draft = draft
        self.limits = limits

    def refuse(self, given: Given, key: str, message: str, hint: str | None = None) -> None:
        """Say what is wrong with a parameter."""
        place = f"{given.entry.pointer}/{key}" if key in given.entry.config else given.entry.pointer
        self.draft.fault("parameter", place, f"{given.entry.type} {given.entry.id!r}: {message}", hint)

    def choice(self, given: Given, key: str, known: Mapping[str, str] | tuple[str, ...], default: str) -> str:
        """A parameter that is one of a few words."""
        said = given.plain(key, default)
        if said in known:
            return str(said)
        self.refuse(given, key, f"`{key}` cannot be {said!r}", suggestion(str(said), known))
        return default

    def code(self, inputs: Step) -> Step:
        """A step that runs lines of Python within the run's bounds."""
        found: Step = {"node": "python-code", "inputs": inputs}
        if self.limits.task_timeout is not None:
            inputs["timeout_ms"] = max(1, min(MOST_CODE_MS, int(self.limits.task_timeout)))
        if self.limits.memory_limit is not None:
            inputs["memory_mb"] = max(LEAST_MB, min(MOST_MB, self.limits.memory_limit))
        return found


def _http(given: Given, tools: Tools) -> Step:
    names = {
        "url": "url",
        "headers": "headers",
        "params": "query",
        "query_params": "query",
        "data": "json",
        "json_data": "json",
        "body": "body",
        "verify_ssl": "verify",
        "retry_count": "retries",
        "max_retries": "retries",
        "allow": "allow",
    }
    inputs = given.renamed(names)
    if given.has("method"):
        said = given.value("method")
        inputs["method"] = said.upper() if isinstance(said, str) and not said.startswith("${") else said
        if given.plain("method") and inputs["method"] not in _METHODS:
            tools.refuse(
                given, "method", f"`method` cannot be {said!r}", suggestion(str(said).upper(), _METHODS)
            )
    if given.has("timeout"):
        # The class of the documents counts milliseconds, the package's own ones seconds.
        unit = 1 if given.kind.name == "RestClientNode" else 1_000
        inputs["timeout_ms"] = _scaled(given.value("timeout"), unit)
    if given.has("response_format"):
        word = {"json": "json", "text": "text", "binary": "base64", "auto": "auto"}
        inputs["expect"] = word[tools.choice(given, "response_format", word, "auto")]
    if given.has("base_url"):
        base, rest = str(given.value("base_url")).rstrip("/"), str(given.value("resource", "")).lstrip("/")
        said = {key: str(literal(one)) for key, one in dict(given.plain("path_params", {})).items()}
        for key, one in said.items():
            rest = rest.replace("{" + key + "}", one)
        inputs.setdefault("url", f"{base}/{rest}" if rest else base)
    return {"node": "http-request", "inputs": inputs}


def _scaled(value: Any, unit: int) -> Any:
    if isinstance(value, str) and value.startswith("${"):
        return f"${{round(({value[2:-1]}) * {unit})}}"
    return max(1, round(value * unit)) if isinstance(value, int | float) else value


def _switch(given: Given, tools: Tools) -> Step:
    inputs: Step = {"data": given.value("input_data") if given.has("input_data") else given.extras()}
    try:
        if given.has("cases"):
            inputs.update(_cases(given, tools))
        else:
            inputs["condition"] = f"${{{_condition(given, tools)}}}"
    except ConfigError as error:
        key = "condition" if "condition" in given.entry.config else "condition_field"
        tools.refuse(given, key, error.message, error.hint)
    return {"node": "kailash-switch", "inputs": inputs}


def _cases(given: Given, tools: Tools) -> Step:
    if given.has("condition"):
        tools.refuse(given, "condition", "it has `condition` and `cases`", "one of them decides")
    if "cases" in given.entry.config and not isinstance(given.plain("cases"), list):
        tools.refuse(given, "cases", "`cases` is a list of values")
    field = _name(given, str(given.plain("condition_field", "input_data")))
    return {
        "cases": given.value("cases"),
        "prefix": given.value("case_prefix", "case_"),
        "value": f"${{{field} ?? null}}",
    }


def _condition(given: Given, tools: Tools) -> str:
    if given.has("condition"):
        return condition_of(str(given.plain("condition")), lambda name: _name(given, name))
    if not given.has("condition_field"):
        raise ConfigError("it has neither `condition` nor `condition_field`", code="kailash.condition")
    field = f"({_name(given, str(given.plain('condition_field')))} ?? null)"
    return _operation(given, tools, field)


def _operation(given: Given, tools: Tools, field: str) -> str:
    known = (*_OPERATORS, "contains", "is_null", "is_not_null")
    operator = tools.choice(given, "operator", known, "==")
    value = given.entry.config.get("value")
    other = given.arriving.get("value", literal_of(value))
    if operator in ("is_null", "is_not_null"):
        return f"({field} {'==' if operator == 'is_null' else '!='} null)"
    if operator == "contains":
        return f"contains({field}, {other})"
    return f"({field} {_OPERATORS[operator]} {other})"


def _name(given: Given, name: str) -> str:
    """What a name in a switch's condition stands for: an input, or a member of the one that holds all."""
    head, _, rest = name.partition(".")
    if head in given.arriving:
        return given.arriving[head] + member(rest, optional=True)
    if "input_data" in given.arriving:
        return given.arriving["input_data"] + member(name, optional=True)
    if head in given.entry.config:
        return literal_of(given.entry.config[head]) + member(rest, optional=True)
    known = [*given.arriving, *(key for key in given.entry.config if key not in given.kind.parameters)]
    raise ConfigError(
        f"the condition reads {head!r}, which nothing brings",
        code="kailash.condition",
        hint=suggestion(head, known),
    )


def _merge(given: Given, tools: Tools) -> Step:
    key = "merge_strategy" if given.has("merge_strategy") else "merge_type"
    strategy = tools.choice(given, key, _STRATEGIES, "concat")
    values = given.extras()
    if not values:
        tools.refuse(given, "", "nothing is connected to it")
    inputs: Step = {"values": list(values.values()) if strategy == "zip" else values}
    inputs["strategy"] = _STRATEGIES[strategy]
    if given.has("key"):
        if strategy != "merge_dict":
            tools.refuse(given, "key", "`key` is for merge_type `merge_dict`")
        inputs.update(strategy="join", key=given.value("key"))
    wanted = given.plain("required_inputs")
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        inputs["min_available"] = wanted
        if wanted > len(values):
            tools.refuse(given, "required_inputs", f"{wanted} are required, and {len(values)} are connected")
    elif wanted is not None:
        inputs["required_inputs"] = literal(wanted if isinstance(wanted, list) else [str(wanted)])
    elif given.plain("skip_none", strategy in ("concat", "zip", "merge_dict")):
        inputs["required_inputs"] = []
    if strategy == "zip":
        inputs["lengths"] = "longest"
    return {"node": "merge", "inputs": inputs}


def _python(given: Given, tools: Tools) -> Step:
    code = given.plain("code")
    if not isinstance(code, str):
        tools.refuse(given, "code", "it needs `code`, a text")
        code = ""
    for key in ("input_types", "output_type"):
        if given.has(key):
            tools.draft.note(
                given.entry.pointer, f"`{key}` of {given.entry.id!r} is left out: types are not judged"
            )
    variables = given.extras()
    try:
        output = programs.gives(code)
        unfed = [name for name in programs.free_names(code) if name not in variables]
    except ConfigError as error:
        tools.refuse(given, "code", error.message)
        return {"node": "python-code", "inputs": {"code": ""}}
    for name in unfed:
        variables[name] = from_request(given.entry.id, name)
    inputs: Step = {"code": given.value("code"), "inputs": given.variables(variables)}
    if output != "result":
        inputs["output"] = output
    step = tools.code(inputs)
    if given.plain("description"):
        step["description"] = str(given.plain("description"))
    return step


def from_request(node: str, name: str) -> str:
    """What the run's input says for a parameter that nothing else gives: under its node, or by its name."""
    word = json.dumps(name, ensure_ascii=False)
    body = f"ctx.request.body?[{json.dumps(node, ensure_ascii=False)}]?[{word}]"
    return f"${{{body} ?? ctx.request.body[{word}]}}"


def _transformer(given: Given, tools: Tools) -> Step:
    said = given.plain("transformations")
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        tools.refuse(given, "transformations", "`transformations` is a list of texts")
        texts = []
    values = {"data": given.value("data"), "transformations": literal(texts), "more": given.extras()}
    return tools.code({"code": programs.TRANSFORM, "inputs": values})


def _files(given: Given, tools: Tools) -> Step:
    operation = tools.choice(given, "operation", programs.FILE_OPERATIONS, "read")
    values = {"files": given.value("files"), "operation": operation, "process": given.value("process")}
    return tools.code({"code": programs.PROCESS_FILES, "inputs": values})


def _filter(given: Given, tools: Tools) -> Step:
    field = "item" + member(str(given.plain("field", "")), optional=True)
    return {
        "node": "transform",
        "in": given.value("data"),
        "operations": [{"filter": f"${{{_operation(given, tools, f'({field} ?? null)')}}}"}],
    }


def _csv_read(given: Given, tools: Tools) -> Step:
    names = {
        "file_path": "path",
        "headers": "header",
        "delimiter": "delimiter",
        "encoding": "encoding",
        "types": "types",
    }
    return {"node": "csv-read", "inputs": given.renamed(names)}


def _csv_write(given: Given, tools: Tools) -> Step:
    names = {"file_path": "path", "data": "rows", "headers": "columns", "delimiter": "delimiter"}
    return {"node": "csv-write", "inputs": given.renamed({**names, "encoding": "encoding"})}


def _json_read(given: Given, tools: Tools) -> Step:
    return {"node": "json-read", "inputs": given.renamed({"file_path": "path"})}


def _json_write(given: Given, tools: Tools) -> Step:
    return {
        "node": "json-write",
        "inputs": given.renamed({"file_path": "path", "data": "data", "indent": "indent"}),
    }


def _directory(given: Given, tools: Tools) -> Step:
    pattern = str(given.plain("pattern", "*"))
    inputs = given.renamed({"directory_path": "root", "include_hidden": "hidden"})
    inputs["pattern"] = literal(f"**/{pattern}" if given.plain("recursive", False) else pattern)
    return {"node": "files", "inputs": inputs}


def _sql(given: Given, tools: Tools) -> Step:
    names = {
        "connection_string": "database",
        "database_url": "database",
        "query": "sql",
        "params": "parameters",
        "parameters": "parameters",
        "max_rows": "max_rows",
        "read_only": "read_only",
    }
    inputs = given.renamed(names)
    if given.kind.name == "SQLReaderNode":
        inputs["read_only"] = True
    if given.has("timeout"):
        inputs["timeout_ms"] = _scaled(given.value("timeout"), 1_000)
    return {"node": "sql", "inputs": inputs}


def _validation(given: Given, tools: Tools) -> Step:
    found: Step = {"node": "validate", "in": given.value("data")}
    found.update(given.renamed({"schema": "schema", "unique": "unique", "references": "references"}))
    rules = given.plain("rules", [])
    if not isinstance(rules, list):
        tools.refuse(given, "rules", "`rules` is a list")
        rules = []
    said = [_rule(rule, given, tools) for rule in rules]
    if said:
        found["rules"] = said
    if not any(key in found for key in ("schema", "rules", "unique", "references")):
        tools.refuse(given, "", "it checks nothing", "give it `schema`, `rules`, `unique` or `references`")
    if given.has("min_score"):
        found["min_score"] = given.value("min_score")
    if given.plain("fail_on_invalid", False):
        found["on_invalid"] = "fail"
    return found


def _rule(rule: Any, given: Given, tools: Tools) -> Step:
    said = {"condition": rule} if isinstance(rule, str) else dict(rule) if isinstance(rule, dict) else {}
    text = said.pop("condition", "")
    name = said.pop("name", text)
    for key in said:
        if key not in ("level", "message"):
            known = ("name", "condition", "level", "message")
            tools.refuse(given, "rules", f"a rule has no {key!r}", suggestion(str(key), known))
    try:
        that = condition_of(str(text), lambda word: f"item[{literal_of(word)}]")
    except ConfigError as error:
        tools.refuse(given, "rules", error.message, error.hint)
        that = "true"
    kept = {key: literal(said[key]) for key in ("level", "message") if key in said}
    return {"name": literal(str(name)), "that": f"${{{that}}}", **kept}


def _notification(given: Given, tools: Tools) -> Step:
    channel = str(given.plain("channel", "webhook"))
    if channel == "email":
        names = {
            "smtp_host": "host",
            "smtp_port": "port",
            "smtp_security": "security",
            "sender": "from",
            "recipient": "to",
            "title": "subject",
            "message": "text",
        }
        for theirs in ("smtp_host", "sender", "recipient", "title"):
            if not given.has(theirs):
                tools.refuse(given, theirs, f"an e-mail needs `{theirs}`")
        return {"node": "email", "inputs": given.renamed(names)}
    names = {
        "message": "text",
        "title": "title",
        "level": "level",
        "url": "url",
        "headers": "headers",
        "allow": "allow",
    }
    inputs = given.renamed(names)
    extra = {"channel": literal(channel), **given.renamed({"recipient": "recipient", "data": "data"})}
    inputs["data"] = extra
    inputs["channel"] = "webhook" if given.has("url") else literal(channel)
    if given.has("timeout"):
        inputs["timeout_ms"] = given.value("timeout")
    return {"node": "notify", "inputs": inputs}


def _llm(given: Given, tools: Tools) -> Step:
    names = {name: name for name in ("base_url", "model", "prompt", "messages", "temperature", "max_tokens")}
    inputs = given.renamed({**names, "system_prompt": "system", "allow": "allow"})
    if given.has("timeout"):
        inputs["timeout_ms"] = _scaled(given.value("timeout"), 1_000)
    return {"node": "llm", "inputs": inputs}


LOWERINGS: Mapping[str, Callable[[Given, Tools], Step]] = {
    "RestClientNode": _http,
    "RESTClientNode": _http,
    "HTTPRequestNode": _http,
    "SwitchNode": _switch,
    "MergeNode": _merge,
    "PythonCodeNode": _python,
    "DataTransformer": _transformer,
    "FilterNode": _filter,
    "CSVReaderNode": _csv_read,
    "CSVWriterNode": _csv_write,
    "JSONReaderNode": _json_read,
    "JSONWriterNode": _json_write,
    "DirectoryReaderNode": _directory,
    "FileProcessorNode": _files,
    "SQLReaderNode": _sql,
    "SQLDatabaseNode": _sql,
    "ValidationNode": _validation,
    "NotificationNode": _notification,
    "LLMAgentNode": _llm,
}
