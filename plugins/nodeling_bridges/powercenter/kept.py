"""Where a workflow's persistent variables are kept from one run to the next: one small file each."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

MARKS = (".nodeling", "pyproject.toml", ".git")  # what tells a project's folder
FOLDER = Path(".nodeling") / "powercenter"


def file_of(folder: str | None, workflow: str, here: Path) -> Path | None:
    """The file of a workflow: in the folder that is named, else in the project; None where there is none."""
    name = f"{quote(workflow, safe=' ')}.variables.json"
    if folder is not None:
        return here / folder / name
    for above in (here, *here.parents):
        if any((above / mark).exists() for mark in MARKS):
            return above / FOLDER / name
    return None


def read(file: Path) -> dict[str, Any]:
    """The variables as the last run left them; none before the first one.

    Raises:
        ValueError: The file holds something else.
        OSError: It cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{file} holds no object")
    return found


def write(file: Path, variables: dict[str, Any]) -> None:
    """Keep the variables, all of them or none.

    Raises:
        OSError: They cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.", suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as new:
            json.dump(variables, new, ensure_ascii=False, indent=1, sort_keys=True)
            new.flush()
            os.fsync(new.fileno())
        os.replace(made, file)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
