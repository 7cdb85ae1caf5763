"""The real engine's account of a scenario, in the form that `compare.differences` reads.

The document is loaded and run by the engine itself, on a loop in virtual time and with a node that does
what its script says. Nothing of the interpreter is used here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any

from nodeling import Context, NodeError, node
from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.dispatch.inprocess import InProcessDispatcher
from nodeling_runtime.dispatch.loading import load_implementation
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.record import StepRecord
from nodeling_runtime.engine.run import Run, RunOptions, RunOutcome
from nodeling_runtime.expressions.functions import BUILTINS
from nodeling_runtime.registry import PROJECT, Registry, build_registry, register
from nodeling_runtime.values import Value
from nodeling_runtime.workflow.load import load_workflow, raise_faults
from nodeling_runtime.workflow.model import Workflow
from reference.model import Json, Scenario, Step
from virtual_time import VirtualLoop, run_on

TELLING_WORDS = ("fail_fast", "timeout", "deadline", "global_timeout")
"""Reasons that say more than `cancelled`, for children that their container ended."""

_SEEN: dict[str, dict[str, dict[str, Json]]] = {}


@node(name="scripted")
async def scripted(ctx: Context, script: list[dict[str, Any]]) -> Any:
    """Do what the script says for this attempt; note what the context holds."""
    item = script[min(ctx.attempt, len(script)) - 1]
    _SEEN[ctx.run_id][ctx.step] = dict(ctx.vars)
    await asyncio.sleep(item["ms"] / 1_000)
    for key, value in item.get("set", {}).items():
        ctx.set(key, value)
    for key in item.get("delete", []):
        ctx.delete(key)
    if "fail" in item:
        raise NodeError("scripted", code=item["fail"], retryable=item.get("retryable"))
    return item.get("output")


@cache
def registry() -> Registry:
    """The installed nodes and the scripted one, their code imported, so that no thread is needed."""
    known = build_registry()
    register(known, scripted, PROJECT)
    for name in ("scripted", "parallel", "sequence", "try"):
        spec = known.find(name)
        if not hasattr(spec, "manifest"):
            raise AssertionError(f"the node {name!r} is not installed: {spec}")
        load_implementation(spec)
    return known


@cache
def loop() -> VirtualLoop:
    """One loop for all runs: making one costs more than a run."""
    return VirtualLoop()


class Ran:
    """A run that has ended, with all that was told of its steps."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.workflow = load_scenario(scenario)
        self.ended: dict[str, StepRecord] = {}
        self.seen: dict[str, dict[str, Json]] = {}

    async def play(self) -> RunOutcome:
        """Run it, and cancel it when the scenario says so."""
        options = RunOptions(random=lambda: 1.0)
        self.run = run = Run(self.workflow, options, {"inprocess": InProcessDispatcher()}, {})
        tell = run.step_ended

        def step_ended(record: StepRecord) -> None:
            self.ended[record.path] = record
            tell(record)

        run.step_ended = step_ended  # type: ignore[method-assign]
        _SEEN[run.id] = self.seen
        timer = None
        if self.scenario.cancel_at_ms is not None:
            timer = asyncio.get_running_loop().call_later(self.scenario.cancel_at_ms / 1_000, run.cancel)
        try:
            return await run.execute()
        finally:
            del _SEEN[run.id]
            if timer is not None:
                timer.cancel()


def load_scenario(scenario: Scenario) -> Workflow:
    """The scenario's document, resolved. It is not checked: the checker refuses some that can only fail."""
    workflow, faults = load_workflow(from_data(scenario.to_document(), "scenario"), registry(), BUILTINS)
    raise_faults(faults, "scenario")
    if workflow is None:
        raise AssertionError("a document without faults is a workflow")
    return workflow


def engine_account(scenario: Scenario) -> dict[str, Any]:
    """What the engine made of a scenario."""
    ran = Ran(scenario)
    virtual = loop()
    virtual.rewind()
    outcome = run_on(virtual, ran.play)
    names = {step.name for step in scenario.walk()}
    by_name = {step.name: step for step in scenario.walk()}
    kept = {path: record for path, record in ran.ended.items() if _is_current(ran, path)}
    return {
        "run_status": outcome.status,
        "run_code": None if outcome.error is None else outcome.error["code"],
        "steps": {
            path: _step(record, by_name[record.name], ran.seen.get(record.name), names, "/" in path)
            for path, record in kept.items()
        },
        "vars": _vars(ran),
        "output": None if outcome.output is None else outcome.output.fresh(),
        "outputs": {
            name: None if record.output is None else record.output.fresh()
            for name, record in outcome.records.items()
        },
    }


def _is_current(ran: Ran, path: str) -> bool:
    """Whether the step belongs to the last attempt of the containers around it."""
    holder, _, _ = path.rpartition("/")
    if not holder:
        return True
    begun = ran.ended[path].ready_at
    around = ran.ended.get(holder)
    return around is None or begun is None or around.attempts < 2 or _is_current(ran, holder)


def _step(
    record: StepRecord, step: Step, seen: Mapping[str, Json] | None, names: set[str], nested: bool
) -> dict[str, Any]:
    error = record.error
    account: dict[str, Any] = {
        "status": record.status,
        "reason": record.reason,
        "attempts": record.attempts,
        "code": None if error is None else error.code,
        "limit": _limit(error),
        "started_ms": _ms(record.started_at),
        "ended_ms": _ms(record.ended_at),
    }
    if nested and record.status == "cancelled" and record.reason in TELLING_WORDS:
        account["reason"] = "cancelled"
    if seen is not None:
        account["seen"] = {key: value for key, value in seen.items() if key not in names}
    if record.status == "failed" and not nested:
        account["handled"] = record.handled
    return account


def _limit(error: CallError | None) -> str | None:
    """The clock that ended the step itself; an error that a container passes on names the child."""
    if error is None or error.code != 9005 or "step" in error.details:
        return None
    return str(error.details["limit"])


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000)


def _vars(ran: Ran) -> dict[str, Json]:
    """What the run's scope left behind."""
    job = ran.run.job
    if job is None:
        raise AssertionError("the run had no job")
    writes = {key: write.data for key, write in job.delta.items()}
    return {key: Value(data).fresh() for key, data in writes.items() if data is not None}
