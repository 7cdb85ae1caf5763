"""An environment of its own for a Python node with `requirements.txt`, or `dependencies` in `pyproject.toml`.

It is a virtual environment without pip and without nodeling: the worker brings the SDK along. Where
both files are there `requirements.txt` decides, since it can be exact. Invariant: nothing is installed into
the host's own environment.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nodeling.errors import PluginError
from nodeling.toolchain import Job, files_below

REQUIREMENTS = "requirements.txt"
PROJECT = "pyproject.toml"
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_QUIET = ("--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off")


def interpreter_of(environment: Path) -> Path:
    """The interpreter of an environment."""
    return environment / "bin" / "python"


def sources_of(folder: Path) -> list[Path]:
    """The files that an environment depends on; none for a node that needs no environment."""
    wanted = folder / REQUIREMENTS
    if wanted.is_file():
        return sorted({wanted, *_named_in(wanted), *_archives(folder)})
    project = folder / PROJECT
    if project.is_file() and _says_dependencies(project):
        return [project, *_archives(folder)]
    return []


def _archives(folder: Path) -> Iterator[Path]:
    return (path for path in files_below(folder) if path.name.endswith(_ARCHIVES))


def _named_in(requirements: Path) -> Iterator[Path]:
    """Other requirements, constraints and local projects that a requirements file names."""
    for line in requirements.read_text(encoding="utf-8").splitlines():
        words = line.partition(" #")[0].split()
        if not words or words[0].startswith("#"):
            continue
        for word in words:
            name = word.rpartition("=")[2] if word.startswith("-") else word.removeprefix("file:")
            path = requirements.parent / name.partition("[")[0]
            if name and path.is_dir() and name.startswith((".", "/")):
                yield from files_below(path)
            elif name and path.is_file() and path != requirements:
                yield path


def _says_dependencies(project: Path) -> bool:
    """Whether there is anything to install; a file that cannot be read is for the build to complain of."""
    try:
        return bool(_dependencies(project))
    except (ValueError, TypeError):
        return True


def _dependencies(project: Path) -> list[str]:
    found: Any = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
    listed = found.get("dependencies", []) if isinstance(found, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise TypeError("`project.dependencies` is a list of texts")
    return listed


def make_environment(job: Job) -> None:
    """Build a node's environment in `job.out`.

    Raises:
        PluginError: `pyproject.toml` cannot be read, or pip could not install what is wanted.
    """
    wanted = _wanted(job)
    job.run(sys.executable, "-I", "-m", "venv", "--without-pip", str(job.out))
    inside = str(interpreter_of(job.out))
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-I", "-m", "pip", "--python", inside]
    else:
        job.run(inside, "-I", "-m", "ensurepip", "--default-pip")
        pip = [inside, "-I", "-m", "pip"]
    job.run(*pip, "install", *_QUIET, "--cache-dir", str(job.cache / "pip"), *wanted)


def _wanted(job: Job) -> tuple[str, ...]:
    folder, name = job.node.folder, job.node.manifest.name
    if (folder / REQUIREMENTS).is_file():
        return ("-r", REQUIREMENTS)
    try:
        found = _dependencies(folder / PROJECT)
    except (ValueError, TypeError) as error:
        raise PluginError(
            f"{name} could not be built: {folder / PROJECT}: {error}",
            code="toolchain.build",
            hint=f"write `dependencies = [{shlex.quote('package')}]` below [project]",
        ) from error
    return tuple(found)
