"""http-request: what it gives and bounds, and what it never reaches."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from http_stage import Asked, Server

import nodeling
from cli_calls import write_node
from nodeling import NodeError, Workflow
from nodeling.testing import NodeOutcome
from nodeling_nodes import _network as network

Shipped = Callable[..., NodeOutcome]
ALLOW = {"allow": ["127.0.0.1"]}


def asked(shipped: Shipped, web: Server, path: str, **more: Any) -> NodeOutcome:
    return shipped("http-request", {"url": web.url + path, **ALLOW, **more})


def test_json_and_text_come_as_what_they_are(shipped: Shipped, web: Server) -> None:
    web.answer("/json", body=b'{"a": [1]}', Content_Type="application/json; charset=utf-8")
    web.answer("/text", body="é".encode("latin-1"), Content_Type="text/plain; charset=latin-1")
    found = asked(shipped, web, "/json", query={"q": "a b", "n": 1}, headers={"X-Mine": "1"}).output
    assert (found["status"], found["ok"], found["body"], found["bytes"]) == (200, True, {"a": [1]}, 10)
    assert web.asked[0].path == "/json?q=a+b&n=1" and web.asked[0].headers["x-mine"] == "1"
    assert asked(shipped, web, "/text").output["body"] == "é"
    assert asked(shipped, web, "/text", expect="base64").output["body"] == "6Q=="
    assert asked(shipped, web, "/text", expect="json").code == 5000


def test_bodies_are_sent_as_what_they_are(shipped: Shipped, web: Server) -> None:
    web.answer("/")
    for more in ({"json": {"é": 1}}, {"body": "plain"}, {"form": {"a": "1 2"}}):
        assert asked(shipped, web, "/", method="POST", **more).succeeded
    assert [one.body for one in web.asked] == ['{"é":1}'.encode(), b"plain", b"a=1+2"]
    assert web.asked[0].headers["content-type"] == "application/json"
    assert asked(shipped, web, "/", json=1, body="x").code == 4001


@pytest.mark.parametrize(
    ("status", "headers", "code", "retryable"),
    [
        (429, {"Retry-After": "7"}, 5001, True),
        (503, {}, 5005, True),
        (500, {}, 5000, True),
        (502, {}, 5000, True),
        (501, {}, 5000, False),
        (404, {}, 4004, False),
        (401, {}, 4003, False),
        (418, {}, 4000, False),
        (302, {}, 4000, False),
    ],
)
def test_a_status_is_an_error_with_its_code(
    shipped: Shipped, web: Server, status: int, headers: dict[str, str], code: int, retryable: bool
) -> None:
    web.routes["/"] = lambda _asked: (status, headers, b"the reason")
    error = asked(shipped, web, "/").error or {}
    assert (error["code"], error["retryable"]) == (code, retryable)
    assert error["details"]["status"] == status and error["details"]["body"] == "the reason"
    assert asked(shipped, web, "/", any_status=True).output["status"] == status
    assert asked(shipped, web, "/", accept=[status]).output["ok"] is False


def test_what_the_server_asks_to_wait_is_read() -> None:
    assert network.retry_after_ms("7") == 7_000
    assert network.retry_after_ms("999999999") == network.LONGEST_RETRY_AFTER_MS
    assert network.retry_after_ms("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [network.retry_after_ms(text) for text in (None, "", "soon", "-1", "١")] == [None] * 5
    error = network.refusal_of(429, "http://x.test/", {"retry-after": "3"}, "")
    assert (error.code, error.retry_after_ms) == (5001, 3_000)


def test_it_asks_again_where_that_can_help(shipped: Shipped, web: Server) -> None:
    busy = (503, {"Retry-After": "0"}, b"")
    web.answers("/", busy, busy, (200, {}, b"at last"))
    outcome = asked(shipped, web, "/", retries=3)
    assert outcome.output["body"] == "at last" and len(web.asked) == 3
    assert outcome.metrics["tries"] == 3
    web.asked.clear()
    web.answers("/bad", (400, {}, b""))
    assert asked(shipped, web, "/bad", retries=3).code == 4001 and len(web.asked) == 1
    web.asked.clear()
    web.answers("/once", (500, {}, b""))
    assert asked(shipped, web, "/once", method="POST", retries=3).code == 5000 and len(web.asked) == 1


def test_a_body_that_is_too_large_is_not_taken(shipped: Shipped, web: Server, here: Path) -> None:
    web.answer("/", body=b"x" * 1000)
    web.answer("/bomb", body=gzip.compress(b"0" * 20_000_000), Content_Encoding="gzip")
    for path in ("/", "/bomb"):
        error = asked(shipped, web, path, max_bytes=500).error or {}
        assert error["code"] == 4005 and "more than 500 bytes, its `max_bytes`" in error["message"]
    assert asked(shipped, web, "/bomb", max_bytes=1_000_000, to_file="bomb").code == 4005
    assert list(here.iterdir()) == []


def test_a_body_is_streamed_into_a_file(shipped: Shipped, web: Server, here: Path) -> None:
    data = bytes(range(256)) * 4_000
    web.answer("/", body=data)
    found = asked(shipped, web, "/", to_file="in/data.bin").output
    assert (here / "in/data.bin").read_bytes() == data
    assert found["sha256"] == hashlib.sha256(data).hexdigest() and found["bytes"] == len(data)
    assert found["body"] is None


SIZES = """
def run(ctx, inputs):
    with ctx.open_blob(inputs["body"]) as file:
        data = file.read()
    return {"bytes": len(data), "first": list(data[:3]), "whole": data == bytes(range(256)) * 4_000}
