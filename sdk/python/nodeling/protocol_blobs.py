"""Values by reference: how a blob stands in a frame, and how its file is written and read.

The file of a `json` blob holds the value as it is: no key in it is escaped, and nothing in it is a reference.
`{"$blob": {path, size, media_type, encoding}}` names a file in the connection's blob folder. Invariant:
a file is complete before its name is sent, and a name never leads out of that folder.
"""

from __future__ import annotations

import os
import stat

from nodeling._plain import InvalidValue
from nodeling.values import decode, encode

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, BinaryIO

__all__ = [
    "LARGEST_JSON_BLOB",
    "BlobError",
    "BlobRef",
    "blobs_in",
    "escape_blobs",
    "is_reference",
    "names_file",
    "open_blob",
    "put_aside",
    "resolve_blobs",
    "unescape_blobs",
    "unescape_key",
    "write_blob",
]

LARGEST_JSON_BLOB = 256 * 1024 * 1024  # a value is decoded whole, so there is an end to it
_KEY = "$blob"
if TYPE_CHECKING:
    _Object = dict[str, Any]
else:
    _Object = dict


class BlobError(ValueError):
    """A blob cannot be read: no such file, another size, or no regular file of the folder."""


class BlobRef(_Object):
    """A reference that means a blob, unlike a node's own object that has a key `$blob`."""


def write_blob(
    folder: str,
    data: bytes | Iterable[bytes],
    *,
    media_type: str = "application/json",
    encoding: str = "json",
) -> BlobRef:
    """Put bytes into the blob folder, whole or not at all; give what stands for them."""
    name = f"n-{os.urandom(16).hex()}"
    target = os.path.join(folder, name)
    descriptor = os.open(target + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            size = sum(map(file.write, (data,) if isinstance(data, bytes) else data))
        os.rename(target + ".tmp", target)
    except BaseException:
        os.unlink(target + ".tmp")
        raise
    return BlobRef({_KEY: {"path": name, "size": size, "media_type": media_type, "encoding": encoding}})


def open_blob(folder: str, reference: Any) -> BinaryIO:
    """The file that a reference names, opened without following any link.

    Raises:
        BlobError: It names no regular file of that size in the folder.
    """
    about = reference.get(_KEY) if isinstance(reference, dict) else None
    if not isinstance(about, dict) or not isinstance(about.get("path"), str):
        raise BlobError("this is no reference to a blob")
    name, size = about["path"], about.get("size")
    if not _is_plain(name):
        raise BlobError(f"the blob {name!r} is not a plain name in the blob folder")
    try:
        descriptor = _open_in(folder, name)
    except OSError as error:
        raise BlobError(f"the blob {name!r} cannot be opened: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size != size:
        os.close(descriptor)
        kind = (
            f"has {status.st_size} bytes, not {size}"
            if stat.S_ISREG(status.st_mode)
            else "is no regular file"
        )
        raise BlobError(f"the blob {name!r} {kind}")
    return os.fdopen(descriptor, "rb")


def _is_plain(name: str) -> bool:
    return bool(name) and "/" not in name and "\0" not in name and name not in (".", "..")


def _open_in(folder: str, name: str) -> int:
    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Opening a pipe for reading would wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=parent)
    finally:
        os.close(parent)


def is_reference(value: Any) -> bool:
    """Whether an object of a frame stands for a blob."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_KEY), dict)


def blobs_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every reference in a decoded value, outermost first."""
    if is_reference(value):
        yield value[_KEY]
    elif isinstance(value, dict):
        for item in value.values():
            yield from blobs_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from blobs_in(item)


def resolve_blobs(value: Any, folder: str | None) -> Any:
    """A decoded value as a node reads it: blobs of JSON in place, others as references, keys unescaped.

    Raises:
        BlobError: A blob cannot be read.
    """
    if is_reference(value):
        return _read_json(value, folder) if value[_KEY].get("encoding") == "json" else BlobRef(value)
    if isinstance(value, dict):
        return {unescape_key(key): resolve_blobs(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve_blobs(item, folder) for item in value]
    return value


def _read_json(reference: dict[str, Any], folder: str | None) -> Any:
    if folder is None:
        raise BlobError("there is a blob, and no blob folder was named")
    with open_blob(folder, reference) as file:
        if os.fstat(file.fileno()).st_size > LARGEST_JSON_BLOB:
            raise BlobError(f"the blob is over {LARGEST_JSON_BLOB} bytes; send it with encoding raw")
        try:
            return decode(file.read())
        except InvalidValue as error:
            raise BlobError(f"the blob {reference[_KEY].get('path')!r} holds no value: {error}") from error


def escape_blobs(value: Any, is_known: Callable[[Any], bool] = lambda _: False) -> Any:
    """A value for the wire: a key `$blob` that is no reference gets one more `$`.

    A reference is a `BlobRef`, and a copy of one that `is_known`.
    """
    if isinstance(value, BlobRef) or is_known(value):
        return value
    if isinstance(value, dict):
        return {_escaped(key): escape_blobs(item, is_known) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [escape_blobs(item, is_known) for item in value]
    return value


def names_file(value: Any, folder: str | None) -> bool:
    """Whether an object is a reference to a file that is in the folder: nobody guesses such a name."""
    if folder is None or not is_reference(value):
        return False
    name = value[_KEY].get("path")
    return isinstance(name, str) and _is_plain(name) and os.path.lexists(os.path.join(folder, name))


def put_aside(value: Any, folder: str, limit: int) -> Any:
    """A decoded value for the wire, with whatever in it is long and holds no reference in a blob."""
    if names_file(value, folder):
        return value
    data = encode(value)
    if len(data) < limit:
        return escape_blobs(value, lambda part: names_file(part, folder))
    if not any(names_file({_KEY: about}, folder) for about in blobs_in(value)):
        return write_blob(folder, data)
    if isinstance(value, dict):
        return {_escaped(key): put_aside(item, folder, limit) for key, item in value.items()}
    return [put_aside(item, folder, limit) for item in value]


def unescape_blobs(value: Any) -> Any:
    """A value from the wire with escaped keys as they were; references stay as they are."""
    if is_reference(value):
        return value
    if isinstance(value, dict):
        return {unescape_key(key): unescape_blobs(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unescape_blobs(item) for item in value]
    return value


def _escaped(key: Any) -> Any:
    return "$" + key if isinstance(key, str) and _is_blob_key(key) else key


def unescape_key(key: str) -> str:
    """A key of a frame as its writer had it."""
    return key[1:] if _is_blob_key(key[1:]) else key


def _is_blob_key(key: str) -> bool:
    """Whether a key is `$blob`, or that with more dollars before it."""
    return key.endswith(_KEY) and not key[: -len(_KEY)].strip("$")
