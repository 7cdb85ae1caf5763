"""Where an engine's account of a run differs from the interpreter's.

The account is plain data: `{"run_status": …, "run_code": …, "steps": {path: {status, reason, attempts, code,
limit, started_ms, ended_ms, handled, seen}}, "vars": {…}, "output": …, "outputs": {…}}`, the times in virtual
milliseconds since the run began. What the account leaves out is not compared, except the run's status and the
steps: each must be there, and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reference.model import Json
from reference.result import OPAQUE, RAISED, Result, StepResult
from reference.rules import Code

COMPARED = ("status", "reason", "attempts", "started_ms", "ended_ms", "limit", "handled")
MISSING = object()


def differences(expected: Result, actual: Mapping[str, Any]) -> list[str]:
    """Every difference, said in one line each; an empty list means agreement."""
    found = list(_steps(expected, actual.get("steps", {})))
    if actual.get("run_status") != expected.run_status:
        found.insert(0, f"run_status: expected {expected.run_status}, got {actual.get('run_status')}")
    if expected.run_code is not None and actual.get("run_code", expected.run_code) != expected.run_code:
        found.append(f"run_code: expected {expected.run_code}, got {actual['run_code']}")
    compare_vars = expected.run_status == "succeeded" and "vars" in actual
    if compare_vars and not same(expected.vars, actual["vars"]):
        found.append(f"vars: expected {expected.vars}, got {actual['vars']}")
    if "output" in actual and not same(expected.output, actual["output"]):
        found.append(f"output: expected {expected.output}, got {actual['output']}")
    for name, wanted in expected.outputs.items():
        got = actual["outputs"].get(name) if "outputs" in actual else wanted
        if not same(wanted, got):
            found.append(f"outputs.{name}: expected {wanted}, got {got}")
    return found


def _steps(expected: Result, actual: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for path, wanted in expected.steps.items():
        if path in actual:
            yield from _step(path, wanted, actual[path])
        elif not wanted.may_be_absent:
            yield f"{path}: expected {wanted.status}, but it is not there"
    for path in actual:
        if path not in expected.steps:
            yield f"{path}: is there ({actual[path].get('status')}), but was never reached"


def _step(path: str, wanted: StepResult, got: Mapping[str, Any]) -> Iterator[str]:
    for key in COMPARED:
        value = got.get(key, MISSING)
        if value is MISSING or getattr(wanted, key) == value:
            continue
        if wanted.may_be_absent and key in ("attempts", "ended_ms"):
            continue
        yield f"{path}.{key}: expected {getattr(wanted, key)}, got {value}"
    if "code" in got and not same_code(wanted, got["code"]):
        yield f"{path}.code: expected {wanted.code}, got {got['code']}"
    seen = got.get("seen")
    if seen is not None and not wanted.is_container and not same(dict(wanted.seen or {}), seen):
        yield f"{path}.seen: expected {dict(wanted.seen or {})}, got {seen}"


def same_code(wanted: StepResult, got: Code | None) -> bool:
    """Whether a code is the expected one; a container that failed for its children has any."""
    if wanted.code == RAISED:
        return isinstance(got, str) and got.startswith(RAISED.removesuffix("*"))
    if wanted.code is None:
        return got is None or (wanted.status == "failed" and wanted.is_container)
    return wanted.code == got and isinstance(got, type(wanted.code))


def same(wanted: Json, got: Json) -> bool:
    """JSON equality, in which an opaque output equals anything and 1 is not true."""
    if wanted is OPAQUE:
        return True
    if isinstance(wanted, Mapping):
        return (
            isinstance(got, Mapping)
            and wanted.keys() == got.keys()
            and all(same(value, got[key]) for key, value in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(got, list)
            and len(wanted) == len(got)
            and all(same(left, right) for left, right in zip(wanted, got, strict=True))
        )
    return isinstance(wanted, bool) == isinstance(got, bool) and bool(wanted == got)
