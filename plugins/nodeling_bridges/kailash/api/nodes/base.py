"""Nodes as classes: what one takes, what it does, and how it is told apart from others."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nodeling.errors import ConfigError, NodeError
from nodeling_bridges.kailash.catalogue import CATALOGUE, NodeType, custom_type
from nodeling_bridges.kailash.draft import suggestion

__all__ = ["AsyncNode", "BuiltinNode", "Node", "NodeParameter", "class_called", "register_node"]

_REGISTERED: dict[str, type[Node]] = {}
N = TypeVar("N", bound="type[Node]")


@dataclass(frozen=True)
class NodeParameter:
    """One thing that a node takes."""

    name: str
    type: Any = object
    required: bool = False
    default: Any = None
    description: str = ""
    choices: Sequence[Any] | None = None


class Node:
    """Derive from this, say in `get_parameters` what the node takes, and do the work in `run`.

    `run` is called in a thread of its own with what configuration and connections give. It returns a
    dictionary of outputs.
    """

    def __init__(self, id: str | None = None, name: str | None = None, **config: Any) -> None:
        self.id = id or name or ""
        self.name = name or id or type(self).__name__
        known = self.get_parameters()
        kind = self.kind()
        for key in config:
            if key not in known and not kind.takes_any:
                message = f"{type(self).__name__} {self.name!r} has no parameter {key!r}"
                raise ConfigError(message, code="kailash.parameter", hint=suggestion(key, known))
        self.config: dict[str, Any] = dict(config)

    def get_parameters(self) -> Mapping[str, NodeParameter]:
        """What the node takes, by name."""
        return {}

    def run(self, **inputs: Any) -> Mapping[str, Any]:
        """Do the work."""
        raise NotImplementedError(f"{type(self).__name__} must define `run`")

    @property
    def is_custom(self) -> bool:
        """Whether its work is done by code of the host's own."""
        return True

    def kind(self) -> NodeType:
        """What the bridge has to know of it."""
        return custom_type(type(self).__name__, tuple(self.get_parameters()))

    def execute(self, **inputs: Any) -> dict[str, Any]:
        """Run this node alone, as a workflow of one."""
        from nodeling_bridges.kailash.api.runtime import LocalRuntime
        from nodeling_bridges.kailash.api.workflow import Workflow

        name = self.id or "node"
        alone = Workflow(name)
        alone.add_node(name, self)
        results, _ = LocalRuntime().execute(alone, parameters={name: inputs})
        found: dict[str, Any] = results[name]
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class AsyncNode(Node):
    """A node whose work is a coroutine: `async_run`."""

    async def async_run(self, **inputs: Any) -> Mapping[str, Any]:
        """Do the work."""
        raise NotImplementedError(f"{type(self).__name__} must define `async_run`")

    def run(self, **inputs: Any) -> Mapping[str, Any]:
        """The same, for those who do not await."""
        return asyncio.run(self.async_run(**inputs))


class BuiltinNode(Node):
    """A node that stands for one of ours; its class name is its type."""

    @property
    def is_custom(self) -> bool:
        """A node of ours does its work."""
        return False

    def kind(self) -> NodeType:
        """The type's entry in the catalogue."""
        return next(CATALOGUE[one.__name__] for one in type(self).__mro__ if one.__name__ in CATALOGUE)

    def get_parameters(self) -> Mapping[str, NodeParameter]:
        """What the type takes."""
        kind = self.kind()
        return {name: NodeParameter(name, required=name in kind.required) for name in kind.parameters}

    def run(self, **inputs: Any) -> Mapping[str, Any]:
        """Run it as a workflow of one: its work is done by a node of ours."""
        return self.execute(**inputs)


def register_node(alias: str | None = None) -> Callable[[N], N]:
    """Make a class known by its name, or by another, so that workflows can name it by a text."""

    def decorate(target: N) -> N:
        name = alias or target.__name__
        held = class_called(name)
        if held is not None and held.__qualname__ != target.__qualname__:
            raise ConfigError(f"two types of node are called {name!r}", code="kailash.node_type")
        _REGISTERED[name] = target
        return target

    return decorate


def class_called(name: str) -> type[Node] | None:
    """The class of that name, registered or built in."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    return _builtin().get(name)


def _builtin() -> dict[str, type[Node]]:
    from nodeling_bridges.kailash.api.nodes import ai, api, code, data, logic, transform

    found: dict[str, type[Node]] = {}
    for module in (ai, api, code, data, logic, transform):
        found.update({name: getattr(module, name) for name in module.__all__})
    return found


def known_types() -> list[str]:
    """The names of all types."""
    return [*_builtin(), *_REGISTERED]


def implementation(node: Node) -> Callable[..., Any]:
    """The function that does a node's work: parameters filled up and judged, outputs checked."""

    def prepared(inputs: Mapping[str, Any]) -> dict[str, Any]:
        values = dict(inputs)
        for name, said in node.get_parameters().items():
            if values.get(name) is None and said.default is not None:
                values[name] = said.default
            if said.required and values.get(name) is None:
                raise NodeError(
                    f"{node.name} needs {name!r}, which nothing gives", code=4001, retryable=False
                )
            if values.get(name) is not None and not _fits(values[name], said.type):
                given = type(values[name]).__name__
                message = f"{name!r} of {node.name} is {said.type.__name__}, not {given}"
                raise NodeError(message, code=4001, retryable=False)
            if said.choices and values.get(name) is not None and values[name] not in said.choices:
                message = f"{name!r} of {node.name} cannot be {values[name]!r}"
                hint = suggestion(str(values[name]), [str(one) for one in said.choices])
                raise NodeError(message, code=4001, retryable=False, hint=hint)
        return values

    if isinstance(node, AsyncNode):

        async def waits(inputs: dict[str, Any]) -> Any:
            return _outputs(node, await node.async_run(**prepared(inputs)))

        return waits

    def works(inputs: dict[str, Any]) -> Any:
        return _outputs(node, node.run(**prepared(inputs)))

    return works


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a JSON value is of a type; what is no class says nothing."""
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is int and isinstance(value, bool):
        return False
    return wanted not in (bool, int, str, list, dict) or isinstance(value, wanted)


def _outputs(node: Node, given: Any) -> Any:
    if inspect.isawaitable(given) or not isinstance(given, Mapping):
        raise NodeError(
            f"{node.name} returned a {type(given).__name__}, not a dictionary of outputs",
            code=4006,
            retryable=False,
        )
    return dict(given)
