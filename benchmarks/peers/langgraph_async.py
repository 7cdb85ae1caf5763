"""LangGraph's compiled graphs, invoked asynchronously."""

from __future__ import annotations

import asyncio
import functools
import operator
from typing import Annotated, TypedDict

from answering import SLEEP_SECONDS, SLEEPERS_AT_ONCE, SLEEPS, serve
from langgraph.graph import END, START, StateGraph


class Sums(TypedDict):
    total: Annotated[int, operator.add]


class Last(TypedDict):
    value: int


def adder(value):
    async def node(state):
        return {"total": value + 1}

    return node


def dozer(value):
    async def node(state):
        await asyncio.sleep(SLEEP_SECONDS)
        return {"total": value}

    return node


async def add_one(state):
    return {"value": state["value"] + 1}


@functools.cache
def fan_of(make, width):
    graph = StateGraph(Sums)
    for value in range(width):
        graph.add_node(f"n{value}", make(value))
        graph.add_edge(START, f"n{value}")
        graph.add_edge(f"n{value}", END)
    return graph.compile()


@functools.cache
def chain_of(length):
    graph = StateGraph(Last)
    for number in range(length):
        graph.add_node(f"n{number}", add_one)
        graph.add_edge(f"n{number - 1}" if number else START, f"n{number}")
    graph.add_edge(f"n{length - 1}", END)
    return graph.compile()


async def fan(make, width, at_once):
    answer = await fan_of(make, width).ainvoke({"total": 0}, {"max_concurrency": at_once})
    return answer["total"]


async def chain(length):
    return (await chain_of(length).ainvoke({"value": 0}, {"recursion_limit": length + 5}))["value"]


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        serve(
            {
                "fan": lambda size: runner.run(fan(adder, size, 100)),
                "chain": lambda size: runner.run(chain(size)),
                "sleeps": lambda size: runner.run(fan(dozer, SLEEPS, SLEEPERS_AT_ONCE)),
            }
        )
