"""What runs in a worker on behalf of nodes that hold code as text, and what has to be known of such text.

The texts themselves go in as data; no process but the worker's ever compiles them.
"""

from __future__ import annotations

import ast
import builtins
import symtable

from nodeling.errors import ConfigError

__all__ = ["FILE_OPERATIONS", "PROCESS_FILES", "TRANSFORM", "free_names", "gives", "mentioned"]

TRANSFORM = """\
scope = {**inputs["more"], "data": inputs["data"]}
result = inputs["data"]
for number, text in enumerate(inputs["transformations"], 1):
    scope["result"] = result
    try:
        made = compile(text.strip(), f"<transformation {number}>", "eval")
    except SyntaxError:
        exec(compile(text, f"<transformation {number}>", "exec"), scope)
        result = scope["result"]
        continue
    value = eval(made, scope)
    if not callable(value):
        result = value
    elif isinstance(result, list):
        result = [value(item) for item in result]
    else:
        result = value(result)
"""

PROCESS_FILES = """\
import hashlib, json, pathlib
known = {
    "read": lambda data: data.decode("utf-8"),
    "json": lambda data: json.loads(data),
    "lines": lambda data: len(data.decode("utf-8").splitlines()),
    "words": lambda data: len(data.decode("utf-8").split()),
    "size": len,
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
}
process = inputs.get("process")
if process is not None:
    made = eval(process, {})
    work = lambda data: made(data.decode("utf-8"))
else:
    work = known[inputs["operation"]]
wanted = inputs["files"]
result = []
for entry in [wanted] if isinstance(wanted, (str, dict)) else wanted:
    path = entry["path"] if isinstance(entry, dict) else entry
    result.append({"file": path, "value": work(pathlib.Path(path).read_bytes())})
"""
FILE_OPERATIONS = ("read", "json", "lines", "words", "size", "sha256")


def gives(code: str) -> str | list[str]:
    """What is the output of some lines: the variable `result`, or every one that they set at their top.

    Raises:
        ConfigError: They are no Python.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}: " if line else ""
        said = getattr(error, "msg", None) or str(error)
        raise ConfigError(f"the code is no Python: {where}{said}", code="kailash.code") from error
    symbols = symtable.symtable(code, "<code>", "exec").get_symbols()
    if any(one.get_name() == "result" and one.is_assigned() for one in symbols):
        return "result"
    top = [
        node.id
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and not node.id.startswith("_")
    ]
    return list(dict.fromkeys(top)) or "result"


def mentioned(code: str) -> set[str] | None:
    """The names that some lines mention; None where they may look up any."""
    try:
        tree = ast.parse(code.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return None if found & {"locals", "globals", "vars", "dir", "inputs", "eval", "exec"} else found


def free_names(code: str) -> list[str]:
    """The names that some lines read and that nothing in them sets; none where they are no Python."""
    try:
        top = symtable.symtable(code, "<code>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    given = {
        symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    }
    found = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    waiting = list(top.get_children())
    while waiting:
        table = waiting.pop()
        waiting.extend(table.get_children())
        found |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_global() and symbol.is_referenced()
        }
        given |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_declared_global() and symbol.is_assigned()
        }
    return sorted(found - given - set(dir(builtins)) - {"inputs", "__name__", "__builtins__"})
