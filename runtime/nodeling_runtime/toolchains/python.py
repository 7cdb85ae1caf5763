"""How a Python node becomes a worker: which interpreter, with which SDK, on which path.

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
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import nodeling
from nodeling_runtime.project import FOLDER, project_root

if TYPE_CHECKING:
    from nodeling_runtime.registry import NodeSpec

_NEVER_CHANGES = py_compile.PycInvalidationMode.UNCHECKED_HASH  # another state has a folder of its own
# The copy stands first while the package is looked up, and last for whatever the node imports.
_BOOT = (
    "import sys; p = sys.argv.pop(1); sys.path.insert(0, p); import nodeling; "
    "sys.path.remove(p); sys.path.append(p); from nodeling.worker import main; sys.exit(main())"
)


def python_command(spec: NodeSpec, folder: Path) -> tuple[str, ...]:
    """The arguments that run a node's entry in a worker."""
    manifest = spec.manifest
    options = {
        "--folder": str(folder),
        "--entry": manifest.runtime.entry,
        "--name": manifest.name,
        "--version": str(manifest.version),
        "--reads": ",".join(manifest.reads or ()),
        "--env": ",".join(manifest.env),
    }
    given = [f"{name}={value}" for name, value in options.items() if value]
    return (sys.executable, "-I", "-u", "-X", "utf8", "-c", _BOOT, sdk_folder(folder), *given)


def sdk_folder(start: Path) -> str:
    """A folder that holds the `nodeling` package and nothing else, made once for each state of it.

    It is kept in the project's `.nodeling` where there is one, else among the user's caches.
    """
    kept = project_root(start) / FOLDER
    return _copied(str(kept if kept.is_dir() else _cache()))


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "nodeling"


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
