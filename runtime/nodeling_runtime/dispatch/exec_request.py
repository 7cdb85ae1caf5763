"""What a program is given: its stdin and its environment.

Invariant: the environment starts empty, so a program sees of the host's only what its manifest
names; secrets travel on stdin alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import orjson

from nodeling_runtime.dispatch.base import NodeCall
from nodeling_runtime.dispatch.exec_folders import CallFolders
from nodeling_runtime.dispatch.exec_result import Refused
from nodeling_runtime.dispatch.marked import MARK_VARIABLE


def environment(call: NodeCall, folders: CallFolders, mark: str) -> dict[str, str]:
    """The whole environment of the program."""
    host = os.environ
    env = {
        "PATH": host.get("PATH", os.defpath),
        "HOME": folders.home,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": host.get("TZ", "UTC"),
        "TMPDIR": folders.tmp,
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }
    env.update((name, host[name]) for name in call.spec.manifest.env if name in host)
    # A run inside a program of another run stays findable by the outer one's mark.
    outer = host.get(MARK_VARIABLE)
    env.update(
        {
            "NODELING": "1",
            MARK_VARIABLE: f"{outer}.{mark}" if outer else mark,
            "NODELING_RESULT_FILE": folders.result_file,
            "NODELING_RUN_ID": call.run_id,
            "NODELING_STEP": call.step,
            "NODELING_ATTEMPT": str(call.attempt),
            "NODELING_IDEMPOTENCY_KEY": call.idempotency_key(),
            "NODELING_WORK_DIR": folders.work,
            "NODELING_BLOB_DIR": folders.blobs.path,
        }
    )
    return env


def stdin_of(call: NodeCall, folders: CallFolders) -> bytes | None:
    """The bytes for stdin; None for the null device.

    Raises:
        Refused: the manifest asks for text and the inputs hold none.
    """
    kind = call.spec.manifest.runtime.stdin
    if kind == "none":
        return None
    if kind == "json":
        return call.inputs.data + b"\n"
    if kind == "text":
        return _text(call)
    return orjson.dumps(_params(call, folders), default=_plain) + b"\n"


def _text(call: NodeCall) -> bytes:
    found = call.inputs.shared()
    if isinstance(found, dict):
        found = found.get("text")
    if isinstance(found, str):
        return found.encode("utf-8")
    pointer = "/text" if call.inputs.is_object else ""
    raise Refused.of(
        4001,
        f"{call.spec.name} takes text on its stdin, and the inputs hold no string at `text`; "
        "pass `text`, or set `stdin: json` in its manifest",
        details={"pointer": pointer},
    )


def _params(call: NodeCall, folders: CallFolders) -> dict[str, Any]:
    context: dict[str, Any] = {
        "run_id": call.run_id,
        "step": call.step,
        "attempt": call.attempt,
        "idempotency_key": call.idempotency_key(),
        "work_dir": folders.work,
    }
    context.update(_readable(call))
    return {
        "node": call.spec.name,
        "input": orjson.Fragment(call.inputs.data),
        "config": call.config,
        "secrets": call.secrets,
        "context": context,
        "deadline": None if call.deadline is None else round(call.deadline * 1000),
    }


def _readable(call: NodeCall) -> dict[str, dict[str, orjson.Fragment]]:
    """`vars` and `request` as far as the manifest's `reads` asks for them."""
    found: dict[str, dict[str, orjson.Fragment]] = {}
    for wanted in call.spec.manifest.reads or ():
        part, _, name = wanted.partition(".")
        if part == "vars":
            names = call.source.keys() if name == "*" else [name]
            read = {name: call.source.read(name) for name in names}
        elif part == "request" and name:
            read = {name: call.source.part(wanted)}
        else:
            continue
        into = found.setdefault(part, {})
        into.update((name, orjson.Fragment(data)) for name, data in read.items() if data is not None)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")
