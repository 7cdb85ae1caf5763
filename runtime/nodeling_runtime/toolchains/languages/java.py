"""`runtime.java`: a class with a `main`, compiled into a jar; its SDK's classes archived for a fast start."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from nodeling.sdk_files import sdk_file
from nodeling.toolchain import Job, Program, SourceNode, Toolchain, files_below
from nodeling_runtime.toolchains.languages.options import worker_options

MAVEN = PurePosixPath("src/main")
JAR, LAUNCHER = "node.jar", "launch.sh"
ARCHIVED = "archived"  # a file that names the folder of the SDK's archived classes
SDK_JAR, SDK_ARCHIVE = "nodeling.jar", "nodeling.jsa"
RELEASE = "17"
JDK = "default-jdk-headless"
# One collector thread fits a small process; an archive of another JVM is ignored, and not worth a warning.
OPTIONS = ("-XX:+UseSerialGC", "-Xshare:auto", "-Xlog:disable", "-Xlog:all=error:stderr")


class Java(Toolchain):
    """Java nodes in processes of their own."""

    type = "runtime.java"
    title = "Java"
    entry = "src/main/java/Node.java"
    needs = (Program("java", "default-jre-headless"),)
    build_needs = (Program("javac", JDK), Program("jar", JDK), Program("java", JDK))
    channel = "fd"
    revision = 2

    def sources(self, node: SourceNode) -> Sequence[Path]:
        """The classes, their resources and the jars in `lib`; tests and Maven's own files are not built."""
        root, resources = _roots(node)
        found = files_below(root)
        if root == node.folder:
            found = [path for path in found if path.suffix in (".java", ".jar")]
        return sorted({*found, *(files_below(resources) if resources else ()), *_jars(node)})

    def build(self, job: Job) -> None:
        """Compile every class below the entry's root; the jars in `lib` are on the class path."""
        node, classes = job.node, job.out / "classes"
        root, resources = _roots(node)
        jars = _jars(node)
        found = [str(path) for path in files_below(root) if path.suffix == ".java"]
        path = ("-cp", os.pathsep.join(map(str, jars))) if jars else ()
        options = ("--release", RELEASE, "-encoding", "UTF-8", "-Xlint:all,-options,-serial,-processing")
        job.run(node.program("javac"), *options, *path, "-d", str(classes), *found)
        more = ("-C", str(resources), ".") if resources else ()
        job.run(node.program("jar"), "--create", "--file", str(job.out / JAR), "-C", str(classes), ".", *more)
        shutil.copyfile(sdk_file("java", LAUNCHER), job.out / LAUNCHER)
        if (classes / "nodeling" / "Training.class").is_file():
            (job.out / ARCHIVED).write_text(str(_archive(job, classes)), encoding="utf-8")
        shutil.rmtree(classes)

    def command(self, node: SourceNode) -> Sequence[str]:
        """The JVM, behind a script that keeps the channel out of the node's reach."""
        root, _ = _roots(node)
        main = (node.folder / node.entry).relative_to(root).with_suffix("")
        memory = node.manifest.limits.get("memory_mb")
        # The heap leaves room for the rest of a JVM: what it would take beyond the limit is a kill.
        heap = (f"-Xmx{max(16, int(memory) * 3 // 4)}m",) if memory else ()
        ahead, archive = _archived(node)
        return (
            "/bin/sh",
            str(node.built_file(LAUNCHER)),
            node.program("java"),
            *OPTIONS,
            *archive,
            *heap,
            "-cp",
            os.pathsep.join(map(str, (*ahead, node.built_file(JAR), *_jars(node)))),
            ".".join(main.parts),
            *worker_options(node),
        )


def _roots(node: SourceNode) -> tuple[Path, Path | None]:
    """Where the packages begin, and where the resources are: as Maven has it, or the node's folder."""
    if not PurePosixPath(node.entry).is_relative_to(MAVEN / "java"):
        return node.folder, None
    resources = node.folder / MAVEN / "resources"
    return node.folder / MAVEN / "java", resources if resources.is_dir() else None


def _jars(node: SourceNode) -> list[Path]:
    return sorted((node.folder / "lib").glob("*.jar"))


def _archive(job: Job, classes: Path) -> Path:
    """The folder that holds the SDK's classes as the JVM maps them: one for all nodes with the same SDK.

    A JVM takes an archive only with the very jar it was made of, at the same place, so it is made where it
    stays. The node's own jar holds these classes too, for when that folder is gone.
    """
    state = hashlib.sha256()
    for path in files_below(classes / "nodeling"):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    home = job.cache / f"sdk-{state.hexdigest()[:16]}"
    if not (home / SDK_ARCHIVE).is_file():
        home.mkdir(exist_ok=True)
        jar, archive = job.out / SDK_JAR, job.out / SDK_ARCHIVE
        job.run(job.node.program("jar"), "--create", "--file", str(jar), "-C", str(classes), "nodeling")
        with contextlib.suppress(FileExistsError):  # another builder was faster
            os.link(jar, home / SDK_JAR)
        jar.unlink()
        dump = f"-XX:ArchiveClassesAtExit={archive}"
        training = (*OPTIONS, dump, "-cp", str(home / SDK_JAR), "nodeling.Training")
        job.run(job.node.program("java"), *training)
        archive.replace(home / SDK_ARCHIVE)
    return home


def _archived(node: SourceNode) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """What stands first on the class path, and the option that goes with it; nothing where it is gone."""
    mark = node.built_file(ARCHIVED)
    if not mark.is_file():
        return (), ()
    home = Path(mark.read_text(encoding="utf-8"))
    if not ((home / SDK_JAR).is_file() and (home / SDK_ARCHIVE).is_file()):
        return (), ()
    return (home / SDK_JAR,), (f"-XX:SharedArchiveFile={home / SDK_ARCHIVE}",)
