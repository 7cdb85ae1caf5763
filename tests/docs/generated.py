"""The parts of reference pages that are made from the thing they describe.

A page holds `<!-- generated: name -->` … `<!-- end -->`; what stands between is what `PARTS[name]()` gives.
With NODELING_UPDATE_DOCS=1 the tests write it there.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

import nodeling
import nodeling.hookspecs
from docs.pages import ROOT
from languages import languages
from nodeling.testing.conformance import load_cases
from nodeling_runtime.cli.main import COMMANDS, cli
from nodeling_runtime.workflow import keys

MANIFEST_SCHEMA = ROOT / "sdk" / "python" / "nodeling" / "schemas" / "node.v1.json"
NODES = ROOT / "plugins" / "nodeling_nodes"
ERRORS = ROOT / "docs" / "reference" / "errors.json"
_PART = re.compile(r"<!-- generated: ([\w-]+) -->\n(.*?)<!-- end -->", re.DOTALL)


def parts_of(text: str) -> Iterator[tuple[str, str]]:
    """The generated parts of a page: name and what stands there."""
    for match in _PART.finditer(text):
        yield match[1], match[2].strip("\n")


def renewed(text: str) -> str:
    """The page with every generated part made anew."""
    return _PART.sub(lambda m: f"<!-- generated: {m[1]} -->\n\n{PARTS[m[1]]()}\n\n<!-- end -->", text)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines.extend("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# -- the command line


def command_line() -> str:
    """Every command with its usage, its words and its options."""
    context = click.Context(cli, info_name="nodectl")
    sections: list[str] = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is None:
            raise LookupError(name)
        sections.extend(_command(command, f"nodectl {name}", context))
    return "\n\n".join(sections)


def _command(command: click.Command, path: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=path.rpartition(" ")[2], parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"## `{path} {usage}`", inspect.cleandoc((command.help or "").replace("\b\n", "\n"))]
    rows = [
        [", ".join(f"`{option}`" for option in param.opts) + _metavar(param, context), _help_of(param)]
        for param in command.params
        if isinstance(param, click.Option) and not param.hidden
    ]
    if rows:
        parts.append(table(["Option", "Meaning"], rows))
    yield "\n\n".join(part for part in parts if part)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _command(inner, f"{path} {name}", context)


def _metavar(option: click.Option, context: click.Context) -> str:
    if option.is_flag:
        return ""
    return f" `{option.make_metavar(context) if _takes_context(option) else option.make_metavar()}`"


def _takes_context(option: click.Option) -> bool:
    return "ctx" in inspect.signature(option.make_metavar).parameters  # newer versions of click


def _help_of(option: click.Option) -> str:
    text = option.help or ""
    if option.multiple:
        text += " May be given several times."
    if option.show_default and option.default is not None:
        text += f" Default: `{option.default}`."
    return text


# -- documents


def workflow_keys() -> str:
    """The keys of a workflow document."""
    return _keys(keys.TOP)


def settings_keys() -> str:
    """The keys of `settings`."""
    return _keys(keys.SETTINGS)


def step_keys() -> str:
    """The keys of a step."""
    return _keys(keys.STEP)


def _keys(known: Mapping[str, str]) -> str:
    return table(["Key", "Meaning"], [[f"`{key}`", text] for key, text in known.items()])


def container_keys() -> str:
    """The keys that each shipped container adds to its step."""
    sections = []
    for file in sorted(NODES.glob("*/config.json")):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if manifest["group"] != CONTAINERS:
            continue
        names = " or ".join(f"`{name}`" for name in [manifest["name"], *manifest.get("aliases", [])])
        schema = manifest["config"]
        rows = list(_properties(schema, ""))
        keys_table = table(["Key", "Holds", "Meaning"], rows)
        sections.append(f"### {manifest['name']}\n\n{manifest['description']} Named {names}.\n\n{keys_table}")
    return "\n\n".join(sections)


CONTAINERS = "FLOW_CONTROL"  # the group of the nodes that run steps; the page on workflows has them
GROUPS = {
    "DATA": "Data",
    "FILES": "Files",
    "NETWORK": "Network",
    "CODE": "Programs and code",
    "CONTROL": "Course of a run",
}


def standard_nodes() -> str:
    """What every shipped node that is no container takes and gives."""
    shipped = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(NODES.glob("*/config.json"))]
    sections = []
    for group, heading in GROUPS.items():
        sections.append(f"## {heading}")
        sections.extend(_node(one) for one in shipped if one["group"] == group)
    return "\n\n".join(sections)


def _node(manifest: Mapping[str, Any]) -> str:
    name, is_flow = manifest["name"], manifest.get("flow", False)
    folder = f"../../plugins/nodeling_nodes/{name.replace('-', '_')}/README.md"
    rows = list(_properties(manifest["config" if is_flow else "inputs"], ""))
    if not is_flow and "config" in manifest:
        rows.extend(_properties(manifest["config"], "config."))
    gives = manifest.get("output", {}).get("properties")
    given = f" Gives `{{{', '.join(gives)}}}`." if gives else ""
    said = f"{manifest['description']}{given} [More]({folder})."
    where = "These keys stand on the step.\n\n" if is_flow else ""
    return f"### {name}\n\n{said}\n\n{where}{table(['Key', 'Holds', 'Meaning'], rows)}"


def _properties(schema: Mapping[str, Any], above: str) -> Iterator[list[str]]:
    for key, inner in schema.get("properties", {}).items():
        needed = " Required." if key in schema.get("required", ()) else ""
        default = f" Default: `{json.dumps(inner['default'])}`." if "default" in inner else ""
        meaning = inner.get("description") or SAID_HERE.get(f"{above}{key}") or SAID_HERE.get(key, "")
        yield [f"`{above}{key}`", _holds(inner), f"{meaning}{needed}{default}"]
        if inner.get("type") == "object":
            yield from _properties(inner, f"{above}{key}.")
        if isinstance(inner.get("items"), dict):
            yield from _properties(inner["items"], f"{above}{key}[].")


# What a schema leaves to its reader to know: by path, or by the key alone where it means the same everywhere.
SAID_HERE = {
    "description": "What it is for.",
    "group": "A word to list nodes by.",
    "runtime": "How it is run.",
    "runtime.protocol": "`exec` runs a program for each call; `nsp` keeps it warm.",
    "runtime.channel": "How the frames of `protocol: nsp` travel.",
    "runtime.output": "What a program's stdout is.",
    "runtime.stdin": "What a program reads.",
    "runtime.isolation": "`none`: in process. `worker`: in warm ones. `call`: in a fresh one for each call.",
    "examples[].name": "What `nodectl test` calls it.",
    "examples[].inputs": "What the node is given.",
    "examples[].config": "The step's `config`.",
    "examples[].status": "How the call must end.",
    "max_concurrent": "At no instant do more children run.",
    "strategy": "`sequential` runs the children one after the other, with equal results.",
    "error_handling": "`fail-fast`: the first failure ends the others; `continue-partial`: the others go on.",
    "execution": "The policy.",
    "min_success": "The step fails when fewer children succeed.",
    "timeout": "Each child that has no timeout of its own is killed after so long.",
    "global_timeout": "All children together end after so long.",
    "in": "The list.",
    "as": "What the item is called in expressions.",
    "nodes": "The children, independent of one another.",
    "then": "What runs when `if` is true.",
    "else": "What runs when it is not.",
    "type": "Which branch this is; `if` stands first, `else` last.",
    "steps": "What the branch runs.",
    "cases": "Looked through in order.",
    "do": "What is run.",
    "try": "What is run at first.",
}

HOLDS = {
    "template": "a value with expressions in it",
    "secret": "a secret's name",
    "step": "a step, or a list of steps",
    "steps": "a list of independent steps",
    "expression": "an expression",
    "javascript": "an expression, or JavaScript that can be lowered",
    "duration": "a duration",
    "workflow": "a file",
    "list": "a list",
}


def _holds(schema: Mapping[str, Any]) -> str:
    if "x-nodeling" in schema:
        return HOLDS[schema["x-nodeling"]]
    if "$ref" in schema or "anyOf" in schema:
        return "text" if "address" in str(schema) else "anything"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{word}`" for word in schema["enum"])
    kind = schema.get("type", "anything")
    return str(kind if isinstance(kind, str) else " or ".join(kind))


def manifest_keys() -> str:
    """The keys of a node's manifest."""
    return table(["Key", "Holds", "Meaning"], list(_properties(_manifest(), "")))


