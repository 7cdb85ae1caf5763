"""A node that does what the test says and remembers how it was called."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from nodeling.context import Context
from nodeling.errors import NodeError
from nodeling.node import NodeDefinition, implementation_of, node

__all__ = ["Fake", "as_definition", "stand_in"]

NEWEST = "999999.0.0"  # the newest version wins a reference that names none, so the fake does


class Fake:
    """Stands in for a node.

        rows = Fake([{"id": 1}])                    # gives this output to every call
        flaky = Fake(outputs=[NodeError("no"), 42])  # one after the other; the last one stays
        dead = Fake(error=(4000, "gone"))           # fails every call

    Args:
        output: What every call gives.
        outputs: What the calls give, one after the other; an exception is raised.
        error: The code and message that every call fails with.
    """

    def __init__(
        self,
        output: Any = None,
        *,
        outputs: Sequence[Any] | None = None,
        error: tuple[int | str, str] | None = None,
    ) -> None:
        if error is not None:
            outputs = [NodeError(error[1], code=error[0])]
        self._outputs = list(outputs) if outputs is not None else [output]
        if not self._outputs:
            raise ValueError("a fake needs at least one output")
        self.calls: list[Any] = []

    def __call__(self, inputs: Any) -> Any:
        """Remember the inputs and give what comes next."""
        found = self._outputs[min(len(self.calls), len(self._outputs) - 1)]
        self.calls.append(copy.deepcopy(inputs))
        if isinstance(found, BaseException):
            raise found
        return copy.deepcopy(found)

    def __repr__(self) -> str:
        """`Fake(called 2 times)`."""
        return f"Fake(called {len(self.calls)} times)"


def as_definition(name: str, target: Any) -> NodeDefinition:
    """A node called `name` that stands before every installed one of that name.

    `target` is a fake, a function, a node definition, or a plain value to be given to every call.
    """
    if isinstance(target, NodeDefinition):
        return NodeDefinition(target.function, name, {**target.options, "name": name, "version": NEWEST})
    if isinstance(target, Fake):
        fake = target

        def function(inputs: Any) -> Any:
            return fake(inputs)

        return node(name=name, version=NEWEST, blocking=False)(function)
    if inspect.isroutine(target):
        return node(name=name, version=NEWEST)(target)
    return as_definition(name, Fake(target))


def stand_in(target: Any, name: str) -> NodeDefinition:
    """A definition for a class with `handle`, or for a function of `(ctx, inputs)`."""
    implementation = implementation_of(target, name)
    call: Callable[..., Any] = implementation.call
    if implementation.kind == "flow":
        raise TypeError(f"{name} is a container: give the folder with its config.json, which lists its keys")

    def plain(ctx: Context, inputs: Any) -> Any:
        return call(ctx, inputs)

    async def coroutine(ctx: Context, inputs: Any) -> Any:
        return await call(ctx, inputs)

    def generator(ctx: Context, inputs: Any) -> Any:
        return (yield from call(ctx, inputs))

    async def async_generator(ctx: Context, inputs: Any) -> Any:
        async for chunk in call(ctx, inputs):
            yield chunk

    kinds: dict[str, Callable[..., Any]] = {
        "sync": plain,
        "async": coroutine,
        "generator": generator,
        "async_generator": async_generator,
    }
    return node(name=name)(kinds[implementation.kind])
