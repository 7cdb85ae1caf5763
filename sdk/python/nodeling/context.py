"""What a node sees of the run it is part of.

A context is a snapshot: what steps before this one wrote, frozen at the moment this one became
ready. Every read decodes a copy of its own, so a node may change what it was given and nobody
sees it. Writes are collected as a delta; they reach later steps when this call succeeds.
"""

from __future__ import annotations

import _thread
import time

from nodeling.errors import NodelingError, nearest
from nodeling.values import decode, encode

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any, BinaryIO, Literal, Protocol

    _Mapping = Mapping[str, Any]
else:
    from _collections_abc import Mapping as _Mapping  # what `collections.abc` is, without `collections`

    Protocol = object

__all__ = ["Context", "ContextSource", "Log", "Request", "Vars"]

_making_up = _thread.allocate_lock()
BLOB_PIECE = 1024 * 1024
REQUEST_PARTS = ("body", "headers", "query", "params", "method", "path")


class ContextSource(Protocol):
    """Where a context reads from: JSON bytes by key, decoded only when somebody looks."""

    def read(self, key: str) -> bytes | None:
        """The value of a context variable, or None when there is no such key."""

    def keys(self) -> list[str]:
        """Every readable key."""

    def who(self, key: str) -> str | None:
        """The step that wrote the value a read would give."""

    def part(self, name: str) -> bytes | None:
        """Another part of the context by dotted name: `request.body`, `error`, `response`, `run`."""

    def reserved(self, key: str) -> bool:
        """Whether the key is a step's name, which only that step's output may fill."""


class Vars(_Mapping):
    """The context's variables, each decoded when it is first read."""

    __slots__ = ("_cache", "_delta", "_source")

    def __init__(self, source: ContextSource, delta: dict[str, bytes | None]) -> None:
        self._source = source
        self._delta = delta
        self._cache: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key in self._cache:
            return self._cache[key]
        data = self._delta[key] if key in self._delta else self._source.read(key)
        if data is None:
            raise KeyError(key)
        value = self._cache[key] = decode(data)
        return value

    def __iter__(self) -> Iterator[str]:
        for key in self._source.keys():
            if self._delta.get(key, b"") is not None:
                yield key
        known = set(self._source.keys())
        yield from (key for key, data in self._delta.items() if data is not None and key not in known)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Vars({', '.join(self)})"

    def _forget(self, key: str) -> None:
        self._cache.pop(key, None)


class Request:
    """What started the run: `body`, `headers`, `query`, `params`, `method`, `path`."""

    __slots__ = ("_cache", "_source")

    def __init__(self, source: ContextSource) -> None:
        self._source = source
        self._cache: dict[str, Any] = {}

    def __getitem__(self, part: str) -> Any:
        if part not in REQUEST_PARTS:
            hint = nearest(part, REQUEST_PARTS)
            raise KeyError(f"a request has no {part!r}" + (f"; did you mean {hint!r}?" if hint else ""))
        if part not in self._cache:
            data = self._source.part(f"request.{part}")
            self._cache[part] = None if data is None else decode(data)
        return self._cache[part]

    @property
    def body(self) -> Any:
        """The run's input."""
        return self["body"]

    @property
    def headers(self) -> dict[str, Any]:
        """Header names and values."""
        value: dict[str, Any] = self["headers"]
        return value

    @property
    def query(self) -> dict[str, Any]:
        """Query parameters."""
        value: dict[str, Any] = self["query"]
        return value

    @property
    def params(self) -> dict[str, Any]:
        """Path parameters."""
        value: dict[str, Any] = self["params"]
        return value

    @property
    def method(self) -> str:
        """The request's method."""
        return str(self["method"])

    @property
    def path(self) -> str:
        """The request's path."""
        return str(self["path"])


class Log:
    """Log lines of one call: `ctx.log("text")`, `ctx.log.warning("text", rows=3)`."""

    __slots__ = ("_emit",)

    def __init__(self, emit: Callable[[str, dict[str, Any]], None]) -> None:
        self._emit = emit

    def __call__(self, message: str, level: str = "info", **data: Any) -> None:
        """Log one line."""
        body: dict[str, Any] = {"level": level, "message": str(message)}
        if data:
            body["data"] = data
        self._emit("log", body)

    def debug(self, message: str, **data: Any) -> None:
        """Log a line that matters only while looking for a fault."""
        self(message, "debug", **data)

    def info(self, message: str, **data: Any) -> None:
        """Log a line."""
        self(message, "info", **data)

    def warning(self, message: str, **data: Any) -> None:
        """Log something that deserves a look."""
        self(message, "warning", **data)

    def error(self, message: str, **data: Any) -> None:
        """Log something that went wrong; the call itself does not fail by it."""
        self(message, "error", **data)


