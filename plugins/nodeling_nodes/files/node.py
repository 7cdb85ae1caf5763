"""Find files by patterns, below one folder and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any

from nodeling import Context, NodeError
from nodeling_nodes import _files

MAX_SEEN = 5_000_000  # entries looked at, whether they fit or not
LOOK_EVERY = 256


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Look for every pattern; a file is listed once."""
    root = inputs.get("root", ".")
    if not os.path.isdir(root):
        raise NodeError(f"there is no folder {root}", code=4004, retryable=False)
    most = inputs.get("max", 10_000)
    found: dict[str, dict[str, Any]] = {}
    for entry in _candidates(ctx, Path(root), inputs):
        if str(entry) in found:
            continue
        described = _described(entry, inputs.get("kind", "file"))
        if described is not None:
            found[str(entry)] = described
            if len(found) > most:
                raise NodeError(f"more than {most} fit, its `max`", code=4005, retryable=False)
    if len(found) < inputs.get("min", 0):
        raise NodeError(
            f"{len(found)} fit {inputs['pattern']!r} in {root}, and `min` is {inputs['min']}",
            code=4004,
            retryable=False,
        )
    key = inputs.get("sort", "path")
    files = sorted(found.values(), key=lambda one: (one[key], one["path"]))
    return {"files": files, "count": len(files), "bytes": sum(one["size"] for one in files)}


def _candidates(ctx: Context, root: Path, inputs: dict[str, Any]) -> Iterator[Path]:
    patterns = inputs["pattern"] if isinstance(inputs["pattern"], list) else [inputs["pattern"]]
    excluded, hidden = inputs.get("exclude", []), inputs.get("hidden", False)
    seen = 0
    for pattern in patterns:
        if PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts:
            raise NodeError(
                f"{pattern!r} leads out of the folder", code=4001, retryable=False, hint="use `root`"
            )
        try:
            for entry in root.glob(pattern):
                seen += 1
                if seen > MAX_SEEN:
                    raise NodeError(
                        f"more than {MAX_SEEN} entries were looked at",
                        code=4005,
                        retryable=False,
                    )
                if seen % LOOK_EVERY == 0 and ctx.cancelled:
                    raise NodeError("cancelled", code=9006, retryable=False)
                below = entry.relative_to(root)
                if not hidden and any(part.startswith(".") for part in below.parts):
                    continue
                if not any(fnmatchcase(str(below), one) or fnmatchcase(entry.name, one) for one in excluded):
                    yield entry
        except (ValueError, NotImplementedError) as error:
            raise NodeError(f"{pattern!r} is no pattern: {error}", code=4001, retryable=False) from error
        except OSError as error:
            raise _files.trouble(error, str(root), "looked through") from error


def _described(entry: Path, kind: str) -> dict[str, Any] | None:
    try:
        status = entry.stat()
    except OSError:  # it has gone meanwhile, or is a link to nowhere
        return None
    if kind != "any" and (entry.is_dir() if kind == "file" else not entry.is_dir()):
        return None
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return {
        "path": str(entry),
        "name": entry.name,
        "stem": entry.stem,
        "suffix": entry.suffix,
        "size": status.st_size,
        "modified": modified.isoformat().replace("+00:00", "Z"),
    }
