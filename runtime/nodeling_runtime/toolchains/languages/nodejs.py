"""`runtime.nodejs`: a JavaScript file whose default export is the node.

The SDK that serves it is the copy in the node's own folder where there is one, so that a node runs with
what it was written against; else the one that came with this installation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nodeling.sdk_files import sdk_file
from nodeling.toolchain import Program, SourceNode, Toolchain

NODE = Program("node", "nodejs", also=("nodejs",))
SDK = "nodeling.mjs"


class NodeJs(Toolchain):
    """JavaScript nodes in processes of their own."""

    type = "runtime.nodejs"
    title = "JavaScript"
    entry = "node.mjs"
    needs = (NODE,)
    channel = "fd"

    def command(self, node: SourceNode) -> Sequence[str]:
        """Node with the SDK, which loads the entry."""
        return serving(node, sdk_of(node.folder), node.folder, node.entry)


def sdk_of(folder: Path) -> Path:
    """The SDK's file that serves a node."""
    own = folder / SDK
    return own if own.is_file() else sdk_file("javascript", SDK)


def serving(node: SourceNode, sdk: Path, folder: Path, entry: str) -> tuple[str, ...]:
    """The arguments that serve `entry` of a folder."""
    manifest = node.manifest
    options = {
        "--folder": str(folder),
        "--entry": entry,
        "--name": manifest.name,
        "--version": str(manifest.version),
        "--concurrency": str(manifest.runtime.concurrency or ""),
        "--reads": ",".join(manifest.reads or ()),
        "--env": ",".join(manifest.env),
    }
    return (node.program("node"), str(sdk), *(f"{name}={value}" for name, value in options.items() if value))
