"""Whether a node folder holds what its manifest speaks of.

Files are looked for, commands are compiled; code is never imported here. What a `@node` function
declares is asked of a process of its own, and only when somebody wants to know.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nodeling.errors import Fault, nearest
from nodeling_runtime.documents.reader import Document, read_document
from nodeling_runtime.node_files import MANIFEST
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.toolchains.catalogue import IN_PROCESS
from nodeling_runtime.toolchains.command import CommandFault, compile_command

ASKING_SECONDS = 60.0  # importing a node may build caches; a hung import must not hang the check
SPOKEN = ("description", "title", "example", "examples", "default", "$comment")
NAMES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def implementation_faults(spec: NodeSpec) -> list[Fault]:
    """What the folder lacks, or holds in a wrong form."""
    if spec.folder is None or spec.cannot_run is not None:
        return []
    document = read_document(spec.folder / MANIFEST)
    return [*_entry_faults(spec, spec.folder, document), *_command_faults(spec, document)]


def _entry_faults(spec: NodeSpec, folder: Path, document: Document) -> Iterator[Fault]:
    runtime = spec.manifest.runtime
    if runtime.type == IN_PROCESS:
        wanted = runtime.entry if runtime.entry.endswith(".py") else None
    else:
        program = runtime.command[0] if runtime.command else ""
        wanted = program if program.startswith("./") else None
        if not runtime.command and _is_file(spec):
            wanted = spec.entry
    if wanted is None or (folder / wanted).is_file():
        return
    near = nearest(wanted, [path.name for path in folder.iterdir() if path.is_file()])
    hint = f"did you mean {near!r}?" if near else "`runtime.entry` names the file that holds the node"
    yield document.fault("manifest.entry", f"the folder holds no {wanted!r}", "/runtime/entry", hint=hint)


def _is_file(spec: NodeSpec) -> bool:
    """Whether the entry is a file's name: some languages take a module or a class too."""
    usual = spec.toolchain.entry if spec.toolchain is not None else ""
    return bool(usual) and Path(spec.entry).suffix in ("", Path(usual).suffix)


def _command_faults(spec: NodeSpec, document: Document) -> Iterator[Fault]:
    runtime = spec.manifest.runtime
    if runtime.type == IN_PROCESS or not runtime.command:
        return
    try:
        compile_command(runtime.command)
    except CommandFault as fault:
        yield document.fault("manifest.command", str(fault), fault.pointer)


def code_faults(spec: NodeSpec) -> list[Fault]:
    """Where a manifest and the `@node` function behind it say different things."""
    if spec.folder is None or spec.manifest.runtime.type != IN_PROCESS or spec.cannot_run is not None:
        return []
    document = read_document(spec.folder / MANIFEST)
    said = declared(spec.folder)
    if "error" in said:
        return [document.fault("manifest.code", f"its code does not load: {said['error']}", "/runtime/entry")]
    faults = []
    for key, value in said["document"].items():
        if key not in said["explicit"] or same_declaration(document.data.get(key), value):
            continue
        faults.append(
            document.fault(
                "manifest.code",
                f"`{key}` is not what the code declares: {_brief(value)}",
                f"/{key}",
                hint=f"`nodectl schema --write {spec.name}` writes what the code says",
            )
        )
    return faults


def declared(folder: Path) -> dict[str, Any]:
    """What the code of a node folder declares: `document` and its `explicit` keys, or an `error`.

    The code runs in a process of its own. Without a `@node` function both are empty.
    """
    command = [sys.executable, "-m", "nodeling_runtime.code_manifest", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 (our own module, in our own interpreter)
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=ASKING_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"it was still loading after {ASKING_SECONDS:.0f} s"}
    last = done.stdout.splitlines()[-1:] or [""]
    try:
        found: dict[str, Any] = json.loads(last[0])
    except ValueError:
        words = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return {"error": words[0]}
    return found


def same_declaration(one: Any, other: Any) -> bool:
    """Whether two parts of a manifest mean the same, whatever their descriptions say."""
    return bool(_bare(one) == _bare(other))


def _bare(value: Any, *, names: bool = False) -> Any:
    """A schema without what only readers look at; keys that are names of properties stay."""
    if isinstance(value, Mapping):
        kept = {
            key: _bare(item, names=not names and key in NAMES)
            for key, item in value.items()
            if names or key not in SPOKEN
        }
        if not names and isinstance(kept.get("required"), list):
            kept["required"] = sorted(kept["required"], key=str)
        return kept
    return [_bare(item) for item in value] if isinstance(value, list) else value


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}…"
