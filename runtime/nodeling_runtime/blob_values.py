"""Values with files in them, and how the values of a run are made so that files stay files.

Inside the host a reference `{"$blob": {"path", …}}` is one because the run knows a blob of that name, and
nobody guesses a name; so a node may copy a handle as it copies any object, and a user's own key `$blob`
stays what it is. Only on a wire is it escaped. Invariant: a file of encoding `json` is decoded by whoever
reads it and by nobody else, and checked by that.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from nodeling.protocol_blobs import LARGEST_JSON_BLOB
from nodeling.values import MAX_DEPTH, UNREAD, encode
from nodeling_runtime.blobs import Blob, BlobFault, adopt, write
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.operators import member
from nodeling_runtime.expressions.record import Deferred
from nodeling_runtime.values import InvalidValue, Value

LARGEST_INLINE = 16 * 2**20  # a larger value is put aside into a file
SPILL_BYTES = 2**20  # from here on a value is handed to another process as a file
_MARK = b'"$blob":'
_SHORTEST_REFERENCE = len(b'{"$blob":{"path":""}}')
_SOON_READ = 1024  # a smaller file costs less to read than to defer


class BlobValue(Value):
    """A JSON value parts of which, or the whole, are files.

    Args:
        skeleton: Checked bytes in which references stand for files.
        blobs: The files by name, every one that the skeleton refers to.
    """

    __slots__ = ("blobs", "skeleton")

    blobs: Mapping[str, Blob]  # type: ignore[misc]  # of each value here, of the class in Value

    def __init__(self, skeleton: bytes, blobs: Mapping[str, Blob]) -> None:
        self.skeleton = skeleton
        self.blobs = blobs
        self._shared = UNREAD

    @property
    def data(self) -> bytes:  # type: ignore[override]
        """The whole value as checked bytes: its files are read. Raw ones stay references."""
        return encode(self.shared())

    @property
    def size(self) -> int:
        """The number of bytes, those of its files included."""
        return len(self.skeleton) + sum(blob.size for blob in self.blobs.values())

    @property
    def is_list(self) -> bool:
        """Whether this is a JSON array."""
        return isinstance(self.shared(), list)

    @property
    def is_object(self) -> bool:
        """Whether this is a JSON object."""
        return isinstance(self.shared(), dict)

    @property
    def whole(self) -> Blob | None:
        """The one `json` file that is the whole value, if that is so."""
        blob = self.blob_of(self.brief())
        return blob if blob is not None and blob.encoding == "json" else None

    @property
    def has_raw(self) -> bool:
        """Whether there are files that only a node can read."""
        return any(blob.encoding == "raw" for blob in self.blobs.values())

    def brief(self) -> Any:
        """The skeleton, decoded."""
        return orjson.loads(self.skeleton)

    def shared(self) -> Any:
        """The whole value, decoded once; read it, never change it."""
        if self._shared is UNREAD:
            self._shared = self._read(self.brief())
        return self._shared

    def fresh(self) -> Any:
        """A decoded copy that its receiver may change."""
        return self._read(self.brief())

    def readable(self) -> Any:
        """What an expression gets: a deferred value, until somebody has read it."""
        read = [blob.size for blob in self.blobs.values() if blob.encoding == "json"]
        if self._shared is not UNREAD or sum(read) < _SOON_READ:
            return self.shared()
        return BlobRecord(self)

    def surface(self) -> Any:
        """The value with its `json` files deferred, each where it stands."""
        return self._surface(self.brief())

    def _surface(self, value: Any) -> Any:
        blob = self.blob_of(value)
        if blob is not None:
            return (
                BlobRecord(BlobValue(orjson.dumps(value), {blob.name: blob}))
                if blob.encoding == "json"
                else value
            )
        if isinstance(value, dict):
            return {key: self._surface(item) for key, item in value.items()}
        return [self._surface(item) for item in value] if isinstance(value, list) else value

    def blob_of(self, value: Any) -> Blob | None:
        """The file that a part of the skeleton refers to."""
        return self.blobs.get(_name_in(value))

    def part(self, value: Any) -> Value:
        """A part of the skeleton as a value of its own."""
        names = {name for name in _names_in(value) if name in self.blobs}
        data = orjson.dumps(value)
        return BlobValue(data, {name: self.blobs[name] for name in names}) if names else Value(data)

    def _read(self, value: Any) -> Any:
        blob = self.blob_of(value)
        if blob is not None:
            return blob.decoded() if blob.encoding == "json" else value
        if isinstance(value, dict):
            return {key: self._read(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._read(item) for item in value]
        return value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, BlobValue) and self.skeleton == other.skeleton:
            return True  # names are never given twice
        return super().__eq__(other)

    __hash__ = None

    def __repr__(self) -> str:
        return f"BlobValue({', '.join(map(repr, self.blobs.values()))})"


def may_refer(data: bytes) -> bool:
    """Whether something in these bytes looks like a reference to a file."""
    return _MARK in data


class BlobRecord(Deferred):
    """A value with files, as an expression carries it about."""

    __slots__ = ("value",)

    def __init__(self, value: BlobValue) -> None:
        self.value = value

    def read(self) -> Any:
        """The value, decoded."""
        try:
            return self.value.shared()
        except BlobFault as fault:
            raise ExpressionError(fault.message, code="value.unreadable", hint=fault.hint) from fault

    def at(self, key: Any) -> Any:
        """A member or an element; only the file it lies in is read."""
        skeleton = self.value.brief()
        if self.value.blob_of(skeleton) is None:
            found = member(skeleton, key)
            return self.value.part(found).readable() if isinstance(found, dict | list) else found
        return member(self.read(), key)


def _name_in(value: Any) -> Any:
    if type(value) is dict and len(value) == 1 and type(about := value.get("$blob")) is dict:
        name = about.get("path")
        return name if type(name) is str else None
    return None


def _names_in(value: Any) -> Iterator[str]:
    """The names of everything that looks like a reference."""
    name = _name_in(value)
    if name is not None:
        yield name
    elif isinstance(value, dict):
        for item in value.values():
            yield from _names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _names_in(item)


class RunBlobs:
    """The files of one run: every value of the run that may hold one is made here."""

    __slots__ = ("_known", "_pinned")

    def __init__(self) -> None:
        self._known: weakref.WeakValueDictionary[str, Blob] = weakref.WeakValueDictionary()
        self._pinned: list[Blob] = []

    def value_of(self, obj: Any) -> Value:
        """A value of what a node or an expression gave; too large a one is put aside.

        Raises:
            InvalidValue: It is none.
            BlobFault: It is larger than any value may be.
        """
        found: dict[str, Blob] = {}
        try:
            value = Value.of(obj)
        except InvalidValue:
            skeleton = _unread(obj, found)
            if not found:
                raise
            value = Value.of(skeleton)
        data = value.data
        if len(data) < _SHORTEST_REFERENCE:
            return value
        if data.find(_MARK) >= 0:
            found.update(self.named_in(orjson.loads(data)))
        if found:
            value = BlobValue(data, found)
        return value if len(data) <= LARGEST_INLINE else self.contained(value)

    def contained(self, value: Value) -> Value:
        """The value, in a file when it is too large to be kept in memory.

        Raises:
            BlobFault: It is larger than any value may be.
        """
        inline = len(value.skeleton) if isinstance(value, BlobValue) else value.size
        if inline <= LARGEST_INLINE:
            return value
        data = value.data
        if len(data) > LARGEST_JSON_BLOB or (isinstance(value, BlobValue) and value.has_raw):
            most = LARGEST_JSON_BLOB if len(data) > LARGEST_JSON_BLOB else LARGEST_INLINE
            size = f"{len(data) / 2**20:.1f} MiB"
            what = f"a value of {size} is more than the {most // 2**20} MiB that one may have"
            raise BlobFault(what, code=4005)
        return self.of_blob(self.add(write([data])))

    def of_blob(self, blob: Blob) -> BlobValue:
        """The value that a file is."""
        return BlobValue(orjson.dumps(blob.reference()), {blob.name: blob})

    def add(self, blob: Blob) -> Blob:
        """Know a file from now on."""
        self._known[blob.name] = blob
        return blob

    def adopt(self, dir_fd: int, about: Mapping[str, Any]) -> Blob:
        """Take a file out of a node's folder.

        Raises:
            BlobFault: It is not what its reference says.
        """
        return self.add(adopt(dir_fd, about))

    def write(self, pieces: Iterable[bytes], media_type: str, encoding: str = "raw") -> Blob:
        """A new file that lives as long as the run, or until no value refers to it."""
        return self.add(write(pieces, media_type, encoding))

    def named(self, value: Any) -> Blob | None:
        """The file that a reference names."""
        name = _name_in(value)
        return None if name is None else self._known.get(name)

    def named_in(self, value: Any) -> dict[str, Blob]:
        """Every file that a decoded value refers to."""
        return {name: self._known[name] for name in _names_in(value) if name in self._known}

    def refers(self, data: bytes | None) -> bool:
        """Whether these bytes refer to a file."""
        return data is not None and _MARK in data and bool(self.named_in(orjson.loads(data)))

    def pin(self, data: bytes) -> None:
        """Keep what these bytes refer to until the run ends: nothing but bytes will hold it."""
        if _MARK in data:
            self._pinned.extend(self.named_in(orjson.loads(data)).values())

    def close(self, results: Iterable[Value | None]) -> None:
        """The run is over: remove every file that its result does not refer to."""
        kept = {name for value in results if value is not None for name in value.blobs}
        self._pinned.clear()
        for name, blob in list(self._known.items()):
            if name not in kept:
                blob.remove()


def _unread(value: Any, found: dict[str, Blob], depth: int = 0) -> Any:
    """A value with references in the places of what is deferred in it; a circle is left to the encoder."""
    if isinstance(value, BlobRecord):
        found.update(value.value.blobs)
        return value.value.brief()
    if depth > MAX_DEPTH:
        return value
    if type(value) is dict:
        return {key: _unread(item, found, depth + 1) for key, item in value.items()}
    if type(value) is list:
        return [_unread(item, found, depth + 1) for item in value]
    return value


def settled(value: Any, read: Callable[[BlobRecord], Any] = BlobRecord.read) -> Any:
    """A value with what is deferred in it read."""
    if isinstance(value, BlobRecord):
        return read(value)
    if type(value) is dict:
        return {key: settled(item, read) for key, item in value.items()}
    if type(value) is list:
        return [settled(item, read) for item in value]
    return value


def has_deferred(value: Any) -> bool:
    """Whether anything in a value is deferred."""
    if isinstance(value, BlobRecord):
        return True
    if type(value) is dict:
        return any(map(has_deferred, value.values()))
    return type(value) is list and any(map(has_deferred, value))