def _manifest() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(MANIFEST_SCHEMA.read_text(encoding="utf-8"))

    def opened(value: Any) -> Any:
        if not isinstance(value, dict):
            return {}
        if value.get("$ref") == "#/$defs/schema":
            value = {**value, "type": "a JSON Schema"}
        properties = {key: opened(inner) for key, inner in value.get("properties", {}).items()}
        items = {"items": opened(value["items"])} if "items" in value else {}
        return {**value, "properties": properties, **items}

    whole: dict[str, Any] = opened(schema)
    return whole


# -- code


def hooks() -> str:
    """Every hook, with its signature and what its docstring says."""
    sections = []
    for name, function in vars(nodeling.hookspecs).items():
        if name.startswith("nodeling_") and callable(function):
            text = (inspect.getdoc(function) or "").strip()
            sections.append(f"### `{name}{_signature(function)}`\n\n{text}")
    return "\n\n".join(sections)


def public_names() -> str:
    """Every name that `nodeling` exports."""
    rows = []
    for name in nodeling.__all__:
        value = getattr(nodeling, name)
        if inspect.isclass(value):
            kind = "exception" if issubclass(value, BaseException) else "class"
        elif callable(value):
            kind = "function"
        else:
            kind = "value"
        doc = inspect.getdoc(value) if kind != "value" else VALUES[name]
        rows.append([f"`{name}`", kind, (doc or "").partition("\n\n")[0]])
    return table(["Name", "Is a", "Meaning"], rows)


