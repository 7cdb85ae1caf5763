"""A project's folder: where it begins, and the secrets it keeps."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from nodeling.errors import ConfigError

FOLDER = ".nodeling"
MARKS = (FOLDER, "pyproject.toml", ".git")
SECRETS = "secrets.json"
PREFIX = "NODELING_SECRET_"


def project_root(start: Path) -> Path:
    """The nearest folder upwards that looks like a project; `start` itself when none does."""
    here = folder = os.path.realpath(start)
    while not any(os.path.exists(os.path.join(folder, mark)) for mark in MARKS):
        above = os.path.dirname(folder)
        if above == folder:
            return Path(here)
        folder = above
    return Path(folder)


def resolve_secrets(names: Iterable[str], start: Path) -> dict[str, str]:
    """The values of those secrets that somebody has: the environment, the project's file, then plugins.

    Raises:
        ConfigError: The secrets file can be read by others, or is no JSON object of strings.
    """
    from nodeling_runtime import plugins

    kept = _read_file(project_root(start) / FOLDER / SECRETS)
    found: dict[str, str] = {}
    for name in names:
        value = os.environ.get(PREFIX + name.upper().replace("-", "_"))
        value = kept.get(name) if value is None else value
        value = plugins.resolve_secret(name) if value is None else value
        if value is not None:
            found[name] = value
    return found


def _read_file(path: Path) -> dict[str, str]:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path} can be read by others", code="secret.mode", hint=f"chmod 600 {path}")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", code="secret.file") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}", code="secret.file") from error
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise ConfigError(f"{path} is an object of names and texts", code="secret.file")
    return data
