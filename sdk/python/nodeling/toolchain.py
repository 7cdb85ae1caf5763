"""How the nodes of a language are found, built and launched: what a toolchain plugin gives.

A toolchain is a class with a type, the programs it needs, and one method that says how a node's process
is started. A language whose nodes are compiled says that too:

    from nodeling.hookspecs import hookimpl
    from nodeling.toolchain import Job, Program, SourceNode, Toolchain

    class Pascal(Toolchain):
        type = "runtime.pascal"
        entry = "node.pas"
        build_needs = (Program("fpc", "fp-compiler"),)

        def build(self, job: Job) -> None:
            job.run(job.node.program("fpc"), f"-o{job.out / 'node'}", job.node.entry)

        def command(self, node: SourceNode) -> list[str]:
            return [str(node.built_file("node"))]

    @hookimpl
    def nodeling_register_toolchains(register):
        register(Pascal())

Finding programs, hashing sources, locking, caching, bounds and messages are the runtime's. The languages
that nodeling knows by itself come through the same door.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from nodeling._dataclass import dataclass
from nodeling.manifest import Manifest

__all__ = ["Job", "Program", "SourceNode", "Toolchain", "files_below"]

NOT_SOURCES = ("__pycache__", "node_modules", "target", "build", "dist")


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a language needs."""

    name: str
    package: str  # what `apt-get install` calls it
    also: tuple[str, ...] = ()  # other names it goes by
    folders: tuple[str, ...] = ()  # where it is looked for beside PATH; `~` is the user's home


@dataclass(frozen=True, slots=True)
class SourceNode:
    """A node as a toolchain sees it."""

    manifest: Manifest
    folder: Path  # where its files are; a toolchain only reads there
    entry: str  # `runtime.entry`, or what the language takes without one
    programs: Mapping[str, str] = field(default_factory=dict)  # those that are needed: their absolute paths
    built: Path | None = None  # what `build` made, once it has
    kept: Path = Path()  # a folder of the project (or the user) in which things may be kept

    def program(self, name: str) -> str:
        """The absolute path of a program that the toolchain needs."""
        return self.programs[name]

    def built_file(self, name: str) -> Path:
        """A file that `build` made.

        Raises:
            LookupError: The node is not built.
        """
        if self.built is None:
            raise LookupError(f"{self.manifest.name} is not built")
        return self.built / name


class Job(Protocol):
    """One build under way."""

    @property
    def node(self) -> SourceNode:
        """The node, with the programs of `build_needs`."""

    @property
    def out(self) -> Path:
        """An empty folder; what is in it at the end is the build."""

    @property
    def cache(self) -> Path:
        """A folder shared by all builds of the language, some of which may run at the same moment."""

    def run(self, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run a tool, in the node's folder unless `cwd` says otherwise; `env` is added to the environment.

        A tool that fails ends the build, and its output becomes the error.
        """


class Toolchain:
    """A language: subclass it, set the attributes, and register an instance."""

    type: ClassVar[str]  # `runtime.<language>`: small letters and digits
    title: ClassVar[str] = ""  # the language's name for readers; without one, the type's last part
    entry: ClassVar[str] = ""  # the file a manifest means when it names none
    needs: ClassVar[tuple[Program, ...]] = ()  # to run a node
    build_needs: ClassVar[tuple[Program, ...]] = ()  # to build one; not asked for once it is built
    channel: ClassVar[Literal["fd", "stdio"]] = "stdio"
    protocol: ClassVar[Literal["nsp", "exec"]] = "nsp"
    is_patient: ClassVar[bool] = False  # a process runs nothing of its node before its host's first frame
    revision: ClassVar[int] = 1  # raise it when `build` begins to make something else of the same files

    def sources(self, node: SourceNode) -> Sequence[Path]:
        """The files that a build depends on; without any, this node is not built at all.

        By default: for a class with `build`, every file of the folder but hidden and generated ones and
        its README; for the others none.
        """
        if type(self).build is Toolchain.build:
            return ()
        return [path for path in files_below(node.folder) if path.name != "README.md"]

    def stamp(self, node: SourceNode) -> str:
        """What else a build depends on, such as the version of the interpreter it is made for."""
        return ""

    def build(self, job: Job) -> None:
        """Make in `job.out` what `command` launches."""
        raise TypeError(f"{type(self).__name__} builds nothing: it does not define `build`")

    def command(self, node: SourceNode) -> Sequence[str]:
        """The arguments of a node's process, the program first; it runs in the node's folder."""
        raise TypeError(f"{type(self).__name__} does not define `command`")

    def environment(self, node: SourceNode) -> Mapping[str, str]:
        """Variables the process needs beyond those that every worker gets."""
        return {}


def files_below(folder: Path) -> list[Path]:
    """The files of a node's folder in a stable order, without hidden and generated ones."""
    found: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in NOT_SOURCES)
        found.extend(Path(parent, name) for name in sorted(files) if name[0] != ".")
    return found
