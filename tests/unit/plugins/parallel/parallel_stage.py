"""A `parallel` step on a virtual loop, whose children do what the test says, when it says so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from parallel_model import GRACE_MS, LATE_MS, ChildPlan, Policy

from nodeling import Context, node
from nodeling_runtime.dispatch.inprocess import InProcessDispatcher
from nodeling_runtime.dispatch.loading import load_implementation
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.loaded import Loaded, load
from nodeling_runtime.engine.run import Run, RunOptions, RunOutcome, all_steps
from nodeling_runtime.registry import PROJECT, Registry, build_registry, register
from nodeling_runtime.values import Value
from probes import Probe
from virtual_time import VirtualLoop

PRISTINE = {"list": [1, 2], "map": {"a": []}}
NOTHING_READY = 1e-9  # a sleep that ends only when no callback is left to run, in virtual time


class RefusedError(Exception):
    """What a child raises when the test lets it fail."""


@dataclass
class Cast:
    """The children that are on the stage."""

    gates: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    probe: Probe = field(default_factory=Probe)
    plans: list[ChildPlan] = field(default_factory=list)

    async def act(self, ctx: Context, number: int, box: dict[str, Any]) -> int:
        if box != PRISTINE or ctx.get("box") != PRISTINE or ctx.get("mark") is not None:
            self.seen.append(f"{number} was shown {box}, {ctx.get('box')}, {ctx.get('mark')}")
        box["list"].append(number)
        box["map"]["a"].append(number)
        ctx.get("box")["map"]["b"] = number
        ctx.set("mark", "same for all")
        loop = asyncio.get_running_loop()
        gate = self.gates[number] = loop.create_future()
        leaves_by_itself = True
        self.probe.enter()
        try:
            done: int = await gate
            return done
        except asyncio.CancelledError:
            how = self.plans[number].on_cancel
            if how == "raises":
                raise ValueError("raised while it was cancelled") from None
            if how == "ends":
                raise
            if how == "never":  # what it does after it was given up is nobody's concern
                leaves_by_itself = False
                loop.call_later(GRACE_MS / 1_000, self.probe.leave)
            return await self._linger(loop.time() + (LATE_MS / 1_000 if how == "late" else 1e6))
        finally:
            self.gates.pop(number, None)
            if leaves_by_itself:
                self.probe.leave()

    async def _linger(self, until: float) -> int:
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            try:
                await asyncio.sleep(until - loop.time())
            except asyncio.CancelledError:
                if STAGE.closing:
                    raise
        return -1


@node
async def actor(ctx: Context, number: int, box: dict[str, Any]) -> int:
    return await STAGE.cast.act(ctx, number, box)


@node
async def opening(ctx: Context) -> None:
    ctx.set("box", PRISTINE)


class Stage:
    """One run at a time, on one loop that is used again."""

    def __init__(self) -> None:
        self.loop: VirtualLoop = VirtualLoop()
        self.registry: Registry | None = None
        self.cast = Cast()
        self.closing = False
        self.run: Run
        self.task: asyncio.Task[RunOutcome]
        self.events: list[dict[str, Any]] = []

    def play(self, policy: Policy, plans: list[ChildPlan]) -> None:
        """Begin a run of one `parallel` step, and let it come as far as it does by itself."""
        self.prepare(policy, plans)
        self.settle()

    def turn(self) -> None:
        """Let the loop turn once."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def prepare(self, policy: Policy, plans: list[ChildPlan]) -> None:
        """Set a run up; nothing has happened yet."""
        if self.registry is None:
            self.registry = build_registry([], installed=True)
            register(self.registry, actor, PROJECT)
            register(self.registry, opening, PROJECT)
        self.closing = False
        self.loop.rewind()
        self.cast = Cast(plans=plans)
        self.events = []
        loaded: Loaded = load(from_data(document(policy, plans), "probe"), registry=self.registry)
        workflow = loaded.ready()
        for step in all_steps(workflow.scope):
            load_implementation(step.spec)
        body = Value.of({"box": PRISTINE, "no": False})
        options = RunOptions(
            request={"body": body}, listeners=[lambda event: self.events.append(dict(event))]
        )
        self.run = Run(workflow, options, {"inprocess": InProcessDispatcher()}, {})
        self.task = self.loop.create_task(self.run.execute())

    def settle(self) -> None:
        """Let everything happen that can happen now."""
        self.loop.run_until_complete(asyncio.sleep(NOTHING_READY))

    def wait(self, ms: float) -> None:
        """Let time pass."""
        self.loop.run_until_complete(asyncio.sleep(ms / 1_000))
        self.settle()

    def let(self, number: int, how: str) -> None:
        """Make a child come back: `return`, `fail`, `cancel itself` or `cancelled future`."""
        gate = self.cast.gates[number]
        if how == "return":
            gate.set_result(number)
        elif how == "fail":
            gate.set_exception(RefusedError("told to"))
        else:
            gate.cancel()  # awaiting a cancelled future raises CancelledError inside the node
        self.settle()

    def close(self) -> None:
        """Let nothing of this run live on."""
        self.closing = True
        while left := asyncio.all_tasks(self.loop):  # one that ends may have begun another
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


def document(policy: Policy, plans: list[ChildPlan]) -> dict[str, Any]:
    """The workflow that says what a policy and its children say."""
    execution: dict[str, Any] = {
        "strategy": "sequential" if policy.sequential else "parallel",
        "error_handling": "fail-fast" if policy.fail_fast else "continue-partial",
        "max_concurrent": policy.max_concurrent,
        "min_success": policy.min_success,
    }
    if policy.timeout_ms is not None:
        execution["timeout"] = policy.timeout_ms
    if policy.global_timeout_ms is not None:
        execution["global_timeout"] = policy.global_timeout_ms
    if policy.batch_size is not None:
        execution["batch_size"] = policy.batch_size
    children = [_child(number, plan) for number, plan in enumerate(plans)]
    work = {"name": "work", "node": "parallel", "execution": execution, "nodes": children}
    settings = {} if policy.run_limit is None else {"max_concurrent": policy.run_limit}
    return {"name": "w", "settings": settings, "steps": [{"name": "open", "node": "opening"}, work]}


def _child(number: int, plan: ChildPlan) -> dict[str, Any]:
    step: dict[str, Any] = {
        "name": f"c{number}",
        "node": "actor",
        "inputs": {"number": number, "box": "${ctx.request.body.box}"},
    }
    if plan.continues:
        step["on_error"] = "continue"
    if not plan.admitted:
        step["if"] = "${ctx.request.body.no}"
    if plan.timeout_ms is not None:
        step["timeout"] = plan.timeout_ms
    return step


STAGE = Stage()
