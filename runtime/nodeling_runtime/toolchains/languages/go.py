"""`runtime.go`: a package main, built by the go command into one program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from nodeling.toolchain import Job, Program, SourceNode, Toolchain, files_below
from nodeling_runtime.toolchains.languages.options import worker_options

BINARY = "node"


class Go(Toolchain):
    """Go nodes in processes of their own."""

    type = "runtime.go"
    title = "Go"
    entry = "main.go"
    build_needs = (Program("go", "golang-go", folders=("/usr/local/go/bin", "~/go/bin")),)
    channel = "fd"

    def sources(self, node: SourceNode) -> Sequence[Path]:
        """The module, but for its tests and pages."""
        return [path for path in files_below(node.folder) if not path.name.endswith(("_test.go", ".md"))]

    def build(self, job: Job) -> None:
        """Compile the package of the entry; what it needs is taken from the user's own Go caches."""
        package = PurePosixPath(job.node.entry).parent
        flags = ("-trimpath", "-buildvcs=false", "-o", str(job.out / BINARY))
        has_cache = any(name in os.environ for name in ("GOCACHE", "XDG_CACHE_HOME", "HOME"))
        env = {} if has_cache else {"GOCACHE": str(job.cache)}
        job.run(job.node.program("go"), "build", *flags, f"./{package}", env=env)

    def command(self, node: SourceNode) -> Sequence[str]:
        """The program, told what its manifest says."""
        return (str(node.built_file(BINARY)), *worker_options(node))
