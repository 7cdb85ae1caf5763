"""JSON values into the types a node's function asked for.

Schemas have already decided that the value is acceptable; this only builds the Python objects:
dataclasses, TypedDicts, enums, dates, UUIDs, unions and containers of them. It is the same code
in process and in a worker, so that a node sees the same arguments in both.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import sys
import types
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["Converter", "converter_for"]

Converter = Callable[[Any, str], Any]

# A worker may run on 3.9, which lacks the newer forms; what it lacks no hint can be made of.
_UNIONS = (Union, types.UnionType) if sys.version_info >= (3, 10) else (Union,)
_WRAPPERS = (
    Annotated,
    *(getattr(typing, name) for name in ("Required", "NotRequired") if hasattr(typing, name)),
)


def converter_for(hint: Any) -> Converter:
    """A function of `(value, pointer)` that gives the value as `hint`."""
    return _Builder().build(hint)


class _Builder:
    """Builds converters; remembers the classes under way so that recursive types end."""

    def __init__(self) -> None:
        self._known: dict[Any, Converter] = {}

    def build(self, hint: Any) -> Converter:
        origin = get_origin(hint)
        if origin in _WRAPPERS:
            return self.build(get_args(hint)[0])
        if origin in _UNIONS:
            return self._union(get_args(hint))
        if origin is Literal:
            return _same
        if origin is not None:
            return self._container(origin, get_args(hint))
        return self._plain(hint)

    def _plain(self, hint: Any) -> Converter:
        if hint in _SCALARS:
            return _SCALARS[hint]
        if isinstance(hint, TypeVar) or not isinstance(hint, type):
            return _same
        if hint in (tuple, set, frozenset):
            return _collect(hint, _same)
        if issubclass(hint, enum.Enum):
            return _constructor(hint)
        if dataclasses.is_dataclass(hint):
            return self._fields(hint, {f.name for f in dataclasses.fields(hint) if f.init}, hint)
        if _is_typed_dict(hint):
            return self._fields(hint, set(hint.__annotations__), dict)
        if hasattr(hint, "model_validate"):
            validate = hint.model_validate
            return lambda value, pointer: validate(value)
        return _same

    def _container(self, origin: Any, args: tuple[Any, ...]) -> Converter:
        if not isinstance(origin, type):
            return _same
        if issubclass(origin, tuple) and args and args[-1] is not Ellipsis:
            return self._tuple([self.build(arg) for arg in args])
        if issubclass(origin, Mapping):
            return _values(self.build(args[1])) if len(args) == 2 else _same
        if issubclass(origin, (Sequence, set, frozenset)) or origin.__name__ in ("Iterable", "Collection"):
            target = origin if origin in (tuple, set, frozenset) else list
            return _collect(target, self.build(args[0]) if args else _same)
        return _same

    def _tuple(self, items: list[Converter]) -> Converter:
        def convert(value: Any, pointer: str) -> Any:
            if len(value) != len(items):
                raise ValueError(f"{pointer or '/'}: expected {len(items)} items, got {len(value)}")
            return tuple(item(value[i], f"{pointer}/{i}") for i, item in enumerate(items))

        return convert

    def _union(self, options: tuple[Any, ...]) -> Converter:
        wanted = [self.build(option) for option in options if option is not type(None)]
        if all(convert is _same for convert in wanted):
            return _same

        def convert(value: Any, pointer: str) -> Any:
            if value is None:
                return None
            problem: Exception | None = None
            for option in wanted:
                try:
                    return option(value, pointer)
                except (TypeError, ValueError, AttributeError) as error:
                    problem = problem or error
            raise ValueError(str(problem))

        return convert

    def _fields(self, hint: Any, names: set[str], make: Callable[..., Any]) -> Converter:
        if hint in self._known:
            known = self._known
            return lambda value, pointer: known[hint](value, pointer)
        self._known[hint] = _same
        hints = get_type_hints(hint, include_extras=True)
        fields = {name: self.build(hints.get(name, Any)) for name in names}

        def convert(value: Any, pointer: str) -> Any:
            if not isinstance(value, dict):
                raise TypeError(f"{pointer or '/'}: expected an object, got {type(value).__name__}")
            given = {k: fields[k](v, f"{pointer}/{k}") for k, v in value.items() if k in fields}
            return make(**given)

        self._known[hint] = convert
        return convert


def _is_typed_dict(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, dict) and hasattr(hint, "__total__")


def _same(value: Any, pointer: str) -> Any:
    return value


def _constructor(make: Callable[[Any], Any]) -> Converter:
    def convert(value: Any, pointer: str) -> Any:
        try:
            return make(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{pointer or '/'}: {error}") from error

    return convert


def _collect(target: Any, item: Converter) -> Converter:
    if item is _same:
        return lambda value, pointer: target(value)
    return lambda value, pointer: target([item(v, f"{pointer}/{i}") for i, v in enumerate(value)])


def _values(item: Converter) -> Converter:
    if item is _same:
        return _same
    return lambda value, pointer: {k: item(v, f"{pointer}/{k}") for k, v in value.items()}


def _real(value: Any, pointer: str) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _whole(value: Any, pointer: str) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_SCALARS: dict[Any, Converter] = {
    float: _real,
    int: _whole,
    datetime.datetime: _constructor(datetime.datetime.fromisoformat),
    datetime.date: _constructor(datetime.date.fromisoformat),
    datetime.time: _constructor(datetime.time.fromisoformat),
    uuid.UUID: _constructor(uuid.UUID),
    Path: _constructor(Path),
}
