"""`runtime.bash`: a script, run once for each call unless it says that it speaks the protocol."""

from __future__ import annotations

from collections.abc import Sequence

from nodeling.toolchain import Program, SourceNode, Toolchain


class Bash(Toolchain):
    """Scripts for bash."""

    type = "runtime.bash"
    entry = "node.sh"
    needs = (Program("bash", "bash"),)
    protocol = "exec"

    def command(self, node: SourceNode) -> Sequence[str]:
        """The shell that stands first on PATH, and the script."""
        return ("bash", node.entry)
