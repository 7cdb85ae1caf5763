"""notify and llm: against local servers."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from http_stage import Asked, Server

from nodeling.testing import NodeOutcome

Shipped = Callable[..., NodeOutcome]
ALLOW = {"allow": ["127.0.0.1"]}


# -- notify


def test_a_webhook_gets_the_message_with_the_same_key_each_time(shipped: Shipped, web: Server) -> None:
    web.answers("/hook", (503, {}, b""), (204, {}, b""))
    told = {"text": "done", "title": "Load", "level": "warning", "data": {"rows": 3}}
    inputs = {**told, "url": web.url + "/hook"}
    outcome = shipped("notify", {**inputs, **ALLOW}, step={"retry": {"attempts": 2, "delay": 1}})
    assert outcome.output == {"channel": "webhook", "delivered": True, "receipt": {"status": 204, "body": ""}}
    first, second = web.asked
    said = json.loads(second.body)
    assert {key: said[key] for key in told} == told
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_the_address_may_be_a_secret(shipped: Shipped, web: Server) -> None:
    web.answer("/hook")
    config: dict[str, Any] = {"config": {"secret": "HOOK"}, "secrets": {"HOOK": web.url + "/hook"}}
    assert shipped("notify", {"text": "hi", **ALLOW}, **config).succeeded
    assert shipped("notify", {"text": "hi"}).code == 4001
    web.answer("/hook", status=403)
    error = shipped("notify", {"text": "hi", **ALLOW}, **config).error or {}
    assert error["code"] == 4003 and "/hook" not in error["message"]


def pigeon(ctx: Any, message: dict[str, Any], inputs: dict[str, Any]) -> str:
    return f"{message['text']} by {inputs['settings']['bird']}"


async def owl(ctx: Any, message: dict[str, Any], inputs: dict[str, Any]) -> str:
    return message["text"].upper()


def test_other_channels_come_from_plugins(shipped: Shipped, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.entry_points
    mine = [SimpleNamespace(name=one.__name__, load=lambda one=one: one) for one in (pigeon, owl)]

    def entry_points(**wanted: Any) -> Any:
        return mine if wanted.get("group") == "nodeling.channels" else real(**wanted)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    inputs = {"text": "hi", "channel": "pigeon", "settings": {"bird": "Bob"}}
    assert shipped("notify", inputs).output["receipt"] == "hi by Bob"
    assert shipped("notify", {"text": "hi", "channel": "owl"}).output["receipt"] == "HI"
    error = shipped("notify", {"text": "hi", "channel": "pigoen"}).error or {}
    assert error["code"] == 4004 and error["details"]["hint"] == "did you mean 'pigeon'?"


# -- llm


def completion(text: str, **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return json.dumps({"model": "small-1", "choices": [choice], "usage": usage, **more}).encode()


def ask(shipped: Shipped, web: Server, how: dict[str, Any] | None = None, **inputs: Any) -> NodeOutcome:
    asked = {"base_url": web.url + "/v1/", "model": "small", "prompt": "hi", **ALLOW, **inputs}
    return shipped("llm", asked, **(how or {}))


def answers(web: Server, *bodies: bytes, kind: str = "application/json") -> None:
    web.answers("/v1/chat/completions", *((200, {"Content-Type": kind}, body) for body in bodies))


def test_an_answer_comes_with_what_it_cost(shipped: Shipped, web: Server) -> None:
    answers(web, completion("hello"))
    secret = {"config": {"secret": "LLM_KEY"}, "secrets": {"LLM_KEY": "very-secret"}}
    outcome = ask(shipped, web, secret, system="be brief", temperature=0, max_tokens=9, options={"seed": 1})
    found = outcome.output
    assert (found["text"], found["model"], found["finish_reason"]) == ("hello", "small-1", "stop")
    assert found["usage"]["total_tokens"] == 5 and outcome.metrics["total_tokens"] == 5
    (one,) = web.asked
    assert one.headers["authorization"] == "Bearer very-secret"
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    assert json.loads(one.body) == {
        "seed": 1,
        "model": "small",
        "messages": messages,
        "temperature": 0,
        "max_tokens": 9,
    }


def stream(*pieces: str, end: bool = True) -> bytes:
    lines = [": a comment\n\n"]
    for piece in pieces:
        delta = {"model": "small-1", "choices": [{"delta": {"content": piece}, "finish_reason": None}]}
        lines.append(f"data: {json.dumps(delta, ensure_ascii=False)}\n\n")
    if end:
        last: dict[str, Any] = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
        usage = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
        lines += [f"data: {json.dumps(last)}\r\n\r\n", f"data: {json.dumps(usage)}\n\n", "data: [DONE]\n\n"]
    return "".join(lines).encode()


def test_a_stream_is_told_piece_by_piece(shipped: Shipped, web: Server) -> None:
    answers(web, stream("Hé", "llo", " you"), kind="text/event-stream")
    outcome = ask(shipped, web, stream=True)
    assert outcome.output["text"] == "Héllo you" and outcome.output["usage"]["total_tokens"] == 3
    assert [one["message"] for one in outcome.progress] == ["Hé", "llo", " you"]
    assert json.loads(web.asked[0].body)["stream"] is True


def test_a_stream_that_is_cut_off_or_reports_an_error_is_no_answer(shipped: Shipped, web: Server) -> None:
    answers(web, stream("half", end=False), kind="text/event-stream")
    error = ask(shipped, web, stream=True).error or {}
    assert error["code"] == 5000 and error["retryable"] and "in the middle" in error["message"]
    answers(web, b'data: {"error": {"message": "overloaded"}}\n\n', kind="text/event-stream")
    assert "overloaded" in (ask(shipped, web, stream=True).error or {})["message"]
    answers(web, b"data: {no\n\n", kind="text/event-stream")
    assert ask(shipped, web, stream=True).code == 5000


def test_calls_of_tools_are_put_together(shipped: Shipped, web: Server) -> None:
    parts: list[dict[str, Any]] = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    ]
    lines = [f"data: {json.dumps({'choices': [{'delta': {'tool_calls': [part]}}]})}\n\n" for part in parts]
    answers(web, "".join([*lines, "data: [DONE]\n\n"]).encode(), kind="text/event-stream")
    (call,) = ask(shipped, web, stream=True).output["tool_calls"]
    assert call["id"] == "c1" and call["function"] == {"name": "look", "arguments": '{"a": 1}'}


def test_an_answer_must_be_what_was_asked_for(shipped: Shipped, web: Server) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    answers(web, completion('{"n": 1}'))
    assert ask(shipped, web, json=schema).output["json"] == {"n": 1}
    assert json.loads(web.asked[0].body)["response_format"]["json_schema"]["schema"] == schema
    for text, said in (('{"n": "x"}', "does not fit"), ("no", "is no JSON")):
        answers(web, completion(text))
        error = ask(shipped, web, json=schema).error or {}
        assert error["code"] == 5000 and error["retryable"] and said in error["message"]


@pytest.mark.parametrize("body", [b"no", b"[]", b'{"choices": []}', b'{"choices": [{"message": null}]}'])
def test_what_is_no_completion_is_said(shipped: Shipped, web: Server, body: bytes) -> None:
    answers(web, body)
    assert ask(shipped, web).code == 5000


def test_limits_and_refusals_have_their_codes(shipped: Shipped, web: Server) -> None:
    web.answers("/v1/chat/completions", (429, {"Retry-After": "0"}, b"{}"), (200, {}, completion("late")))
    outcome = ask(shipped, web, {"step": {"retry": {"attempts": 2, "delay": 1}}})
    assert outcome.output["text"] == "late" and outcome.attempts == 2
    web.answers("/v1/chat/completions", (401, {}, b'{"error": "bad key"}'))
    assert ask(shipped, web).code == 4003
    answers(web, completion("x" * 1_000))
    assert ask(shipped, web, max_bytes=100).code == 4005

    def hang(_asked: Asked) -> Any:
        web.hanging.wait(20)
        return 200, {}, b""

    web.routes["/v1/chat/completions"] = hang
    error = ask(shipped, web, timeout_ms=200).error or {}
    assert error["code"] == 5000 and "200 ms, its `timeout_ms`" in error["message"]
