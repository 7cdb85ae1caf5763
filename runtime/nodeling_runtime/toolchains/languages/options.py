"""What the SDKs that take it on their command line are told of a node's manifest."""

from __future__ import annotations

from nodeling.toolchain import SourceNode


def worker_options(node: SourceNode) -> list[str]:
    """The options of a worker: what the manifest leaves open is left to the SDK."""
    manifest = node.manifest
    options = {
        "--name": manifest.name,
        "--version": str(manifest.version),
        "--concurrency": str(manifest.runtime.concurrency or ""),
        "--reads": ",".join(manifest.reads or ()),
    }
    return [f"{name}={value}" for name, value in options.items() if value]
