"""Every fault of a child process and its wire has a test that bears its number.

The rows are named here as the catalogue names them, so that a number says what it stands for.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[3]
ROWS = {
    1: "a program that is missing, not executable, or of another machine",
    2: "a crash before the handshake",
    3: "a crash in the middle of a call",
    4: "an exit without an answer",
    5: "crashes again and again",
    6: "a banner before the handshake",
    7: "garbage after the handshake",
    8: "a line over the limit",
    9: "a last line without its end",
    10: "CRLF, blank lines, a byte order mark",
    11: "silence",
    12: "SIGTERM ignored",
    13: "a stopped child",
    14: "grandchildren in the group",
    15: "grandchildren in sessions of their own, and twice forked",
    16: "a grandchild that holds stdout",
    17: "stdout closed by a child that lives",
    18: "stdin closed",
    19: "stdin never read",
    20: "a flood on stderr",
    21: "two answers",
    22: "an answer to nobody",
    23: "an answer after the cancel",
    24: "an answer before the request was sent whole",
    25: "a well-formed answer of the wrong shape",
    26: "an output that does not fit its schema",
    27: "a flood of progress and logs",
    28: "another version of the protocol",
    29: "another node's name",
    30: "memory without end",
    31: "processes without end",
    32: "a full disk",
    33: "a look at the runtime's environment and memory",
    34: "the runtime killed",
    35: "the guard process killed",
    36: "a process number used again",
}
_NAME = re.compile(r"def test_fault_(\d+(?:_and_\d+)*)_")


@pytest.fixture(scope="module")
def numbered() -> set[int]:
    found: set[int] = set()
    for path in TESTS.rglob("test_*.py"):
        for numbers in _NAME.findall(path.read_text(encoding="utf-8")):
            found.update(map(int, numbers.split("_and_")))
    return found


@pytest.mark.parametrize("row", sorted(ROWS))
def test_the_row_has_a_test(numbered: set[int], row: int) -> None:
    assert row in numbered, f"no test is called test_fault_{row}_…: {ROWS[row]}"
