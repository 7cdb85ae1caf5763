"""`nodectl build`: nodes made ready before a run needs them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeling.errors import NodelingError
from nodeling_runtime.cli.drive import drive
from nodeling_runtime.cli.failure import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE, SignalledError
from nodeling_runtime.cli.inputs import Folder
from nodeling_runtime.cli.output import print_json, talk
from nodeling_runtime.cli.words import complete_nodes

if TYPE_CHECKING:
    from nodeling_runtime.registry import NodeSpec
    from nodeling_runtime.toolchains.building import Note


@click.command("build")
@click.argument("nodes", nargs=-1, shell_complete=complete_nodes)
@click.option("--nodes", "folders", multiple=True, type=Folder(), help="More node folders.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(nodes: tuple[str, ...], folders: tuple[Path, ...], as_json: bool) -> int:
    """Build NODES: names, or folders with a config.json; without any, all nodes of the project.

    What is built already is left as it is. The exit code is 69 when only compilers are missing, and 1
    when a node does not build.
    """
    from nodeling_runtime.cli.test import chosen

    specs = [spec for spec in chosen(nodes, folders) if spec.runs_in != "inprocess"]
    entries = build(specs)
    if as_json:
        print_json({"ok": not _failed(entries), "nodes": entries})
    else:
        talk(_summary(entries))
    codes = {entry["error"]["code"] for entry in _failed(entries)}
    if not codes:
        return EXIT_OK
    return EXIT_UNAVAILABLE if codes == {"toolchain.missing"} else EXIT_FAILED


def build(specs: Sequence[NodeSpec]) -> list[dict[str, Any]]:
    """Build what is missing, telling of it, and say of each node how it stands."""
    from nodeling_runtime.toolchains.ahead import build_ahead, say

    before = {spec: _status(spec) for spec in specs}
    seconds: dict[str, float] = {}
    started = time.monotonic()

    def hear(note: Note) -> None:
        say(note)
        seconds[note.node] = time.monotonic() - started if note.kind == "waiting" else note.seconds

    driven = drive(lambda: build_ahead(specs, hear))
    if driven.signal is not None:
        raise SignalledError(driven.signal)
    return [_entry(spec, before[spec], driven.value.get(spec), seconds.get(spec.name, 0.0)) for spec in specs]


def _status(spec: NodeSpec) -> str:
    """`nothing` to build, `kept` from before, or `missing`."""
    from nodeling_runtime.toolchains.plan import plan_of

    try:
        plan = plan_of(spec)
    except NodelingError:
        return "missing"
    if plan.target is None:
        return "nothing"
    return "kept" if plan.is_ready else "missing"


def _entry(spec: NodeSpec, before: str, error: Any, seconds: float) -> dict[str, Any]:
    from nodeling_runtime.toolchains.plan import plan_of

    status = "failed" if error is not None else {"missing": "built"}.get(before, before)
    folder = None if error is not None else plan_of(spec).target
    return {
        "node": spec.name,
        "version": str(spec.manifest.version),
        "type": spec.manifest.runtime.type,
        "status": status,
        "seconds": round(seconds, 3),
        "folder": None if folder is None else str(folder),
        "error": None if error is None else error.to_json(),
    }


def _failed(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [entry for entry in entries if entry["error"] is not None]


def _summary(entries: Sequence[Mapping[str, Any]]) -> str:
    words = {"built": "built", "kept": "up to date", "nothing": "with nothing to build", "failed": "failed"}
    counts = {status: sum(1 for entry in entries if entry["status"] == status) for status in words}
    said = [f"{count} {words[status]}" for status, count in counts.items() if count]
    return ", ".join(said) or "no nodes that run in processes"
