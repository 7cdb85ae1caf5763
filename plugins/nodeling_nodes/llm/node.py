"""Ask a language model, whole or piece by piece."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodeling import Context, NodeError
from nodeling_nodes import _network as network

from .answer import Answer

if TYPE_CHECKING:
    import httpx


async def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Ask, read the answer, and judge it."""
    url = inputs["base_url"].rstrip("/") + "/chat/completions"
    timeout = inputs.get("timeout_ms", 120_000) / 1_000
    began = time.monotonic()
    answer = Answer(ctx)
    try:
        async with (
            asyncio.timeout(timeout),
            network.client(network.allowed(inputs.get("allow", ())), timeout) as client,
        ):
            request = client.build_request("POST", url, content=_body(inputs), headers=_headers(ctx))
            response = await client.send(request, stream=True)
            try:
                await _read(response, inputs, url, answer)
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise NodeError(
            f"{network.origin(url)} did not answer in {timeout * 1_000:.0f} ms, its `timeout_ms`",
            code=5000,
            retryable=True,
        ) from error
    except (*network.ERRORS, NodeError) as error:
        raise network.failure(error, url) from error
    found = {**answer.to_json(), "elapsed_ms": round((time.monotonic() - began) * 1_000, 3)}
    _tell(ctx, found)
    if inputs.get("json"):
        found["json"] = _structured(found["text"], inputs["json"])
    return found


def _headers(ctx: Context) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    name = ctx.config.get("secret")
    if name is not None:
        headers["Authorization"] = f"Bearer {ctx.secrets[name]}"
    return headers


def _body(inputs: Mapping[str, Any]) -> bytes:
    messages = list(inputs.get("messages", [{"role": "user", "content": inputs.get("prompt")}]))
    if "system" in inputs:
        messages.insert(0, {"role": "system", "content": inputs["system"]})
    body: dict[str, Any] = {**inputs.get("options", {}), "model": inputs["model"], "messages": messages}
    body.update({key: inputs[key] for key in ("temperature", "max_tokens") if key in inputs})
    wanted = inputs.get("json")
    if isinstance(wanted, dict):
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": wanted, "strict": True},
        }
    elif wanted:
        body["response_format"] = {"type": "json_object"}
    if inputs.get("stream"):
        body.update({"stream": True, "stream_options": {"include_usage": True}})
    return json.dumps(body, ensure_ascii=False).encode()


async def _read(response: httpx.Response, inputs: Mapping[str, Any], url: str, answer: Answer) -> None:
    limit = inputs.get("max_bytes", 8 * 1024 * 1024)
    if not 200 <= response.status_code < 300:
        said = (await network.read_bounded(response, limit, url)).decode("utf-8", "replace")
        raise network.refusal_of(response.status_code, url, response.headers, said)
    kind = response.headers.get("content-type", "")
    if inputs.get("stream") and "text/event-stream" in kind:
        buffer = b""
        async for part in network.pieces(response, limit, url):
            *lines, buffer = (buffer + part).split(b"\n")
            for line in lines:
                answer.line(line)
        answer.line(buffer)
        answer.check_ended(network.origin(url))
        return
    answer.whole(await network.read_bounded(response, limit, url), network.origin(url))


def _tell(ctx: Context, found: Mapping[str, Any]) -> None:
    for name, value in (found["usage"] or {}).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            ctx.metric(name, value)
    ctx.metric("elapsed_ms", found["elapsed_ms"])


def _structured(text: str, wanted: Any) -> Any:
    """The answer as JSON, judged here: what an endpoint says of it is no promise."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise NodeError(
            f"the model's answer is no JSON: {error}",
            code=5000,
            retryable=True,
            details={"text": text[:2_000]},
        ) from error
    if isinstance(wanted, dict):
        from nodeling.validation import compile_schema

        faults = compile_schema(wanted, "`json`")(value)
        if faults:
            said = "; ".join(f"{fault.message} (at {fault.pointer or '/'})" for fault in faults[:5])
            raise NodeError(
                f"the model's answer does not fit: {said}",
                code=5000,
                retryable=True,
                details={"text": text[:2_000]},
            )
    return value
