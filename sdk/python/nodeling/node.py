"""How a Python node is written: a typed function under `@node`, or a class with `handle`.

Whatever the author wrote becomes one `Implementation`: a callable of `(ctx, inputs)` and how to
drive it. In process and in a worker alike the runtime asks `implementation_of` and nothing else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Literal, TypeVar, get_type_hints, overload

from nodeling._dataclass import dataclass
from nodeling.context import Context
from nodeling.convert import Converter, converter_for
from nodeling.errors import NodeError, PluginError
from nodeling.flow import FlowNode
from nodeling.implementation import Implementation, kind_of

__all__ = ["Implementation", "Node", "NodeDefinition", "implementation_of", "node"]

F = TypeVar("F", bound=Callable[..., Any])


class Node:
    """Derive from this to write a node as a class; `handle` may be sync, async or a generator.

    Every call gets an instance of its own, so what `handle` keeps on `self` is seen by nobody
    else. What is expensive to build belongs in a module-level function under `functools.cache`.
    """

    def handle(self, ctx: Context, inputs: dict[str, Any]) -> Any:
        """Do the work and return the output."""
        raise TypeError(f"{type(self).__name__} must define `handle(self, ctx, inputs)`")


@dataclass(frozen=True, eq=False)
class NodeDefinition:
    """A function under `@node`. Still callable as the plain function that it is."""

    function: Callable[..., Any]
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.__dict__["__doc__"] = self.function.__doc__
        self.__dict__["__module__"] = self.function.__module__
        self.__dict__["__wrapped__"] = self.function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, without a runtime."""
        return self.function(*args, **kwargs)

    @property
    def description(self) -> str:
        """The first line of the docstring, unless the decorator said otherwise."""
        given = self.options.get("description")
        if given is not None:
            return str(given)
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def parameters(self) -> list[inspect.Parameter]:
        """The parameters that come from the inputs: all but the context."""
        return [p for p in _signature(self.function).values() if not _is_context(p, self.hints())]

    def takes_mapping(self) -> bool:
        """Whether the function takes the inputs whole, as `inputs`."""
        wanted = self.parameters()
        return len(wanted) == 1 and wanted[0].name == "inputs"

    def hints(self) -> dict[str, Any]:
        """The function's type hints, resolved."""
        return _hints(self.function)

    def implementation(self) -> Implementation:
        """How the runtime drives this function."""
        blocking = bool(self.options.get("blocking", True))
        hints = self.hints()
        takes_context = any(_is_context(p, hints) for p in _signature(self.function).values())
        return Implementation(_adapt(self), kind_of(self.function), blocking, takes_context)


@overload
def node(function: F, /) -> NodeDefinition: ...
@overload
def node(
    *,
    name: str | None = ...,
    version: str = ...,
    description: str | None = ...,
    group: str = ...,
    effects: Literal["none", "idempotent", "unsafe"] = ...,
    blocking: bool = ...,
    reads: list[str] | None = ...,
    env: list[str] | None = ...,
    secrets: list[str] | None = ...,
    examples: list[dict[str, Any]] | None = ...,
) -> Callable[[Callable[..., Any]], NodeDefinition]: ...
def node(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a node of a function. Its type hints become the schemas of inputs and output.

    Args:
        function: The function, when the decorator is used bare.
        **options: `name`, `version`, `description`, `group`, `effects`, `blocking`, `reads`,
            `env`, `secrets`, `examples`, as in a manifest.
    """
    known = set(_OPTIONS)
    for option in options:
        if option not in known:
            raise TypeError(f"@node has no option {option!r}; it has {', '.join(_OPTIONS)}")

    def decorate(target: Callable[..., Any]) -> NodeDefinition:
        name = options.get("name") or target.__name__.strip("_").replace("_", "-")
        return NodeDefinition(target, name, {k: v for k, v in options.items() if v is not None})

    return decorate if function is None else decorate(function)


_OPTIONS = (
    "name",
    "version",
    "description",
    "group",
    "effects",
    "blocking",
    "reads",
    "env",
    "secrets",
    "examples",
)


def implementation_of(target: object, where: str) -> Implementation:
    """Find out how to drive what a node's module holds.

    Raises:
        PluginError: It is neither a function, nor a class with `handle`.
    """
    if isinstance(target, NodeDefinition):
        return target.implementation()
    if inspect.isclass(target):
        handle = getattr(target, "handle", None)
        if handle is None:
            raise PluginError(f"{where}: class {target.__name__} has no `handle(self, ctx, inputs)`")
        if issubclass(target, FlowNode):
            return Implementation(_method(target), "flow")
        return Implementation(_method(target), kind_of(handle))
    if callable(target):
        return Implementation(target, kind_of(target))
    raise PluginError(f"{where} is a {type(target).__name__}, not a function or a class with `handle`")


def _method(target: type) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        return target().handle(*args)

    return call


def _signature(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise PluginError(
            f"the type hints of {function.__qualname__} do not resolve: {error}",
            hint="import the type at module level",
        ) from error


def _is_context(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> bool:
    return parameter.name == "ctx" or hints.get(parameter.name) is Context


def _plain(hint: Any) -> type | None:
    """The hint, if what has just that type needs no converting."""
    return next((kind for kind in (str, int, float, bool) if hint is kind), None)


def _adapt(definition: NodeDefinition) -> Callable[[Context | None, Any], Any]:
    """A callable of `(ctx, inputs)` that hands each input to its parameter, converted."""
    function = definition.function
    parameters = _signature(function)
    hints = definition.hints()
    context = next((p.name for p in parameters.values() if _is_context(p, hints)), None)
    whole = definition.takes_mapping()
    wanted: list[tuple[str, type | None, Converter, str]] = [
        (p.name, _plain(hints.get(p.name)), converter_for(hints.get(p.name, Any)), f"/{p.name}")
        for p in definition.parameters()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    takes_rest = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = {name for name, _, _, _ in wanted}

    def arguments(inputs: Any) -> dict[str, Any]:
        if whole:
            name, _, convert, _ = wanted[0]
            return {name: convert(inputs, "")}
        given: dict[str, Any] = {}
        for name, plain, convert, pointer in wanted:
            if name in inputs:
                value = inputs[name]
                given[name] = value if value.__class__ is plain else convert(value, pointer)
        if takes_rest:
            given.update((name, value) for name, value in inputs.items() if name not in named)
        return given

    def call(ctx: Context | None, inputs: Any) -> Any:
        try:
            given = arguments(inputs)
            if context is not None:
                given[context] = ctx
        except (TypeError, ValueError) as error:
            raise NodeError(f"inputs do not convert: {error}", code=4001, retryable=False) from error
        return function(**given)

    return call
