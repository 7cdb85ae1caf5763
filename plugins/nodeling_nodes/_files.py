"""Files for the nodes that read and write them.

A relative path counts from the working directory of the run. Invariant: a file that is written appears
whole under its name, or not at all; and every error names the file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from nodeling import NodeError

MAX_BYTES = 256 * 1024 * 1024


def opened(path: str, max_bytes: int = MAX_BYTES) -> BinaryIO:
    """A file to be read: a plain one, no larger than the bound."""
    try:
        file = open(path, "rb", opener=_without_waiting)
    except (OSError, ValueError) as error:
        raise trouble(error, path, "read") from error
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        file.close()
        raise NodeError(f"{path} is no plain file", code=4001, retryable=False)
    if found.st_size > max_bytes:
        file.close()
        raise NodeError(
            f"{path} holds {found.st_size} bytes, more than {max_bytes}, its `max_bytes`",
            code=4005,
            retryable=False,
        )
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe that nobody writes to is refused, not waited for


@contextlib.contextmanager
def replacing(path: str, *, keep: bool = False) -> Iterator[BinaryIO]:
    """A file to be written. It takes its name when the block ends well; with `keep` no other may have it."""
    target = Path(os.path.realpath(path))
    fresh = target.parent / f".{target.name[:100]}.{secrets.token_hex(6)}.new"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(21, "is a folder")
        if keep and target.exists():
            raise FileExistsError(17, "exists already")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except (OSError, ValueError) as error:
        raise trouble(error, path, "written") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _named(fresh, target, keep)
    except OSError as error:
        raise trouble(error, path, "written") from error
    finally:
        fresh.unlink(missing_ok=True)


def _named(fresh: Path, target: Path, keep: bool) -> None:
    if keep:
        os.link(fresh, target)  # unlike a rename it fails where a file has come meanwhile
        return
    with contextlib.suppress(FileNotFoundError):
        os.chmod(fresh, stat.S_IMODE(target.stat().st_mode))
    os.replace(fresh, target)


def trouble(error: Exception, path: str, what: str) -> NodeError:
    """What the system said of a file, as a node's error."""
    said = getattr(error, "strerror", None) or str(error)
    if isinstance(error, FileNotFoundError):
        return NodeError(
            f"there is no file {path}", code=4004, retryable=False, hint=f"looked for from {os.getcwd()}"
        )
    if isinstance(error, PermissionError):
        return NodeError(f"{path} may not be {what}: {said}", code=4003, retryable=False)
    if isinstance(error, (IsADirectoryError, NotADirectoryError, FileExistsError, ValueError)):
        return NodeError(f"{path} cannot be {what}: {said}", code=4001, retryable=False)
    return NodeError(f"{path} cannot be {what}: {said}", code=5000, retryable=True)
