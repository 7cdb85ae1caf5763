"""A node's code, ready to be driven, and how a plain function is driven."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    Kind = Literal["sync", "async", "generator", "async_generator", "flow"]

__all__ = ["Implementation", "kind_of"]

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
