"""A context that belongs to no run, for calling a node's function directly."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodeling.context import Context
from nodeling.protocol_blobs import open_blob, write_blob
from nodeling.values import decode, encode

__all__ = ["FakeContext"]

REQUEST: dict[str, Any] = {"body": None, "headers": {}, "query": {}, "params": {}, "method": "", "path": ""}


class _Source:
    """The context's reading side, in memory."""

    def __init__(self, given: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
        self._vars = {key: encode(value) for key, value in given.items()}
        self._parts = {key: encode(value) for key, value in parts.items()}

    def read(self, key: str) -> bytes | None:
        return self._vars.get(key)

    def keys(self) -> list[str]:
        return list(self._vars)

    def who(self, key: str) -> str | None:
        return "test" if key in self._vars else None

    def part(self, name: str) -> bytes | None:
        return self._parts.get(name)

    def reserved(self, key: str) -> bool:
        return False


class FakeContext(Context):
    """A `Context` that a test makes, and looks into afterwards.

        ctx = FakeContext(vars={"limit": 3}, secrets={"TOKEN": "t"})
        handle(ctx, {"text": "hi"})
        assert ctx.written == {"seen": 1} and ctx.logs == ["saw hi"]

    Args:
        vars: Context variables the node finds.
        config: The step's configuration.
        secrets: Secrets by name.
        env: Environment variables by name.
        request: Parts of the request: `body`, `headers`, `query`, `params`, `method`, `path`.
        response: The previous step's result.
        error: What an `on_error` step sees.
        deadline: When the call ends, in seconds since the epoch.
        cancelled: Whether the node was asked to end; `cancel()` does it later.
        attempt: Which attempt this is.
    """

    __slots__ = ("__weakref__", "_blobs", "_is_cancelled", "events")

    def __init__(
        self,
        *,
        vars: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        request: Mapping[str, Any] | None = None,
        response: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        cancelled: bool = False,
        attempt: int = 1,
    ) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._is_cancelled = cancelled
        self._blobs: str | None = None  # the folder of what the node writes, made when it writes
        parts: dict[str, Any] = {
            f"request.{key}": value for key, value in {**REQUEST, **(request or {})}.items()
        }
        parts["error"] = None if error is None else dict(error)
        parts["response"] = {
            "data": None,
            "success": True,
            "error": None,
            "contentType": "application/json",
            **(response or {}),
        }
        super().__init__(
            source=_Source(vars or {}, parts),
            emit=lambda kind, data: self.events.append((kind, data)),
            cancelled=lambda: self._is_cancelled,
            make_work_dir=self._folder,
            run_id="test-run",
            step="test",
            attempt=attempt,
            idempotency_key="test-key",
            deadline=deadline,
            config=dict(config or {}),
            secrets=dict(secrets or {}),
            env=dict(env or {}),
            open_blob=lambda handle: open_blob(self._blob_folder(), handle),
            write_blob=lambda pieces, media_type: write_blob(
                self._blob_folder(), pieces, media_type=media_type, encoding="raw"
            ),
        )

    def cancel(self) -> None:
        """Ask the node to end, as a timeout does."""
        self._is_cancelled = True

    @property
    def written(self) -> dict[str, Any]:
        """What the node wrote with `set`; None stands for what it deleted."""
        return {key: None if data is None else decode(data) for key, data in self._delta.items()}

    @property
    def logs(self) -> list[str]:
        """The messages the node logged."""
        return [str(data["message"]) for kind, data in self.events if kind == "log"]

    @property
    def metrics(self) -> dict[str, float]:
        """The figures the node recorded."""
        return {str(data["name"]): data["value"] for kind, data in self.events if kind == "metric"}

    def _blob_folder(self) -> str:
        if self._blobs is None:
            self._blobs = str(self._folder())
        return self._blobs

    def _folder(self) -> Path:
        folder = tempfile.mkdtemp(prefix="nodeling-test-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)
