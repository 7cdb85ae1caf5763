"""The answer of a model, as it comes: at once, or as a stream of events."""

from __future__ import annotations

import json
from typing import Any

from nodeling import Context, NodeError

MAX_CALLS = 1_000


class Answer:
    """Puts together what an endpoint sends."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._texts: list[str] = []
        self._length = 0
        self._model = ""
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None
        self._tools: list[Any] = []
        self._done = False

    def whole(self, data: bytes, origin: str) -> None:
        """Take an answer that came at once."""
        try:
            body = json.loads(data)
            choice = body["choices"][0]
            message = choice["message"]
            if not isinstance(message, dict):
                raise TypeError("a message is an object")
        except (ValueError, LookupError, TypeError) as error:
            raise NodeError(
                f"{origin} answered what is no chat completion",
                code=5000,
                retryable=False,
                details={"body": data[:500].decode("utf-8", "replace")},
            ) from error
        self._head(body)
        self._texts.append(message.get("content") or "")
        self._tools.extend(message.get("tool_calls") or [])
        self._finish = choice.get("finish_reason")

    def line(self, line: bytes) -> None:
        """Take one line of a stream."""
        text = line.decode("utf-8", "replace").strip()
        if not text.startswith("data:"):
            return  # an event's name, a comment, the end of an event
        data = text[5:].strip()
        if data == "[DONE]":
            self._done = True
            return
        try:
            body = json.loads(data)
        except ValueError as error:
            raise NodeError(f"the stream holds what is no JSON: {data[:200]}", code=5000) from error
        if not isinstance(body, dict):
            raise NodeError(f"the stream holds no object: {data[:200]}", code=5000)
        if body.get("error"):
            said = body["error"].get("message") if isinstance(body["error"], dict) else body["error"]
            raise NodeError(f"the endpoint broke off: {said}", code=5000, retryable=True)
        self._head(body)
        for choice in (body.get("choices") or [])[:1]:
            self._piece(choice)

    def _piece(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or {}
        piece = delta.get("content")
        if piece:
            self._texts.append(piece)
            self._length += len(piece)
            self._ctx.progress(self._length, message=piece)
        for call in delta.get("tool_calls") or []:
            self._part_of_call(call)
        self._finish = choice.get("finish_reason") or self._finish

    def _part_of_call(self, part: dict[str, Any]) -> None:
        """A call comes in parts: its name at first, its arguments text by text."""
        index = part.get("index", 0)
        while len(self._tools) <= index < MAX_CALLS:
            self._tools.append({"function": {"name": "", "arguments": ""}})
        if not 0 <= index < MAX_CALLS:
            raise NodeError(f"the answer holds more than {MAX_CALLS} calls", code=4005, retryable=False)
        call, function = self._tools[index], part.get("function") or {}
        call.update({key: part[key] for key in ("id", "type") if part.get(key)})
        for key in ("name", "arguments"):
            call["function"][key] += function.get(key) or ""

    def _head(self, body: dict[str, Any]) -> None:
        self._model = str(body.get("model") or self._model)
        usage = body.get("usage")
        if isinstance(usage, dict):
            self._usage = usage

    def check_ended(self, origin: str) -> None:
        """A stream that ends without saying so was cut off."""
        if not self._done and self._finish is None:
            raise NodeError(f"{origin} ended its answer in the middle", code=5000, retryable=True)

    def to_json(self) -> dict[str, Any]:
        """The answer as the node gives it."""
        body: dict[str, Any] = {
            "text": "".join(self._texts),
            "model": self._model,
            "finish_reason": self._finish,
            "usage": self._usage,
        }
        if self._tools:
            body["tool_calls"] = self._tools
        return body
