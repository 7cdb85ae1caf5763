"""Files in outputs, kept beside the store: what is raw bytes does not fit into a row.

A file is linked where it can be, in the store's thread and before the event that refers to it; so an event
never speaks of a file that is not there. Values that were put aside for their size are no files to a store:
they are kept as what they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeling_runtime.blob_values import BlobValue
from nodeling_runtime.blobs import Blob, BlobFault
from nodeling_runtime.values import Value

if TYPE_CHECKING:
    from nodeling_runtime.engine.journal import Journal
    from nodeling_runtime.engine.recorded import Ended
    from nodeling_runtime.engine.run import Run


def keep_files(journal: Journal, value: Value) -> dict[str, dict[str, Any]]:
    """Have the raw files of a value kept; what the event says of them, by name."""
    found: dict[str, dict[str, Any]] = {}
    for name, blob in value.blobs.items():
        if blob.encoding == "raw":
            found[name] = {"size": blob.size, "media_type": blob.media_type}
            journal.before_next(_keeping(blob, journal.folder, found[name]))
    return found


def _keeping(blob: Blob, folder: Path | None, about: dict[str, Any]) -> Any:
    def keep() -> None:
        if folder is None:
            about["lost"] = "this kind of store keeps no files"
            return
        try:
            about["sha256"] = blob.sha256
            _link(blob, folder, folder / blob.sha256)
        except (OSError, BlobFault) as error:
            about["lost"] = str(error)

    return keep


def _link(blob: Blob, folder: Path, target: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if target.exists():
        return
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    blob.link_to(str(part))
    _sync(part)
    part.rename(target)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restored(run: Run, ended: Ended) -> Value | None:
    """An output as it was: large ones put aside again, files found where they were kept."""
    if ended.value is None:
        return None
    value = run.blobs.contained(ended.value)
    folder = None if run.journal is None else run.journal.folder
    files = {name: _found(run, name, about, folder) for name, about in ended.files.items()}
    return BlobValue(value.data, {**value.blobs, **files}) if files else value


def _found(run: Run, name: str, about: Mapping[str, Any], folder: Path | None) -> Blob:
    """A kept file under its old name; whoever opens one that is lost is told so."""
    path = (folder or Path(os.devnull)) / str(about.get("sha256", "lost"))
    blob = Blob(str(path), about["size"], about["media_type"], "raw", is_owned=False)
    blob.name = name
    return run.blobs.add(blob)
