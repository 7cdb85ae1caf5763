"""A stage for containers: nodes whose doings are told afterwards, and a run of a few steps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from nodeling import Context, NodeError, node
from nodeling.errors import ConfigError
from nodeling.results import RunResult
from nodeling.workflow import Workflow


class Stage:
    """Its nodes are `echo`, `put`, `drop`, `fail`, `vars`, `log`, `count`, `hang` and `late`."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.cancelled: list[str] = []
        self.calls: dict[str, int] = {}
        self._gates: dict[str, asyncio.Event] = {}

    def run(
        self,
        steps: Sequence[Mapping[str, Any]],
        body: Any = None,
        *,
        nodes: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> RunResult:
        document: dict[str, Any] = {"name": "test", "steps": list(steps)}
        if nodes:
            document["nodes"] = dict(nodes)
        return self.workflow(document).run(body, timeout=30, **options)

    def workflow(self, document: Mapping[str, Any]) -> Workflow:
        workflow = Workflow.from_document(document)
        for definition in self._definitions():
            workflow.definitions[definition.name] = definition
        return workflow

    def refusals(self, steps: Sequence[Mapping[str, Any]], **more: Any) -> list[str]:
        """What is said about a document that may not run."""
        with pytest.raises(ConfigError) as caught:
            self.workflow({"name": "test", "steps": list(steps), **more}).run()
        return [fault.message for fault in caught.value.faults if fault.severity == "error"]

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    def _definitions(self) -> list[Any]:  # noqa: C901  (one arm a node)
        def echo(inputs: Any) -> Any:
            return inputs.get("value", inputs) if isinstance(inputs, dict) else inputs

        def put(ctx: Context, inputs: Any) -> Any:
            for key, value in inputs.items():
                ctx.set(key, value)
            return inputs

        def drop(ctx: Context, inputs: Any) -> None:
            ctx.delete(inputs["key"])

        def fail(ctx: Context, inputs: Any) -> None:
            self.told.append(f"fail {ctx.step}")
            for key, value in inputs.get("writes", {}).items():
                ctx.set(key, value)
            raise NodeError(inputs.get("message", "no"), code=inputs.get("code", 4400))

        def vars(ctx: Context, inputs: Any) -> Any:
            return {key: ctx.vars[key] for key in inputs["keys"] if key in ctx.vars}

        def log(ctx: Context, inputs: Any) -> Any:
            self.told.append(inputs.get("say", ctx.step))
            return inputs.get("say", ctx.step)

        async def hang(ctx: Context, inputs: Any) -> None:
            self.told.append(f"hang {ctx.step}")
            self._gate("hanging").set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.append(ctx.step)

        async def late(ctx: Context, inputs: Any) -> Any:
            """Comes back once another child hangs."""
            await self._gate("hanging").wait()
            return inputs.get("value")

        def count(ctx: Context, inputs: Any) -> int:
            name = inputs.get("name", "count")
            self.calls[name] = self.calls.get(name, 0) + 1
            return self.calls[name]

        plain = [echo, put, drop, fail, vars, log, count]
        return [node(name=each.__name__, blocking=False)(each) for each in plain] + [
            node(name=each.__name__)(each) for each in (hang, late)
        ]


@pytest.fixture
def stage() -> Stage:
    return Stage()
