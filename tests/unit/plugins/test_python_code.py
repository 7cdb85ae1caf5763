"""python-code: what it gives, and that what it does stays in its process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from nodeling import Workflow
from nodeling.testing import NodeOutcome

Shipped = Callable[..., NodeOutcome]


def code(shipped: Shipped, text: str, **more: Any) -> NodeOutcome:
    return shipped("python-code", {"code": text, **more})


def test_it_runs_in_a_process_of_its_own_and_a_fresh_one_each_time(shipped: Shipped) -> None:
    text = "import os, sys\nresult = [os.getpid(), getattr(sys, 'left_behind', None)]\nsys.left_behind = 1"
    (first, none), (second, nothing) = code(shipped, text).output, code(shipped, text).output
    assert len({first, second, os.getpid()}) == 3
    assert none is None and nothing is None


def test_inputs_are_variables_and_locals_knows_them(shipped: Shipped) -> None:
    text = "result = {'n': n, 'seen': 'n' in locals(), 'sum': (lambda: n + inputs['m'])()}"
    assert code(shipped, text, inputs={"n": 1, "m": 2}).output == {"n": 1, "seen": True, "sum": 3}
    assert code(shipped, "def f():\n    return k\nresult = f()", inputs={"k": 5}).output == 5


def test_what_it_prints_is_a_log_and_disturbs_nobody(shipped: Shipped) -> None:
    outcome = code(shipped, "print('hello'); print('{\"jsonrpc\": \"2.0\"}')\nresult = 1")
    assert outcome.output == 1
    assert any("hello" in line for line in outcome.logs)


@pytest.mark.parametrize(
    ("text", "number", "said"),
    [
        ("x = 1\ny = x / 0", 4000, "line 2: ZeroDivisionError: division by zero"),
        ("x = (", 4001, "line 1: "),
        ("x = 1", 4001, "the code sets no 'result'"),
        ("resutl = 1", 4001, "the code sets no 'result'"),
        ("import sys; sys.exit(3)", 4000, "the code ended with exit(3)"),
        ("result = {1, 2}", 4006, "set"),
        ("raise BaseException('no')", 4000, "line 1: BaseException: no"),
    ],
)
def test_what_goes_wrong_is_said_with_its_line(shipped: Shipped, text: str, number: int, said: str) -> None:
    outcome = code(shipped, text)
    assert outcome.code == number
    assert said in (outcome.error or {})["message"]


def test_a_near_name_is_hinted_at(shipped: Shipped) -> None:
    error = code(shipped, "resutl = 1").error or {}
    assert error["details"]["hint"] == "did you mean 'resutl'?"


@pytest.mark.parametrize(
    "text",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
        "import time; time.sleep(1000)",
    ],
)
def test_a_loop_without_end_is_ended(shipped: Shipped, text: str) -> None:
    began = time.monotonic()
    outcome = code(shipped, text, timeout_ms=300)
    error = outcome.error or {}
    assert outcome.code == 9003
    said = str(error["details"])
    assert "ran longer than 300 ms, its `timeout_ms`" in said or "Timeout (0:00:00.55" in said
    assert time.monotonic() - began < 20


def test_the_steps_own_timeout_ends_it_too() -> None:
    step = {"name": "s", "node": "python-code", "inputs": {"code": "while True: pass"}, "timeout": 300}
    result = Workflow.from_document({"name": "t", "steps": [step]}).run(timeout=30)
    assert (result.steps["s"].error or {})["code"] == 9005


@pytest.mark.parametrize(
    "text",
    [
        "x = [0] * (1 << 40)",
        "x = bytearray(300 << 20)",
        "x = []\nwhile True: x.append(bytes(1 << 20))",
        "x = 'a'\nwhile True: x += x",
    ],
)
def test_a_memory_bomb_is_contained(shipped: Shipped, text: str) -> None:
    outcome = code(shipped, text, memory_mb=128, timeout_ms=30_000)
    assert outcome.code == 4005
    assert "`memory_mb`" in (outcome.error or {})["message"]
    assert code(shipped, "result = 1").output == 1


DEADLY = [
    "import os; os._exit(0)",
    "import os; os.kill(os.getpid(), 9)",
    "import ctypes; ctypes.string_at(0)",
]


@pytest.mark.parametrize("text", DEADLY)
def test_a_process_that_dies_fails_its_own_call_alone(text: str) -> None:
    steps = [
        {
            "name": "dies",
            "node": "python-code",
            "needs": [],
            "on_error": "continue",
            "inputs": {"code": text},
        },
        {"name": "lives", "node": "python-code", "needs": [], "inputs": {"code": "result = 1"}},
    ]
    result = Workflow.from_document({"name": "t", "steps": steps}).run(timeout=60)
    assert (result.steps["dies"].error or {})["code"] == 9003
    assert result.steps["lives"].output == 1


def test_it_sees_nothing_of_the_environment_and_none_of_the_hosts_secrets(
    shipped: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODELING_SECRET_TOKEN", "very-secret")
    monkeypatch.setenv("MY_VARIABLE", "mine")
    text = "import os\nresult = [v for v in os.environ.values() if v in ('very-secret', 'mine')]"
    assert code(shipped, text).output == []


def test_a_name_that_is_none_is_refused(shipped: Shipped) -> None:
    assert code(shipped, "result = 1", inputs={"a-b": 1}).code == 4001
