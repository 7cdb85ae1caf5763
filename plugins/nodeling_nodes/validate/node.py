"""Judge records: by a schema, by rules, by what must be unique and what must be found elsewhere."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nodeling import Context, Flow, FlowNode, NodeError, NodelingError
from nodeling.validation import compile_schema

from .report import Report

MAX_RECORDS = 1_000_000
# How long the loop is held before others have their turn. Longer than the 5 ms after which a waiting thread
# asks for the interpreter: who pauses more often takes it back before the thread wakes.
TURN_SECONDS = 0.01
LOOK_EVERY = 32


class Validate(FlowNode):
    """Gives the report."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> dict[str, Any]:
        """Make every check on every record."""
        given = inputs["in"]
        records = given if isinstance(given, list) else [given]
        if len(records) > MAX_RECORDS:
            raise NodeError(f"{len(records)} records are more than {MAX_RECORDS}", code=4005, retryable=False)
        report = Report(len(records), inputs.get("max_listed", 1_000))
        turn = Turns().take
        if "schema" in inputs:
            await _by_schema(records, inputs["schema"], report, turn)
        for rule in inputs.get("rules", ()):
            await _by_rule(records, rule, inputs.get("as", "item"), flow, report, turn)
        for fields in inputs.get("unique", ()):
            await _unique(records, [fields] if isinstance(fields, str) else fields, report, turn)
        for reference in inputs.get("references", ()):
            await _referring(records, reference, report, turn)
        body = report.to_json(records if inputs.get("keep_records") else None)
        ctx.metric("score", body["score"])
        ctx.metric("invalid", body["invalid_count"])
        _judge(body, inputs)
        return body


class Turns:
    """Lets others have the loop now and then."""

    def __init__(self) -> None:
        self._turned = time.monotonic()

    async def take(self, index: int) -> None:
        """Called for every record."""
        if index % LOOK_EVERY == 0 and time.monotonic() - self._turned > TURN_SECONDS:
            await asyncio.sleep(0)
            self._turned = time.monotonic()


Turn = Callable[[int], Awaitable[None]]


async def _by_schema(records: list[Any], schema: Any, report: Report, turn: Turn) -> None:
    report.expect("schema")
    faults_of = compile_schema(schema, "`schema`")
    for index, record in enumerate(records):
        await turn(index)
        for fault in faults_of(record):
            report.error(index, "schema", fault.pointer, fault.message)


async def _by_rule(
    records: list[Any], rule: Mapping[str, Any], name: str, flow: Flow, report: Report, turn: Turn
) -> None:
    report.expect(rule["name"])
    tell = report.warning if rule.get("level") == "warning" else report.error
    said = rule.get("message") or f"{rule['name']} does not hold"
    for index, record in enumerate(records):
        await turn(index)
        try:
            holds = flow.evaluate(rule["that"], {name: record, "index": index})
        except NodelingError as error:
            tell(index, rule["name"], "", f"{said}: {error.message}")
            continue
        if holds is not True:
            tell(index, rule["name"], "", said)


async def _unique(records: list[Any], fields: list[str], report: Report, turn: Turn) -> None:
    check = f"unique {', '.join(fields)}"
    report.expect(check)
    first: dict[str, int] = {}
    for index, record in enumerate(records):
        await turn(index)
        if not isinstance(record, dict) or any(record.get(name) is None for name in fields):
            continue  # what is not there is no duplicate; whether it must be there the schema says
        values = [record[name] for name in fields]
        before = first.setdefault(_identity(values), index)
        if before != index:
            shown = ", ".join(
                f"{name} {json.dumps(value)[:60]}" for name, value in zip(fields, values, strict=True)
            )
            report.error(index, check, f"/{fields[0]}", f"record {before} has the same {shown}")


async def _referring(records: list[Any], reference: Mapping[str, Any], report: Report, turn: Turn) -> None:
    field = reference["field"]
    key = reference.get("key", field)
    check = reference.get("name", field)
    report.expect(check)
    known = {_identity(one.get(key) if isinstance(one, dict) else one) for one in reference["in"]}
    for index, record in enumerate(records):
        await turn(index)
        value = record.get(field) if isinstance(record, dict) else None
        if value is None:
            if not reference.get("optional"):
                report.error(index, check, f"/{field}", f"there is no {json.dumps(field)}")
        elif _identity(value) not in known:
            shown = json.dumps(value, ensure_ascii=False)[:60]
            report.error(index, check, f"/{field}", f"{shown} is not among the values of {json.dumps(key)}")


def _identity(value: Any) -> str:
    """Equal as JSON: 1 and 1.0 are one, 1 and true are not."""
    return json.dumps(_levelled(value), sort_keys=True)


def _levelled(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _levelled(item) for key, item in value.items()}
    return [_levelled(item) for item in value] if isinstance(value, list) else value


def _judge(body: dict[str, Any], inputs: Mapping[str, Any]) -> None:
    least = inputs.get("min_score")
    if least is not None and body["score"] < least:
        said = f"the score is {body['score']:.4f}, below {least:g}, its `min_score`"
    elif inputs.get("on_invalid") == "fail" and not body["valid"]:
        said = f"{body['invalid_count']} of {body['total']} records are not valid"
    else:
        return
    first = body["errors"][0] if body["errors"] else None
    if first is not None:
        said += f"; record {first['index']}: {first['message']}"
    raise NodeError(said, code=4001, retryable=False, details={"report": body})
