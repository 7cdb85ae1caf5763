"""`runtime.c`: the C files of a folder, compiled into one program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nodeling.toolchain import Job, Program, SourceNode, Toolchain, files_below
from nodeling_runtime.toolchains.languages.options import worker_options

BINARY = "node"
FLAGS = ("-std=c11", "-O2", "-g1", "-pthread")


class C(Toolchain):
    """C nodes in processes of their own."""

    type = "runtime.c"
    title = "C"
    entry = "node.c"
    build_needs = (Program("cc", "gcc libc6-dev", also=("gcc", "clang")),)
    channel = "fd"

    def sources(self, node: SourceNode) -> Sequence[Path]:
        """The files that a compiler looks at."""
        return [path for path in files_below(node.folder) if path.suffix in (".c", ".h")]

    def build(self, job: Job) -> None:
        """Compile every C file of the folder itself, the entry among them."""
        folder = job.node.folder
        files = sorted({job.node.entry, *(path.name for path in folder.glob("*.c"))})
        output = ("-o", str(job.out / BINARY))
        job.run(job.node.program("cc"), *FLAGS, *output, *files, "-lm")

    def command(self, node: SourceNode) -> Sequence[str]:
        """The program, told what its manifest says."""
        return (str(node.built_file(BINARY)), *worker_options(node))
