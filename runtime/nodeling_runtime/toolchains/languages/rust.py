"""`runtime.rust`: a crate whose binary is the node, built by cargo in release mode.

Cargo writes into the crate it builds (`Cargo.lock`), and a node's folder is only read, so the crate is built
in a copy that is kept: rebuilding after a change compiles that change. Crates that many nodes use are
compiled once for all of them, where cargo can keep what it builds apart from what it gives (from 1.91 on).
"""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodeling.errors import PluginError
from nodeling.toolchain import Job, Program, SourceNode, Toolchain, files_below

MANIFEST = "Cargo.toml"
LOCK = "Cargo.lock"
SETTINGS = ".cargo/config.toml"
BINARY = "node"


class Rust(Toolchain):
    """Rust nodes in processes of their own."""

    type = "runtime.rust"
    title = "Rust"
    entry = MANIFEST
    build_needs = (
        Program("cargo", "cargo", folders=("~/.cargo/bin",)),
        Program("rustc", "rustc", folders=("~/.cargo/bin",)),
        Program("cc", "gcc", also=("gcc", "clang")),
    )
    channel = "fd"

    def sources(self, node: SourceNode) -> Sequence[Path]:
        """The crate, with the settings for cargo that stand in a hidden folder.

        Its pages too: a crate may take them in as its documentation.
        """
        settings = node.folder / SETTINGS
        crate = files_below(node.folder)
        return [*crate, settings] if settings.is_file() else crate

    def build(self, job: Job) -> None:
        """Compile the crate, and keep its binary alone."""
        folder = job.node.folder
        place = (
            job.cache
            / "nodes"
            / hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        )
        crate, target = place / "crate", place / "target"
        name = _binary_of(job.node)
        _mirror(self.sources(job.node), folder, crate)
        job.run(
            job.node.program("cargo"),
            *("build", "--release", "--bin", name, "--manifest-path", str(crate / job.node.entry)),
            *("--target-dir", str(target)),
            cwd=crate,
            env={
                "CARGO_BUILD_BUILD_DIR": str(job.cache / "target"),
                "CARGO_TERM_COLOR": "never",
                "CARGO_TERM_PROGRESS_WHEN": "never",
                "RUSTC": job.node.program("rustc"),
            },
        )
        shutil.copy2(target / "release" / name, job.out / BINARY)

    def command(self, node: SourceNode) -> Sequence[str]:
        """The binary, told what its manifest says."""
        manifest = node.manifest
        options = {
            "--name": manifest.name,
            "--version": str(manifest.version),
            "--concurrency": str(manifest.runtime.concurrency or ""),
            "--reads": ",".join(manifest.reads or ()),
        }
        given = (f"{name}={value}" for name, value in options.items() if value)
        return (str(node.built_file(BINARY)), *given)


def _binary_of(node: SourceNode) -> str:
    """The one binary that a crate makes."""
    path = node.folder / node.entry
    try:
        about: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _fault(node, f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _fault(node, f"{path} is no TOML: {error}") from error
    package = about.get("package", {})
    binaries = [binary["name"] for binary in about.get("bin", ()) if "name" in binary]
    if len(binaries) > 1 and package.get("default-run") not in binaries:
        raise _fault(node, f"{path} makes {len(binaries)} binaries, and `default-run` names none of them")
    name = package.get("default-run") or (binaries or [package.get("name")])[0]
    if not isinstance(name, str) or not name:
        raise _fault(node, f"{path} has no [package] with a name")
    return name


def _fault(node: SourceNode, what: str) -> PluginError:
    return PluginError(f"{node.manifest.name} could not be built: {what}", code="toolchain.build")


def _mirror(files: Sequence[Path], folder: Path, crate: Path) -> None:
    """Make `crate` hold these files and nothing else.

    What has not changed is not written: cargo goes by the times of files, and a restored old file is new
    to it. The lock file that cargo made there stays, where the node brings none of its own.
    """
    wanted = {path.relative_to(folder) for path in files}
    for path in files_below(crate):
        inside = path.relative_to(crate)
        if inside not in wanted and inside != Path(LOCK):
            path.unlink()
    for inside in sorted(wanted):
        data, place = (folder / inside).read_bytes(), crate / inside
        if not place.is_file() or place.read_bytes() != data:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
