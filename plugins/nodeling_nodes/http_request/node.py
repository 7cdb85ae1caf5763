"""Ask an HTTP server: bounded in time, size, tries and redirects, and guarded at every connection."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodeling import Context, NodeError
from nodeling_nodes import _files
from nodeling_nodes import _network as network

if TYPE_CHECKING:
    import httpx

IN_MEMORY = 16 * 1024 * 1024
IN_A_FILE = 1024 * 1024 * 1024
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 500.0, 30_000.0
REPEATABLE = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}
NOT_TAKEN_UP = {5001, 5005}  # the server said that it did nothing, or was never reached
CARRIED = {"accept", "accept-language", "content-type", "user-agent"}  # what another host may be told, too


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as it is wanted."""

    ctx: Context
    inputs: Mapping[str, Any]
    secret: str | None
    guard: network.Allowed

    @property
    def method(self) -> str:
        """Its method."""
        return str(self.inputs.get("method", "GET"))

    @property
    def timeout(self) -> float:
        """Seconds for one try."""
        return float(self.inputs.get("timeout_ms", 30_000)) / 1_000

    @property
    def max_bytes(self) -> int:
        """The largest body."""
        is_streamed = "to_file" in self.inputs or self.inputs.get("expect") == "blob"
        return int(self.inputs.get("max_bytes", IN_A_FILE if is_streamed else IN_MEMORY))


