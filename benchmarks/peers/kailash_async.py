"""Kailash's asynchronous runtime, with nodes of our own class."""

from __future__ import annotations

import asyncio
import functools
import logging

from answering import SLEEP_SECONDS, SLEEPERS_AT_ONCE, SLEEPS, serve
from kailash.nodes.base import NodeParameter, register_node
from kailash.nodes.base_async import AsyncNode
from kailash.runtime import AsyncLocalRuntime
from kailash.workflow.builder import WorkflowBuilder

logging.disable(logging.WARNING)


@register_node()
class AddOneNode(AsyncNode):
    def get_parameters(self):
        return {"value": NodeParameter(name="value", type=int, required=True)}

    async def async_run(self, **inputs):
        return {"value": inputs["value"] + 1}


@register_node()
class DozeNode(AsyncNode):
    def get_parameters(self):
        return {"value": NodeParameter(name="value", type=int, required=True)}

    async def async_run(self, **inputs):
        await asyncio.sleep(SLEEP_SECONDS)
        return {"value": inputs["value"]}


@functools.cache
def fan_of(node, width):
    builder = WorkflowBuilder()
    for value in range(width):
        builder.add_node(node, f"n{value}", {"value": value})
    return builder.build()


@functools.cache
def chain_of(length):
    builder = WorkflowBuilder()
    for number in range(length):
        builder.add_node("AddOneNode", f"n{number}", {} if number else {"value": 0})
        if number:
            builder.add_connection(f"n{number - 1}", "value", f"n{number}", "value")
    return builder.build()


async def run(runtime, workflow):
    answer = await runtime.execute_workflow_async(workflow, inputs={})
    return answer["results"] if isinstance(answer, dict) and "results" in answer else answer[0]


def fan(runner, runtime, node, width):
    results = runner.run(run(runtime, fan_of(node, width)))
    return sum(results[f"n{value}"]["value"] for value in range(width))


def chain(runner, runtime, length):
    return runner.run(run(runtime, chain_of(length)))[f"n{length - 1}"]["value"]


if __name__ == "__main__":
    wide = AsyncLocalRuntime(max_concurrent_nodes=100)
    narrow = AsyncLocalRuntime(max_concurrent_nodes=SLEEPERS_AT_ONCE)
    with asyncio.Runner() as runner:
        serve(
            {
                "fan": lambda size: fan(runner, wide, "AddOneNode", size),
                "chain": lambda size: chain(runner, wide, size),
                "sleeps": lambda size: fan(runner, narrow, "DozeNode", SLEEPS),
            }
        )