"""


@pytest.mark.parametrize("kind", ["python", "runtime.python3"])
def test_a_body_is_streamed_aside_and_the_next_node_opens_it(web: Server, here: Path, kind: str) -> None:
    web.answer("/", body=bytes(range(256)) * 4_000, Content_Type="application/x-thing; charset=none")
    write_node(here, "sizes", SIZES, runtime={"type": kind})
    steps = [
        {"name": "get", "node": "http-request", "inputs": {"url": f"{web.url}/", "expect": "blob", **ALLOW}},
        {"name": "look", "node": "sizes", "inputs": {"body": "${steps.get.output.body}"}},
    ]
    (here / "flow.json").write_text(json.dumps({"name": "flow", "steps": steps}), encoding="utf-8")
    result = nodeling.run(here / "flow.json")
    assert result.status == "succeeded", result.error
    assert result.output == {"bytes": 1_024_000, "first": [0, 1, 2], "whole": True}


def test_a_body_that_is_larger_than_the_bound_is_no_blob(shipped: Shipped, web: Server) -> None:
    web.answer("/", body=b"x" * 600)
    assert asked(shipped, web, "/", expect="blob", max_bytes=500).code == 4005


def test_an_answer_that_breaks_off_leaves_no_file(shipped: Shipped, web: Server, here: Path) -> None:
    web.answer("/", body=b"part", Content_Length="1000")
    outcome = asked(shipped, web, "/", to_file="data", timeout_ms=1_000)
    assert outcome.code == 5000 and list(here.iterdir()) == []


def test_a_server_that_does_not_answer_is_given_up(shipped: Shipped, web: Server) -> None:
    def hang(_asked: Asked) -> Any:
        web.hanging.wait(20)
        return 200, {}, b""

    web.routes["/"] = hang
    began = time.monotonic()
    error = asked(shipped, web, "/", timeout_ms=200).error or {}
    assert error["code"] == 5000 and "200 ms, its `timeout_ms`" in error["message"]
    assert time.monotonic() - began < 15


def test_a_closed_port_and_an_unknown_host_cannot_be_reached(shipped: Shipped) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        outcome = shipped("http-request", {"url": f"http://127.0.0.1:{port}/", **ALLOW})
    assert outcome.code == 5005
    assert shipped("http-request", {"url": "http://nowhere.invalid/"}).code == 5005


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"X": "a\nb"}},
        {"headers": {"X y": "a"}},
        {"url": "http://" + "a" * 70 + ".test/"},
    ],
)
def test_a_request_that_cannot_be_is_not_tried_again(shipped: Shipped, web: Server, more: Any) -> None:
    outcome = shipped("http-request", {"url": web.url, **ALLOW, "retries": 2, **more})
    assert outcome.code == 4001, outcome.error


# -- what it never reaches

PRIVATE = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.0.0.1/",
    "http://017700000001/",
    "http://0.0.0.0/",
    "http://localhost/",
    "http://localhost./",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://user:pass@127.0.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_no_private_address_is_reached_however_it_is_written(shipped: Shipped, url: str) -> None:
    error = shipped("http-request", {"url": url, "timeout_ms": 5_000}).error or {}
    # A spelling that this system's resolver does not read is no address at all.
    assert error["code"] == 4003 or (error["code"] == 5005 and "is not known" in error["message"]), error


def test_the_metadata_service_and_the_loopback_are_refused_for_sure(shipped: Shipped) -> None:
    for url in ("http://169.254.169.254/", "http://127.0.0.1:1/", "http://[::ffff:127.0.0.1]:1/"):
        error = shipped("http-request", {"url": url}).error or {}
        assert error["code"] == 4003 and "is not a public address" in error["message"]
        assert "NODELING_HTTP_ALLOW" in error["details"]["hint"]


def test_a_redirect_to_a_private_address_is_refused(shipped: Shipped, web: Server) -> None:
    for place in ("http://169.254.169.254/", f"http://127.0.0.2:{web.port}/secret", "http://[::1]/"):
        web.answer("/", status=302, Location=place)
        error = asked(shipped, web, "/").error or {}
        assert error["code"] == 4003
    assert [one.path for one in web.asked] == ["/", "/", "/"]


def test_it_is_the_resolved_address_that_counts(
    shipped: Shipped, web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host in ("rebinding.test", b"rebinding.test"):
            address = answers.pop(0) if len(answers) > 1 else answers[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]
        return real(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    answers[:] = ["127.0.0.1"]
    error = shipped("http-request", {"url": f"http://rebinding.test:{web.port}/"}).error or {}
    assert error["code"] == 4003 and "rebinding.test (127.0.0.1)" in error["message"]
    assert web.asked == []
    web.answer("/", body=b"hi")
    found = shipped("http-request", {"url": f"http://rebinding.test:{web.port}/", "allow": ["127.0.0.0/8"]})
    assert found.output["body"] == "hi"
    assert web.asked[0].headers["host"] == f"rebinding.test:{web.port}"


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(host: str, port: int) -> list[Any]:
        return [ipaddress.ip_address("93.184.216.34"), ipaddress.ip_address("10.0.0.1")]

    monkeypatch.setattr(network, "_resolve", two)
    with pytest.raises(NodeError, match="10.0.0.1"):
        asyncio.run(network.Guard(network.allowed()).connect_tcp("both.test", 80))


def test_the_environment_may_allow_hosts_and_networks(
    shipped: Shipped, web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.answer("/", body=b"hi")
    inputs = {"url": f"http://localhost:{web.port}/"}
    for value, allowed in (
        ("localhost", True),
        ("127.0.0.0/8, ::1", True),
        ("10.0.0.0/8", False),
        ("", False),
    ):
        monkeypatch.setenv("NODELING_HTTP_ALLOW", value)
        assert shipped("http-request", inputs).succeeded is allowed
    monkeypatch.setenv("NODELING_HTTP_ALLOW", "10.0.0/99")
    assert shipped("http-request", inputs).code == 4002


def test_proxies_of_the_environment_are_not_used(
    shipped: Shipped, web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, web.url)
    assert shipped("http-request", {"url": "http://169.254.169.254/"}).code == 4003
    assert web.asked == []


# -- redirects and secrets


def test_redirects_are_followed_and_bounded(shipped: Shipped, web: Server) -> None:
    web.answer("/a", status=301, Location="/b")
    web.answer("/b", status=307, Location="/c")
    web.answer("/c", body=b"end")
    web.answer("/loop", status=302, Location="/loop")
    found = asked(shipped, web, "/a").output
    assert found["body"] == "end" and found["url"].endswith("/c")
    error = asked(shipped, web, "/loop").error or {}
    assert error["code"] == 4005 and "redirects more than 5 times" in error["message"]
    assert asked(shipped, web, "/a", redirects=0, any_status=True).output["status"] == 301


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"bearer": True}, "authorization", "Bearer very-secret"),
        ({"basic": "ada"}, "authorization", "Basic YWRhOnZlcnktc2VjcmV0"),
        ({"header": "X-Api-Key"}, "x-api-key", "very-secret"),
    ],
)
def test_a_secret_is_sent_to_its_host_alone(
    shipped: Shipped, web: Server, auth: Any, header: str, value: str
) -> None:
    web.answer("/here", status=302, Location="/same")
    web.answer("/same", status=302, Location=f"http://localhost:{web.port}/other")
    web.answer("/other", body=b"end")
    inputs = {
        "url": web.url + "/here",
        "auth": auth,
        "headers": {"X-Mine": "1"},
        "allow": ["127.0.0.1", "localhost"],
    }
    options: dict[str, Any] = {"config": {"secret": "TOKEN"}, "secrets": {"TOKEN": "very-secret"}}
    assert shipped("http-request", inputs, **options).output["body"] == "end"
    assert [one.headers.get(header) for one in web.asked] == [value, value, None]
    assert web.asked[2].headers.get("x-mine") is None


def test_a_secret_that_nobody_names_stops_it_before_anything_is_sent(shipped: Shipped, web: Server) -> None:
    assert asked(shipped, web, "/", auth={"bearer": True}).code == 4002
    assert web.asked == []


def test_a_run_does_not_start_without_the_secret_that_a_step_names() -> None:
    step = {
        "name": "s",
        "node": "http-request",
        "config": {"secret": "NO_SUCH"},
        "inputs": {"url": "http://x.test"},
    }
    with pytest.raises(Exception, match="no value for the secret NO_SUCH") as caught:
        Workflow.from_document({"name": "t", "steps": [step]}).run()
    assert getattr(caught.value, "code", None) == "secret.missing"


def test_four_calls_at_once_take_as_long_as_one(web: Server) -> None:
    arrived = threading.Barrier(4)

    def answer(asked: Asked) -> Any:
        arrived.wait(20)  # none is answered before all four are here
        return 200, {"Content-Type": "application/json"}, json.dumps({"path": asked.path}).encode()

    for i in range(4):
        web.routes[f"/{i}"] = answer
    nodes = [
        {"name": f"call-{i}", "node": "http-request", "inputs": {"url": f"{web.url}/{i}", **ALLOW}}
        for i in range(4)
    ]
    step = {"name": "all", "node": "parallel", "execution": {"max_concurrent": 4}, "nodes": nodes}
    result = Workflow.from_document({"name": "t", "steps": [step]}).run(timeout=30)
    assert [one["body"]["path"] for one in result.output["results"]] == ["/0", "/1", "/2", "/3"]
    assert result.output["execution_info"]["concurrent_peak"] == 4


def test_an_error_shows_no_address_that_may_hold_a_secret(shipped: Shipped, web: Server) -> None:
    error = asked(shipped, web, "/path?token=hidden").error or {}
    assert error["code"] == 4004 and "hidden" not in json.dumps(error)