async def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Ask, and ask again where that can help."""
    ask = Ask(ctx, inputs, _secret(ctx, inputs), network.allowed(inputs.get("allow", ())))
    tries = inputs.get("retries", 0) + 1
    for number in range(1, tries + 1):
        try:
            answer = await _try(ask)
        except NodeError as error:
            if number == tries or not _again(error, ask.method):
                raise
            pause = _pause_ms(error, number)
            ctx.log.warning(f"{error.message}; once more in {pause:.0f} ms", attempt=number)
            await asyncio.sleep(pause / 1_000)
            continue
        ctx.metric("tries", number)
        ctx.metric("bytes", answer["bytes"])
        return answer
    raise AssertionError("the last try returns or raises")


def _secret(ctx: Context, inputs: Mapping[str, Any]) -> str | None:
    name = ctx.config.get("secret")
    if "auth" in inputs and name is None:
        raise NodeError(
            "`auth` sends a secret, and the step's `config` names none",
            code=4002,
            retryable=False,
            hint="config: {secret: NAME}",
        )
    return None if name is None else ctx.secrets[name]


def _again(error: NodeError, method: str) -> bool:
    return bool(error.retryable) and (method in REPEATABLE or error.code in NOT_TAKEN_UP)


def _pause_ms(error: NodeError, number: int) -> float:
    if error.retry_after_ms is not None:
        return float(min(error.retry_after_ms, LONGEST_PAUSE_MS))
    return min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2.0 ** (number - 1)) * random.random()  # noqa: S311


async def _try(ask: Ask) -> dict[str, Any]:
    url = ask.inputs["url"]
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(ask.timeout),
            network.client(ask.guard, ask.timeout, verify=ask.inputs.get("verify", True)) as client,
        ):
            answer = await _follow(client, _request(client, ask), ask)
            try:
                found = await _read(answer, ask)
            finally:
                await answer.aclose()
    except TimeoutError as error:
        raise NodeError(
            f"{network.origin(url)} did not answer in {ask.timeout * 1_000:.0f} ms, its `timeout_ms`",
            code=5000,
            retryable=True,
        ) from error
    except (*network.ERRORS, NodeError) as error:
        raise network.failure(error, url) from error
    return {**found, "elapsed_ms": round((time.monotonic() - began) * 1_000, 3)}


def _request(client: httpx.AsyncClient, ask: Ask) -> httpx.Request:
    given = ask.inputs
    headers = dict(given.get("headers", {}))
    how = given.get("auth", {})
    if "bearer" in how:
        headers["Authorization"] = f"Bearer {ask.secret}"
    elif "basic" in how:
        pair = base64.b64encode(f"{how['basic']}:{ask.secret}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    elif "header" in how:
        headers[how["header"]] = str(ask.secret)
    body: dict[str, Any] = {}
    if "json" in given:
        body["content"] = json.dumps(given["json"], ensure_ascii=False, separators=(",", ":")).encode()
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
    elif "form" in given:
        body["data"] = given["form"]
    elif "body" in given:
        body["content"] = given["body"].encode()
    return client.build_request(ask.method, given["url"], headers=headers, params=given.get("query"), **body)


async def _follow(client: httpx.AsyncClient, request: httpx.Request, ask: Ask) -> httpx.Response:
    """Send, and follow redirects; another host is told no header that was meant for the first."""
    most = ask.inputs.get("redirects", 5)
    answer = await client.send(request, stream=True)
    for _ in range(most):
        following = answer.next_request
        if following is None:
            return answer
        await answer.aclose()
        if not _same_origin(request.url, following.url):
            for name in ask.inputs.get("headers", {}):
                if name.lower() not in CARRIED:
                    following.headers.pop(name, None)
            for name in ("authorization", "cookie", str(ask.inputs.get("auth", {}).get("header", "cookie"))):
                following.headers.pop(name, None)
        request = following
        answer = await client.send(request, stream=True)
    if answer.next_request is not None and most:
        await answer.aclose()
        raise NodeError(
            f"{network.origin(str(request.url))} redirects more than {most} times, its `redirects`",
            code=4005,
            retryable=False,
        )
    return answer


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


async def _read(answer: httpx.Response, ask: Ask) -> dict[str, Any]:
    given, url = ask.inputs, ask.inputs["url"]
    status, limit = answer.status_code, ask.max_bytes
    ok = 200 <= status < 300
    if not (ok or given.get("any_status") or status in given.get("accept", ())):
        start = await _beginning(answer)
        raise network.refusal_of(status, url, answer.headers, start)
    head = {
        "status": status,
        "ok": ok,
        "headers": {name.lower(): value for name, value in answer.headers.items()},
        "url": str(answer.url),
    }
    if "to_file" in given:
        return {**head, **await _into_file(answer, given["to_file"], limit, url), "path": given["to_file"]}
    if given.get("expect") == "blob":
        return {**head, **await _into_blob(ask.ctx, answer, limit, url)}
    data = await network.read_bounded(answer, limit, url)
    return {**head, "body": _body(data, answer, given.get("expect", "auto"), url), "bytes": len(data)}


async def _beginning(answer: httpx.Response) -> str:
    data = b""
    async for part in answer.aiter_bytes(16 * 1024):
        data += part
        if len(data) >= network.MAX_SHOWN * 4:
            break
    return data.decode("utf-8", "replace")


async def _into_file(answer: httpx.Response, path: str, limit: int, url: str) -> dict[str, Any]:
    size, digest = 0, hashlib.sha256()
    holder = _files.replacing(path)
    file = await asyncio.to_thread(holder.__enter__)
    try:
        async for part in network.pieces(answer, limit, url):
            await asyncio.to_thread(file.write, part)
            digest.update(part)
            size += len(part)
    except BaseException as error:
        holder.__exit__(type(error), error, error.__traceback__)
        raise
    await asyncio.to_thread(holder.__exit__, None, None, None)
    return {"body": None, "bytes": size, "sha256": digest.hexdigest()}


async def _into_blob(ctx: Context, answer: httpx.Response, limit: int, url: str) -> dict[str, Any]:
    """The body aside, never whole in memory, and its handle in its place."""
    path = ctx.work_dir / "body"
    found = await _into_file(answer, str(path), limit, url)
    kind = answer.headers.get("content-type", "application/octet-stream")

    def keep() -> dict[str, Any]:
        with path.open("rb") as file:
            return ctx.write_blob(file, kind.partition(";")[0].strip())

    try:
        return {**found, "body": await asyncio.to_thread(keep)}
    finally:
        path.unlink()


def _body(data: bytes, answer: httpx.Response, expect: str, url: str) -> Any:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if expect == "none" or (expect == "auto" and not data):
        return None
    if expect == "base64":
        return base64.b64encode(data).decode()
    if expect == "json" or (expect == "auto" and (kind == "application/json" or kind.endswith("+json"))):
        try:
            return json.loads(data, parse_constant=_no_constant)
        except ValueError as error:
            raise NodeError(
                f"{network.origin(url)} answered what is no JSON: {error}",
                code=5000,
                retryable=False,
                details={"body": data[: network.MAX_SHOWN].decode("utf-8", "replace")},
            ) from error
    return data.decode(answer.charset_encoding or "utf-8", "replace")


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
