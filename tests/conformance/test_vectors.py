"""One set of values, echoed by every SDK: each comes back equal, or is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
from pathlib import Path
from typing import Any

import pytest

from languages import SDK, Language, languages
from nodeling.testing.conformance.process import Subject

FILE = SDK / "vectors" / "values.jsonl"
ROWS = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
PATIENCE = 60.0
HELLO = {"protocol": [1], "host": {"name": "vectors", "version": "1"}, "features": []}


def test_the_file_is_what_the_rules_say() -> None:
    path = SDK / "vectors" / "generate.py"
    spec = importlib.util.spec_from_file_location("vector_rules", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.rows() == ROWS
    assert len(ROWS) == len({row["id"] for row in ROWS}) == 500


def test_the_values_span_what_goes_wrong_elsewhere() -> None:
    given = {row["id"].partition(".")[0] for row in ROWS}
    assert given == {"integer", "number", "text", "key", "shape", "depth", "spelling", "random", "refused"}
    assert sum(1 for row in ROWS if row.get("refuse")) >= 30


@pytest.mark.parametrize("language", languages(), ids=lambda one: one.language)
def test_every_language_of_the_table_is_held_to_its_claims(language: Language) -> None:
    here = Path(__file__).parent
    judges = [path for path in here.glob("test_kit_*.py") if "run_suite" in path.read_text(encoding="utf-8")]
    assert any(language.language in path.stem.split("_") for path in judges)


class Whole(int):
    """A number that was written without fraction or exponent."""


def parsed(text: str) -> Any:
    """A value in which an integer is told from a number that only happens to be whole."""
    return json.loads(text, parse_int=Whole, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def difference(wanted: Any, found: Any, where: str = "") -> str | None:
    """How two values differ: numbers are equal by value, and integers stay integers."""
    if isinstance(found, Whole) and abs(found) > 2**53 - 1:
        return f"{where} came back as the integer {found}, which no host takes"
    if isinstance(wanted, bool) or wanted is None or isinstance(wanted, str):
        return (
            None if wanted == found and type(wanted) is type(found) else f"{where}: {found!r}, not {wanted!r}"
        )
    if isinstance(wanted, Whole):
        return None if isinstance(found, Whole) and wanted == found else f"{where}: {found!r}, not {wanted!r}"
    if isinstance(wanted, float):
        fits = isinstance(found, (float, Whole)) and float(found) == wanted
        return None if fits else f"{where}: {found!r}, not {wanted!r}"
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return f"{where}: another list"
        pairs: Any = enumerate(zip(wanted, found, strict=True))
    else:
        if not isinstance(found, dict) or set(found) != set(wanted):
            return f"{where}: other members"
        pairs = ((key, (value, found[key])) for key, value in wanted.items())
    return next((said for key, (a, b) in pairs if (said := difference(a, b, f"{where}/{key}"))), None)


def invoke(number: int, text: str) -> bytes:
    params = '{"node":"kitchen-sink","input":{"do":"echo","value":' + text + "}}"
    return f'{{"jsonrpc":"2.0","id":{number},"method":"node/invoke","params":{params}}}\n'.encode()


def answer(subject: Subject) -> dict[str, Any]:
    """The next terminal frame, its output told as `parsed` tells it."""
    while True:
        try:
            line = subject.lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"nothing came for {PATIENCE:g} s") from None
        assert line is not None, bytes(subject.logs[-2000:]).decode("utf-8", "replace")
        text = line.decode("utf-8")
        if text.startswith("{"):  # on stdio, what is printed before the channel is taken is no frame
            frame = parsed(text)
            if "id" in frame and "method" not in frame:
                assert isinstance(frame, dict)
                return frame


@pytest.mark.parametrize("language", languages(), ids=lambda one: one.language)
def test_every_value_comes_back_equal_or_is_refused(language: Language) -> None:
    command = language.command(language.echo)
    channel = language.capabilities["channels"][0]
    env = {"PATH": os.environ["PATH"], **language.environment()}
    subject = Subject(command, channel, env, str(language.path))
    try:
        hello = {"jsonrpc": "2.0", "id": 1, "method": "node/hello", "params": HELLO}
        subject.write(json.dumps(hello).encode() + b"\n")
        assert answer(subject)["id"] == 1
        faults = [*_kept(subject), *_refused(subject, language)]
    finally:
        subject.end()
    assert faults == []


def _kept(subject: Subject) -> list[str]:
    rows = {number: row for number, row in enumerate(ROWS, 10) if not row.get("refuse")}
    subject.write(b"".join(invoke(number, row["text"]) for number, row in rows.items()))
    faults = []
    for _ in rows:
        frame = answer(subject)
        row = rows[frame["id"]]
        if "error" in frame:
            faults.append(f"{row['id']} was refused: {frame['error']}")
            continue
        said = difference(parsed(row.get("gives", row["text"])), frame["result"]["output"])
        if said:
            faults.append(f"{row['id']} {said}")
    return faults


def _refused(subject: Subject, language: Language) -> list[str]:
    if "strict-values" not in language.capabilities["variants"][language.echo]["claims"]:
        return []
    faults = []
    for number, row in enumerate(ROWS, 10_000):
        if row.get("refuse"):
            subject.write(invoke(number, row["text"]))
            frame = answer(subject)
            if "error" not in frame:
                faults.append(f"{row['id']} was taken: {str(frame)[:200]}")
    return faults