VALUES = {
    "__version__": "The version of the package.",
    "ctx": "The context, for references: `ctx.request.body.name` is written as `${ctx.request.body.name}`.",
}


def context_members() -> str:
    """What a node's context offers."""
    known = {
        "attempt": "Which attempt this is, from 1.",
        "config": "The step's `config`.",
        "env": "The environment variables that the manifest's `env` names.",
        "idempotency_key": "The same for all attempts of this step in this run.",
        "log": "`ctx.log(text, level, **data)`, and `.debug`, `.info`, `.warning`, `.error`.",
        "request": "What started the run: `body`, `headers`, `query`, `params`, `method`, `path`.",
        "run_id": "The run's id.",
        "secrets": "The secrets that the manifest names.",
        "step": "The step's path, as in `work/chunk-1`.",
        "vars": "The variables, as a mapping; each is decoded when it is first read.",
    }
    rows = [[f"`ctx.{name}`", text] for name, text in known.items()]
    for name, member in sorted(vars(nodeling.Context).items()):
        if name.startswith("_") or name in known:
            continue
        shown = name if isinstance(member, property) else f"{name}{_signature(member)}"
        doc = (inspect.getdoc(member) or "").partition("\n\n")[0]
        rows.append([f"`ctx.{shown}`", doc])
    return table(["Member", "Meaning"], rows)


def _signature(function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    wanted = [p for p in signature.parameters.values() if p.name != "self"]
    return str(signature.replace(parameters=wanted)).replace("'", "")


# -- errors


def errors(kind: type) -> str:
    """The error codes, integers or dotted words."""
    listed = json.loads(ERRORS.read_text(encoding="utf-8"))["errors"]
    rows = [
        [f"`{one['code']}`", one["meaning"], one["try"]] for one in listed if isinstance(one["code"], kind)
    ]
    return table(["Code", "Meaning", "What to do"], rows)


# -- conformance

FEATURES = {
    "L2": "the handshake, and all that needs it",
    "concurrent": "several calls at once in one process",
    "cancel": "a call is ended, and its siblings go on",
    "deadline": "a call whose time is over is not begun",
    "ping": "says that it lives, while it works too",
    "drain": "ends in order when it is asked to",
    "progress": "progress, at most ten reports a second",
    "log": "log lines with levels and data",
    "stream": "the output in parts",
    "credit": "waits when nobody takes the parts",
    "blob": "large values by reference, both ways",
    "codes": "error codes, retry and details of its own",
    "causes": "the chain of causes of an error",
    "traceback": "where an error came from",
    "redaction": "secrets masked in errors and logs",
    "context": "reads and writes the run's context",
    "metric": "figures beside the output",
    "named": "refuses calls of another node",
    "clear-channel": "what is printed, or read from stdin, never meets the channel",
    "strict-values": "refuses what other languages could not hold",
    "strict-envelope": "refuses frames that are not well formed",
}


def conformance_table() -> str:
    """What each SDK claims, by feature, and how many cases hold it to that."""
    known = languages()
    claims = {
        one.language: {
            claim for variant in one.capabilities["variants"].values() for claim in variant["claims"]
        }
        for one in known
    }
    cases = load_cases()
    rows = [["channels", *(", ".join(one.capabilities["channels"]) for one in known), "how it talks"]]
    for feature, meaning in FEATURES.items():
        marks = ["yes" if feature in claims[one.language] else "no" for one in known]
        rows.append([f"`{feature}`", *marks, meaning])
    counts = []
    for one in known:
        variants = [set(variant["claims"]) for variant in one.capabilities["variants"].values()]
        counts.append(
            str(sum(1 for case in cases if any(found.issuperset(case.needs) for found in variants)))
        )
    rows.append([f"cases of {len(cases)}", *counts, "those it claims, and is held to"])
    return table(["Feature", *(one.title for one in known), "Meaning"], rows)


def conformance_gaps() -> str:
    """What an SDK says of what it does not do."""
    rows = [
        [one.title, f"`{feature}`", why]
        for one in languages()
        for feature, why in one.capabilities.get("gaps", {}).items()
    ]
    return table(["SDK", "Feature", "Why"], rows)


PARTS: dict[str, Callable[[], str]] = {
    "command-line": command_line,
    "workflow-keys": workflow_keys,
    "settings-keys": settings_keys,
    "step-keys": step_keys,
    "container-keys": container_keys,
    "standard-nodes": standard_nodes,
    "manifest-keys": manifest_keys,
    "hooks": hooks,
    "public-names": public_names,
    "context-members": context_members,
    "conformance-table": conformance_table,
    "conformance-gaps": conformance_gaps,
    "number-codes": lambda: errors(int),
    "word-codes": lambda: errors(str),
}
