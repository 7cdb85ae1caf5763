"""`runtime.command`: any program; its manifest holds the command."""

from __future__ import annotations

from collections.abc import Sequence

from nodeling.toolchain import SourceNode, Toolchain


class AnyProgram(Toolchain):
    """Programs that nodeling knows nothing of."""

    type = "runtime.command"

    def command(self, node: SourceNode) -> Sequence[str]:
        """What the manifest says."""
        return node.manifest.runtime.command