class Context:
    """One call's view of its run, and its way to write to it."""

    __slots__ = (
        "_cancelled",
        "_deadline",
        "_delta",
        "_emit",
        "_key",
        "_log",
        "_make_work_dir",
        "_make_up",
        "_open_blob",
        "_parts",
        "_request",
        "_source",
        "_vars",
        "_work_dir",
        "_write_blob",
        "attempt",
        "config",
        "env",
        "run_id",
        "secrets",
        "step",
    )

    def __init__(
        self,
        *,
        source: ContextSource,
        emit: Callable[[str, dict[str, Any]], None],
        cancelled: Callable[[], bool],
        make_work_dir: Callable[[], Path],
        run_id: str = "",
        step: str = "",
        attempt: int = 1,
        idempotency_key: str | Callable[[], str] = "",
        deadline: float | None = None,
        config: dict[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        open_blob: Callable[[Any], BinaryIO] | None = None,
        write_blob: Callable[[Iterable[bytes], str], dict[str, Any]] | None = None,
    ) -> None:
        # Most nodes look at a field or two, so what has to be built is built when it is asked for.
        self._open_blob = open_blob
        self._write_blob = write_blob
        self._source = source
        self._emit = emit
        self._cancelled = cancelled
        self._make_work_dir = make_work_dir
        self._work_dir: Path | None = None
        self._deadline = deadline
        self._delta: dict[str, bytes | None] = {}
        self._parts: dict[str, Any] | None = None
        self._vars: Vars | None = None
        self._request: Request | None = None
        self._log: Log | None = None
        self._key = idempotency_key
        self.run_id = run_id
        self.step = step
        self.attempt = attempt
        self.config = {} if config is None else config
        self.secrets = {} if secrets is None else secrets
        self.env = {} if env is None else env
        self._make_up: Callable[[], dict[str, Any]] | None = None

    @classmethod
    def _put_off(cls, make_up: Callable[[], dict[str, Any]]) -> Context:
        """A context that is made up, of the arguments that `make_up` gives, when somebody looks at it."""
        made = cls.__new__(cls)
        made._make_up = make_up
        return made

    def __getattr__(self, name: str) -> Any:
        # Only what has no value is asked for here, and of a context that was put off nothing has one.
        if name in _FIELDS:
            with _making_up:  # a node may look from two threads at once
                if self._make_up is not None:
                    self._be_made_up(self._make_up())
        return object.__getattribute__(self, name)

    def _be_made_up(self, parts: dict[str, Any]) -> None:
        given = {}
        for name in _PUBLIC:
            try:
                given[name] = object.__getattribute__(self, name)
            except AttributeError:
                continue
        Context.__init__(self, **parts)
        for name, value in given.items():  # a node that gave it another value finds that one
            setattr(self, name, value)

    @property
    def vars(self) -> Vars:
        """The context's variables, each decoded when it is first read."""
        if self._vars is None:
            self._vars = Vars(self._source, self._delta)
        return self._vars

    @property
    def request(self) -> Request:
        """What started the run."""
        if self._request is None:
            self._request = Request(self._source)
        return self._request

    @property
    def log(self) -> Log:
        """Log lines of this call."""
        if self._log is None:
            self._log = Log(self._emit)
        return self._log

    @property
    def idempotency_key(self) -> str:
        """The same over retries and recoveries of this step, and different for any other."""
        if not isinstance(self._key, str):
            self._key = self._key()
        return self._key

    def get(self, key: str, default: Any = None) -> Any:
        """A copy of a variable, or `default` when nobody wrote it."""
        try:
            return self.vars[key]
        except KeyError:
            return default

    def set(self, key: str, value: Any) -> None:
        """Write a variable; later steps see it when this call succeeds.

        Raises:
            NodelingError: The key is a step's name, or the value is no JSON value.
        """
        self._writable(key)
        self._delta[key] = encode(value)
        self.vars._forget(key)

    def delete(self, key: str) -> None:
        """Remove a variable for later steps."""
        self._writable(key)
        self._delta[key] = None
        self.vars._forget(key)

    def who(self, key: str) -> str | None:
        """The step that wrote a variable; None when nobody did."""
        if key in self._delta:
            return self.step
        return self._source.who(key)

    @property
    def error(self) -> dict[str, Any] | None:
        """In `on_error` and `always` steps: `{code, step, message, others}` of what failed."""
        value: dict[str, Any] | None = self._part("error")
        return value

    @property
    def response(self) -> dict[str, Any]:
        """The previous step's result: `{data, success, error, contentType}`."""
        value: dict[str, Any] = self._part("response")
        return value

    @property
    def cancelled(self) -> bool:
        """Whether this call should end soon; long synchronous work looks here now and then."""
        return self._cancelled()

    @property
    def deadline(self) -> float | None:
        """When this call ends at the latest, in seconds since the epoch."""
        return self._deadline

    def remaining(self) -> float | None:
        """Seconds left until the deadline; None when there is none."""
        return None if self._deadline is None else self._deadline - time.time()

    @property
    def work_dir(self) -> Path:
        """A private folder for this call, made on first use and removed when the call ends."""
        if self._work_dir is None:
            self._work_dir = self._make_work_dir()
        return self._work_dir

    def open_blob(self, reference: Any) -> BinaryIO:
        """The bytes of a value that came by reference, to be read as a file.

        Raises:
            NodelingError: `reference` is no blob that this call was given.
        """
        if self._open_blob is None:
            raise NodelingError("this call was given no blobs", code="context.no_blobs")
        return self._open_blob(reference)

    def write_blob(
        self, data: bytes | bytearray | memoryview | BinaryIO, media_type: str = "application/octet-stream"
    ) -> dict[str, Any]:
        """Put bytes, or what a file holds from here on, aside; return the handle in the place of a value.

        The bytes stay bytes: no node and no expression takes them for JSON, and `open_blob` reads them.

        Raises:
            NodelingError: There is no place for them.
        """
        if self._write_blob is None:
            raise NodelingError("this call has no place for blobs", code="context.no_blobs")
        return self._write_blob(_pieces(data), media_type)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far this call has come."""
        self._emit("progress", {"progress": done, "total": total, "message": message})

    def metric(self, name: str, value: float) -> None:
        """Record a figure; it stands in the step's `metrics`."""
        self._emit("metric", {"name": name, "value": value})

    def end_scope(
        self, how: Literal["fail", "stop", "abort"], target: Literal["parent", "top"] = "parent"
    ) -> None:
        """Have the scope that this step stands in ended when this call has, or the whole run.

        `stop` ends it early and in order, as `stop: true` on a step does; `abort` cancels it; `fail`, for a
        call that fails, lets nothing handle that failure. A call that fails stops and aborts nothing.

        Raises:
            NodelingError: The call runs outside the runtime's process, where this is not supported.
        """
        self._emit("end_scope", {"how": how, "target": target})

    def _part(self, name: str) -> Any:
        if self._parts is None:
            self._parts = {}
        if name not in self._parts:
            data = self._source.part(name)
            self._parts[name] = None if data is None else decode(data)
        return self._parts[name]

    def _writable(self, key: str) -> None:
        if not isinstance(key, str) or not key:
            raise NodelingError(f"a context key is a non-empty string, not {key!r}", code="context.key")
        if self._source.reserved(key):
            raise NodelingError(
                f"{key!r} is a step's name; its output alone may stand there",
                code="context.reserved",
                hint="write under another key, or use set_var on the step",
            )


_FIELDS = frozenset(Context.__slots__) - {"_make_up"}
_PUBLIC = [name for name in Context.__slots__ if not name.startswith("_")]


def _pieces(data: Any) -> Iterator[bytes]:
    if isinstance(data, (bytes, bytearray, memoryview)):
        yield bytes(data)
        return
    if not hasattr(data, "read"):
        raise NodelingError(
            f"a blob is made of bytes or of an open binary file, not of a {type(data).__name__}",
            code="context.no_blobs",
        )
    while True:
        piece = data.read(BLOB_PIECE)
        if not piece:
            return
        if not isinstance(piece, bytes):
            raise NodelingError("the file of a blob has to be opened in binary mode", code="context.no_blobs")
        yield piece
