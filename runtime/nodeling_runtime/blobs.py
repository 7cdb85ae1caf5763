"""Values that are files: what is too large to be copied from process to process.

A blob is complete before anybody hears of it and is never changed after. It is passed on by name; only who
reads it decodes it, and checks it by that. Invariant: its file is removed with the last value that refers to
it, at the end of its run, or with the process, whichever is first.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from nodeling.errors import NodelingError
from nodeling.protocol_blobs import LARGEST_JSON_BLOB
from nodeling.values import InvalidValue, decode

JSON_TYPE = "application/json"
LARGEST_JSON = LARGEST_JSON_BLOB
_ENCODINGS = ("json", "raw")
_LONGEST_TYPE = 255
_READ_ONLY = 0o400
_PIECE = 1 << 20
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class BlobFault(NodelingError):
    """A blob is not what its reference says, or cannot be read."""

    default_code = "value.unreadable"


class Blob:
    """One file, read-only.

    Args:
        path: Where it lies.
        size: How many bytes it has.
        media_type: What they are.
        encoding: `json` for a value that was put aside for its size, `raw` for bytes that stay bytes.
        is_owned: Whether the file goes with this object.
    """

    __slots__ = ("__weakref__", "_remove", "_sha256", "encoding", "media_type", "name", "path", "size")

    def __init__(
        self,
        path: str,
        size: int,
        media_type: str = JSON_TYPE,
        encoding: str = "json",
        *,
        is_owned: bool = True,
    ) -> None:
        self.path = path
        self.name = os.path.basename(path)
        self.size = size
        self.media_type = media_type
        self.encoding = encoding
        self._sha256: str | None = None
        self._remove = weakref.finalize(self, _remove_own, path, os.getpid()) if is_owned else None

    @property
    def sha256(self) -> str:
        """The hash of its bytes, read once."""
        if self._sha256 is None:
            found = hashlib.sha256()
            with self.open() as file:
                while piece := file.read(_PIECE):
                    found.update(piece)
            self._sha256 = found.hexdigest()
        return self._sha256

    def reference(self) -> dict[str, Any]:
        """What stands for it in a value."""
        about = {"path": self.name, "size": self.size, "media_type": self.media_type}
        return {"$blob": {**about, "encoding": self.encoding}}

    def open(self) -> BinaryIO:
        """Its bytes as a file.

        Raises:
            BlobFault: It has been removed.
        """
        try:
            return open(self.path, "rb")
        except OSError as error:
            raise BlobFault(f"the blob {self.name} is gone: {error.strerror}") from error

    def decoded(self) -> Any:
        """The value that a `json` blob holds, checked by being read.

        Raises:
            BlobFault: It holds no value, or is too large to be read whole.
        """
        if self.size > LARGEST_JSON:
            most = LARGEST_JSON // 2**20
            raise BlobFault(
                f"a value of {self.size / 2**20:.0f} MiB is more than the {most} MiB that can be read whole",
                code=4005,
                hint="pass it as raw bytes and open it with ctx.open_blob()",
            )
        with self.open() as file:
            data = file.read()
        try:
            return decode(data)
        except InvalidValue as error:
            raise BlobFault(f"a value that was passed as a file is no JSON value: {error}") from error

    def link_to(self, path: str, *, dir_fd: int | None = None) -> None:
        """Give the file another name; where the file system cannot, copy it. The name must be free."""
        try:
            os.link(self.path, path, dst_dir_fd=dir_fd)
        except FileExistsError:
            raise
        except OSError:
            _copy(self.path, path, dir_fd)

    def handed_over(self) -> Blob:
        """The same file as another object, which it goes with from now on."""
        heir = Blob(self.path, self.size, self.media_type, self.encoding, is_owned=self._remove is not None)
        heir._sha256 = self._sha256
        if self._remove is not None:
            self._remove.detach()
            self._remove = None
        return heir

    def remove(self) -> None:
        """Remove the file now."""
        if self._remove is not None:
            self._remove()

    def __repr__(self) -> str:
        """`Blob(application/json, 20971522 bytes)`."""
        return f"Blob({self.media_type}, {self.size} bytes)"


def _remove_own(path: str, pid: int) -> None:
    if os.getpid() == pid:  # in a forked child the file is its parent's
        with contextlib.suppress(OSError):
            os.unlink(path)


def _new_path() -> str:
    from nodeling_runtime.shelf import shelf  # for the first file: most runs make none

    return shelf().new_path()


def _copy(source: str, target: str, dir_fd: int | None) -> None:
    from shutil import copyfileobj

    try:
        with open(source, "rb") as read, open(os.open(target, _CREATE, 0o600, dir_fd=dir_fd), "wb") as write:
            copyfileobj(read, write, _PIECE)
    except FileExistsError:
        raise
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(target, dir_fd=dir_fd)
        raise


# --- what a node gives ----------------------------------------------------------------------------


def about_fault(about: Any) -> str | None:
    """What is wrong with what a reference says of its file; None when nothing is."""
    if not isinstance(about, Mapping):
        return "is no object"
    name, size, kind = about.get("path"), about.get("size"), about.get("media_type", JSON_TYPE)
    if not isinstance(name, str) or not name or "/" in name or "\0" in name or name in (".", ".."):
        return f"has the path {name!r:.100}, which is no plain name"
    if type(size) is not int or size < 0:
        return f"has the size {size!r:.100}"
    if about.get("encoding", "raw") not in _ENCODINGS:
        return f"has the encoding {about.get('encoding')!r:.100}; there is json, and raw"
    if not isinstance(kind, str) or not kind.isprintable() or len(kind) > _LONGEST_TYPE:
        return "has a media type that is none"
    return None


def adopt(dir_fd: int, about: Mapping[str, Any]) -> Blob:
    """Take a file that a node left in its folder; it is judged where the node does not know its name.

    Raises:
        BlobFault: It is no regular file of the size that is said.
    """
    fault = about_fault(about)
    if fault is not None:
        raise BlobFault(f"a blob's reference {fault}", code=4006)
    name, size = about["path"], about["size"]
    target = _new_path()
    try:
        _take(dir_fd, name, target)
        _judge(target, name, size)
    except OSError as error:
        _remove_any(target)
        raise BlobFault(f"the blob {name!r} cannot be opened: {error.strerror}", code=4006) from error
    except BlobFault:
        _remove_any(target)
        raise
    encoding = about.get("encoding", "raw")
    default = JSON_TYPE if encoding == "json" else "application/octet-stream"
    return Blob(target, size, about.get("media_type", default), encoding)


def _take(dir_fd: int, name: str, target: str) -> None:
    try:
        os.rename(name, target, src_dir_fd=dir_fd)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_out(dir_fd, name, target)


def _copy_out(dir_fd: int, name: str, target: str) -> None:
    from shutil import copyfileobj

    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(name, flags, dir_fd=dir_fd), "rb") as read:
        if not stat.S_ISREG(os.fstat(read.fileno()).st_mode):
            raise BlobFault(f"the blob {name!r} is no regular file", code=4006)
        with open(target, "xb") as write:
            copyfileobj(read, write, _PIECE)
    os.unlink(name, dir_fd=dir_fd)


def _judge(path: str, name: str, size: int) -> None:
    # Opening a pipe for reading would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BlobFault(f"the blob {name!r} is no regular file", code=4006)
        if status.st_size != size:
            raise BlobFault(f"the blob {name!r} has {status.st_size} bytes, not {size}", code=4006)
        os.fchmod(descriptor, _READ_ONLY)
    finally:
        os.close(descriptor)


def _remove_any(path: str) -> None:
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            from shutil import rmtree

            rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


# --- what the host makes --------------------------------------------------------------------------


def write(pieces: Iterable[bytes], media_type: str = JSON_TYPE, encoding: str = "json") -> Blob:
    """A new blob of these bytes.

    Raises:
        BlobFault: There is no room for it.
    """
    target = _new_path()
    size = 0
    try:
        with open(os.open(target, _CREATE, _READ_ONLY), "wb") as file:
            for piece in pieces:
                size += file.write(piece)
    except OSError as error:
        _remove_any(target)
        what = f"a value of {size / 2**20:.0f} MiB or more cannot be put aside: {error.strerror}"
        raise BlobFault(what, code=4005, hint="is the disk full?") from error
    except BaseException:
        _remove_any(target)
        raise
    return Blob(target, size, media_type, encoding)
