"""`runtime.python3`: which interpreter runs a node, with which SDK, on which path.

The worker gets the `nodeling` package alone, in a copy: the folder it is installed in would bring the
runtime's own packages along. Invariant: a worker runs the SDK of its host, whatever else is installed,
and of the host's packages sees only what the interpreter itself would find.
"""

from __future__ import annotations

import hashlib
import os
import py_compile
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import nodeling
from nodeling.toolchain import Job, SourceNode, Toolchain
from nodeling_runtime.toolchains.languages.python_environment import (
    interpreter_of,
    make_environment,
    sources_of,
)

_NEVER_CHANGES = py_compile.PycInvalidationMode.UNCHECKED_HASH  # another state has a folder of its own
# The copy stands first while the package is looked up, and last for whatever the node imports.
_BOOT = (
    "import sys; p = sys.argv.pop(1); sys.path.insert(0, p); import nodeling; "
    "sys.path.remove(p); sys.path.append(p); from nodeling.worker import main; sys.exit(main())"
)


class Python(Toolchain):
    """Python nodes in processes of their own."""

    type = "runtime.python3"
    title = "Python"
    entry = "node.py"
    channel = "fd"
    is_patient = True

    def sources(self, node: SourceNode) -> Sequence[Path]:
        """What decides which packages the node needs; a node that needs none has no environment."""
        return sources_of(node.folder)

    def stamp(self, node: SourceNode) -> str:
        """The interpreter that the environment is made of."""
        return f"{sys.implementation.cache_tag} {sys.base_prefix}"

    def build(self, job: Job) -> None:
        """Make the node's environment."""
        make_environment(job)

    def command(self, node: SourceNode) -> Sequence[str]:
        """The host's interpreter, or the node's own, cut off from its environment, with a copy of the SDK."""
        manifest = node.manifest
        options = {
            "--folder": str(node.folder),
            "--entry": node.entry,
            "--name": manifest.name,
            "--version": str(manifest.version),
            "--reads": ",".join(manifest.reads or ()),
            "--env": ",".join(manifest.env),
        }
        given = [f"{name}={value}" for name, value in options.items() if value]
        sdk = sdk_folder(node.kept)
        interpreter = sys.executable if node.built is None else str(interpreter_of(node.built))
        return (interpreter, "-I", "-u", "-X", "utf8", "-c", _BOOT, sdk, *given)


def sdk_folder(kept: Path) -> str:
    """A folder that holds the `nodeling` package and nothing else, made once for each state of it."""
    return _copied(str(kept))


@lru_cache(maxsize=64)
def _copied(parent: str) -> str:
    package = Path(nodeling.__file__).parent
    files = sorted(path for path in package.rglob("*.py") if "testing" not in path.relative_to(package).parts)
    state = hashlib.sha256()
    for path in files:
        status = path.stat()
        state.update(f"{path.relative_to(package)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    name = f"{nodeling.__version__}-{state.hexdigest()[:12]}"
    try:
        return _copy(package, files, Path(parent) / "sdk", name)
    except OSError:  # a project that may only be read
        return _copy(package, files, Path(tempfile.gettempdir()) / f"nodeling-sdk-{os.getuid()}", name)


def _copy(package: Path, files: list[Path], parent: Path, name: str) -> str:
    target = parent / name
    if (target / "nodeling" / "__init__.py").is_file():
        return str(target)
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{parent} belongs to somebody else")
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=parent))
    for path in files:
        place = fresh / "nodeling" / path.relative_to(package)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)
        py_compile.compile(str(place), doraise=False, invalidation_mode=_NEVER_CHANGES)
    try:
        fresh.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(fresh, ignore_errors=True)
        if not target.is_dir():
            raise
    return str(target)
