"""What of a Go or a Java node's folder is built, and what starts its process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodeling.manifest import Manifest
from nodeling.toolchain import SourceNode
from nodeling_runtime.toolchains.languages.go import Go
from nodeling_runtime.toolchains.languages.java import Java

PROGRAMS = {"java": "/jdk/java"}


def node(folder: Path, files: list[str], entry: str, built: Path | None = None, **more: Any) -> SourceNode:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    data = {"name": "geo", "version": "1.2.0", "runtime": {"type": "runtime.go", "concurrency": 3}, **more}
    return SourceNode(Manifest.from_data(data), folder, entry, PROGRAMS, built)


def below(folder: Path, paths: Any) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def test_gos_tests_and_pages_are_not_built(tmp_path: Path) -> None:
    files = ["main.go", "main_test.go", "go.mod", "README.md", "nodeling/worker.go", "data/words.txt"]
    found = Go().sources(node(tmp_path, files, "main.go"))
    assert below(tmp_path, found) == ["data/words.txt", "go.mod", "main.go", "nodeling/worker.go"]


def test_a_go_program_is_told_what_its_manifest_says(tmp_path: Path) -> None:
    source = node(tmp_path, [], "main.go", built=tmp_path, reads=["vars.a", "request"])
    wanted = ["--name=geo", "--version=1.2.0", "--concurrency=3", "--reads=vars.a,request"]
    assert list(Go().command(source)) == [str(tmp_path / "node"), *wanted]


MAVEN = ["src/main/java/com/acme/Node.java", "src/main/resources/words.txt", "src/test/java/NodeTest.java"]


@pytest.mark.parametrize(
    ("files", "entry", "sources", "main"),
    [
        (
            [*MAVEN, "pom.xml", "lib/a.jar"],
            MAVEN[0],
            ["lib/a.jar", "src/main/java/com/acme/Node.java", "src/main/resources/words.txt"],
            "com.acme.Node",
        ),
        (
            ["Node.java", "nodeling/Call.java", "config.json"],
            "Node.java",
            ["Node.java", "nodeling/Call.java"],
            "Node",
        ),
    ],
)
def test_java_is_laid_out_as_maven_has_it_or_flat(
    tmp_path: Path, files: list[str], entry: str, sources: list[str], main: str
) -> None:
    source = node(tmp_path, files, entry, built=tmp_path / "built")
    assert below(tmp_path, Java().sources(source)) == sources
    assert main in Java().command(source)


def test_a_jvm_with_a_memory_limit_keeps_its_heap_below_it(tmp_path: Path) -> None:
    built = tmp_path / "built"
    assert not any(word.startswith("-Xmx") for word in Java().command(node(tmp_path, [], "Node.java", built)))
    limited = node(tmp_path, [], "Node.java", built, limits={"memory_mb": 200})
    assert "-Xmx150m" in Java().command(limited)


def test_an_archive_is_used_only_where_it_still_is(tmp_path: Path) -> None:
    built, kept = tmp_path / "built", tmp_path / "kept"
    source = node(tmp_path, ["built/node.jar", "lib/a.jar", "kept/nodeling.jar"], "Node.java", built)
    (built / "archived").write_text(str(kept), encoding="utf-8")
    plain = f"{built / 'node.jar'}:{tmp_path / 'lib/a.jar'}"
    assert plain in Java().command(source)
    (kept / "nodeling.jsa").touch()
    command = Java().command(source)
    assert f"-XX:SharedArchiveFile={kept / 'nodeling.jsa'}" in command
    assert f"{kept / 'nodeling.jar'}:{plain}" in command
