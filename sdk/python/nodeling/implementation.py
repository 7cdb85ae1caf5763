"""A node's code, found in its module and ready to be driven, and how a plain function is driven."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    import types
    from collections.abc import Callable
    from typing import Any, Literal

    Kind = Literal["sync", "async", "generator", "async_generator", "flow"]

__all__ = ["Implementation", "kind_of", "the_node"]

_BY_FLAG: tuple[tuple[int, Kind], ...] = ((0x200, "async_generator"), (0x80, "async"), (0x20, "generator"))
_PLAIN = type(lambda: None)


class Implementation:
    """What is called, and what that gives back: a value, a coroutine, a generator."""

    __slots__ = ("blocking", "call", "kind", "takes_context")

    def __init__(
        self, call: Callable[..., Any], kind: Kind, blocking: bool = True, takes_context: bool = True
    ) -> None:
        self.call = call
        self.kind = kind
        self.blocking = blocking
        self.takes_context = takes_context  # False: it is called with None, and no context need be made


def kind_of(function: Callable[..., Any]) -> Kind:
    """How what a call of this gives back is driven."""
    if type(function) is _PLAIN and not function.__dict__:
        flags = function.__code__.co_flags
        return next((kind for flag, kind in _BY_FLAG if flags & flag), "sync")
    import inspect  # for what is wrapped, marked or callable in another way

    if inspect.isasyncgenfunction(function):
        return "async_generator"
    if inspect.iscoroutinefunction(function):
        return "async"
    if inspect.isgeneratorfunction(function):
        return "generator"
    return "sync"


def the_node(module: types.ModuleType, where: str) -> Any:
    """The one thing in a module that is a node: `run`, else what is under @node, else a class with `handle`.

    Raises:
        PluginError: There is none, or more than one.
    """
    members = vars(module)
    run = members.get("run")
    if type(run) is _PLAIN:
        return run
    import inspect  # a worker whose node is a plain function is spared these

    from nodeling.errors import PluginError
    from nodeling.node import NodeDefinition

    if isinstance(run, NodeDefinition):
        return run
    own = {id(v): v for v in members.values() if getattr(v, "__module__", None) == module.__name__}
    decorated = [v for v in own.values() if isinstance(v, NodeDefinition)]
    if len(decorated) == 1:
        return decorated[0]
    classes = [v for v in own.values() if inspect.isclass(v) and "handle" in vars(v)]
    if not decorated and len(classes) == 1:
        return classes[0]
    if decorated or classes:
        names = ", ".join(sorted([v.name for v in decorated] + [v.__name__ for v in classes]))
        raise PluginError(
            f"{where} holds more than one node: {names}", hint="call the one that is meant `run`"
        )
    raise PluginError(
        f"{where} holds no node",
        hint="write `def run(ctx, inputs)`, a function under @node, or a class with `handle`",
    )
