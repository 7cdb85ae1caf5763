"""JavaScript that cannot be lowered, as a call of a function that runs it somewhere else.

The call's arguments are the script and the paths of the scope that it names, so the checker sees what is
read. Nothing is evaluated here; who runs the script is an entry of the function table.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from nodeling_runtime.expressions.compiler import Expression, compile_expression
from nodeling_runtime.expressions.functions import FunctionTable
from nodeling_runtime.expressions.words import SCRIPT

__all__ = ["compile_foreign"]

_ROOT = re.compile(r"(?<![\w$.])(ctx|data|vars)(?![\w$])((?:\s*\??\.\s*[A-Za-z_]\w*)*)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_AT = {"ctx": ("ctx",), "data": ("ctx", "response", "data"), "vars": ("ctx", "vars")}
_PARTS = (
    "vars",
    "request",
    "response",
    "config",
    "env",
    "run",
    "error",
)  # members of ctx worth telling apart


def compile_foreign(source: str, functions: FunctionTable) -> Expression:
    """Compile a script for the function table's engine."""
    entries = [_entry(path) for path in _paths(source)]
    call = f"{SCRIPT}({json.dumps(source)}, [{', '.join(entries)}])"
    return replace(compile_expression(call, functions), source=source)


def _entry(path: tuple[str, ...]) -> str:
    """`[path, [value]]`, or `[path, []]` where the scope has no such value."""
    dotted = ".".join(path)
    value = f"[{dotted}]" if len(path) == 1 else f"has({dotted}) ? [{dotted}] : []"
    return f"[{json.dumps(list(path))}, {value}]"


def _paths(source: str) -> list[tuple[str, ...]]:
    """What of the scope a script names, as far as its text shows; a longer path stands in a shorter one."""
    found = {_read(match.group(1), match.group(2)) for match in _ROOT.finditer(source)}
    return sorted(path for path in found if not any(path[:size] in found for size in range(1, len(path))))


def _read(root: str, members: str) -> tuple[str, ...]:
    path = (*_AT[root], *_WORD.findall(members))
    if root == "data":
        return _AT[root]
    if len(path) == 1 or path[1] not in _PARTS:
        return ("ctx",)
    return path[:3] if path[1] == "vars" else path[:2]
