"""What `runtime.rust` does without a compiler: which files are the crate, and the copy that is built."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from nodeling.manifest import Manifest
from nodeling.toolchain import SourceNode
from nodeling_runtime.toolchains.languages.rust import Rust, _binary_of, _mirror

ROOT = Path(__file__).parents[4]


def node_in(folder: Path) -> SourceNode:
    manifest = Manifest.from_data({"name": "n", "version": "1.0.0", "runtime": {"type": "runtime.rust"}})
    return SourceNode(manifest, folder, "Cargo.toml")


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def crate_of(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()
    }


def test_the_copy_holds_the_crate_and_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    folder, crate = tmp_path / "node", tmp_path / "crate"
    write(
        folder,
        Cargo_toml="[package]",
        src__main_rs="one",
        src__old_rs="old",
        README_md="read",
        target__x="made",
    )
    write(folder / ".cargo", config_toml="[build]")
    _mirror(Rust().sources(node_in(folder)), folder, crate)
    wanted = {"Cargo.toml": "[package]", "README.md": "read", ".cargo/config.toml": "[build]"}
    wanted |= {"src/main.rs": "one", "src/old.rs": "old"}
    assert crate_of(crate) == wanted
    write(crate, Cargo_lock="versions")
    for path in crate.rglob("*"):
        os.utime(path, (1, 1))
    (folder / "src/old.rs").unlink()
    write(folder, src__main_rs="two")
    _mirror(Rust().sources(node_in(folder)), folder, crate)
    del wanted["src/old.rs"]
    assert crate_of(crate) == {**wanted, "src/main.rs": "two", "Cargo.lock": "versions"}
    assert (crate / "Cargo.toml").stat().st_mtime == 1
    assert (crate / "src/main.rs").stat().st_mtime > 1


def test_a_lock_file_of_the_nodes_own_takes_the_place_of_the_one_that_was_made(tmp_path: Path) -> None:
    folder, crate = tmp_path / "node", tmp_path / "crate"
    write(folder, Cargo_toml="[package]", Cargo_lock="own")
    write(crate, Cargo_lock="made")
    _mirror(Rust().sources(node_in(folder)), folder, crate)
    assert (crate / "Cargo.lock").read_text(encoding="utf-8") == "own"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[package]\nname = "a"\n', "a"),
        ('[package]\nname = "a"\n[[bin]]\nname = "b"\n', "b"),
        ('[package]\nname = "a"\ndefault-run = "c"\n[[bin]]\nname = "b"\n[[bin]]\nname = "c"\n', "c"),
    ],
)
def test_the_binary_is_the_one_that_cargo_would_run(tmp_path: Path, text: str, name: str) -> None:
    write(tmp_path, Cargo_toml=text)
    assert _binary_of(node_in(tmp_path)) == name


def test_the_crate_bears_the_packages_version() -> None:
    crate = tomllib.loads((ROOT / "sdk/rust/Cargo.toml").read_text(encoding="utf-8"))["package"]
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert crate["version"] == package["version"]
