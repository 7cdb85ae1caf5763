"""Tell somebody: by a webhook, or by a channel that another package brings."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nodeling import Context, NodeError
from nodeling.errors import nearest

GROUP = "nodeling.channels"
MAX_ANSWER = 64 * 1024


def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Hand the message to its channel: on this thread, or on the loop where the channel is async."""
    name = inputs.get("channel", "webhook")
    send = webhook if name == "webhook" else _channel(name)
    message = {
        "title": inputs.get("title"),
        "text": inputs["text"],
        "level": inputs.get("level", "info"),
        "data": inputs.get("data", {}),
        "run_id": ctx.run_id,
        "step": ctx.step,
    }
    receipt = send(ctx, message, inputs)
    return _awaited(name, receipt) if inspect.isawaitable(receipt) else _delivered(name, receipt)


async def _awaited(name: str, receipt: Awaitable[Any]) -> dict[str, Any]:
    return _delivered(name, await receipt)


def _delivered(name: str, receipt: Any) -> dict[str, Any]:
    return {"channel": name, "delivered": True, "receipt": receipt}


def _channel(name: str) -> Callable[..., Any]:
    from importlib.metadata import entry_points

    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        known = ["webhook", *points]
        near = nearest(name, known)
        raise NodeError(
            f"there is no channel {name!r}",
            code=4004,
            retryable=False,
            hint=f"did you mean {near!r}?" if near else f"there is {', '.join(known)}",
        )
    found: Callable[..., Any] = points[name].load()
    return found


async def webhook(ctx: Context, message: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    """POST the message as JSON. The receiver sees the same key again when it is sent again."""
    from nodeling_nodes import _network as network

    secret = ctx.config.get("secret")
    url = inputs.get("url") or (ctx.secrets[secret] if secret else None)
    if url is None:
        raise NodeError("there is no `url`, and `config.secret` names none", code=4001, retryable=False)
    timeout = inputs.get("timeout_ms", 10_000) / 1_000
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": ctx.idempotency_key,
        **inputs.get("headers", {}),
    }
    data = json.dumps(message, ensure_ascii=False).encode()
    try:
        async with (
            asyncio.timeout(timeout),
            network.client(network.allowed(inputs.get("allow", ())), timeout) as client,
        ):
            request = client.build_request("POST", url, content=data, headers=headers)
            answer = await client.send(request, stream=True)
            try:
                said = (await network.read_bounded(answer, MAX_ANSWER, url)).decode("utf-8", "replace")
            finally:
                await answer.aclose()
    except TimeoutError as error:
        raise NodeError(
            f"{network.origin(url)} did not answer in {timeout * 1_000:.0f} ms, its `timeout_ms`", code=5000
        ) from error
    except (*network.ERRORS, NodeError) as error:
        raise network.failure(error, url) from error
    if not 200 <= answer.status_code < 300:
        raise network.refusal_of(answer.status_code, url, answer.headers, said)
    return {"status": answer.status_code, "body": said}
