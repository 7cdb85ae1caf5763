"""Dataclasses that are quick to define and quick to make.

The standard library compiles up to seven functions for a class, which takes half a millisecond; a program
that defines a hundred of them has spent five starts of Python before it does anything. Here one function is
compiled, the constructor, and the rest is shared. To all who use them, and to type checkers, the classes are
the standard library's. Whatever is out of the ordinary is left to it.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from typing import Any

__all__ = ["dataclass"]

_QUICK = {"frozen", "slots", "eq"}


def _quick_dataclass(cls: type | None = None, **options: bool) -> Any:
    if cls is None:
        return lambda cls: _quick_dataclass(cls, **options)
    if options.keys() - _QUICK or _is_unusual(cls):
        return dataclasses.dataclass(**options)(cls)
    frozen, slots, eq = options.get("frozen", False), options.get("slots", False), options.get("eq", True)
    own = set(cls.__dict__)
    own_hash = "__hash__" in own and not (cls.__dict__["__hash__"] is None and "__eq__" in own)
    bare: Any = {"slots": True} if slots else {}
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, **bare)(cls)
    parameters = made.__dataclass_params__
    parameters.init, parameters.repr, parameters.eq, parameters.frozen = True, True, eq, frozen
    given: dict[str, Any] = {"__init__": _constructor(made, frozen, slots), "__repr__": _repr}
    if eq:
        compared = [one.name for one in dataclasses.fields(made) if one.compare]
        made.__compared__ = attrgetter(*(compared or ["__class__"]))
        given["__eq__"] = _eq
        if not own_hash:
            made.__hash__ = _hash if frozen else None
    if frozen:
        given.update(__setattr__=_refuse_setting, __delattr__=_refuse_deleting)
        if slots:
            given.update(__getstate__=_state_of, __setstate__=_set_state)
    for name, value in given.items():
        if name not in own:
            setattr(made, name, value)
    return made


if not TYPE_CHECKING:
    dataclass = _quick_dataclass


def _is_unusual(cls: type) -> bool:
    own = cls.__dict__
    if {"__init__", "__setattr__", "__delattr__"} & own.keys():
        return True
    if any(isinstance(base, type) and dataclasses.is_dataclass(base) for base in cls.__mro__[1:]):
        return True
    for name, hint in own.get("__annotations__", {}).items():
        if "InitVar" in str(hint) or "KW_ONLY" in str(hint):
            return True
        field = own.get(name)
        if isinstance(field, dataclasses.Field) and not _is_plain(field):
            return True
    return False


def _is_plain(field: dataclasses.Field[Any]) -> bool:
    is_keyword = getattr(field, "kw_only", False)
    return field.init and field.hash is None and is_keyword in (False, dataclasses.MISSING)


def _constructor(cls: Any, frozen: bool, slots: bool) -> Any:
    names: dict[str, Any] = {"_MISSING": dataclasses.MISSING, "_set": object.__setattr__}
    parameters, lines = ["self"], []
    for field in dataclasses.fields(cls):
        name, value = field.name, field.name
        if field.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"] = field.default_factory
            parameters.append(f"{name}=_MISSING")
            value = f"_make_{name}() if {name} is _MISSING else {name}"
        elif field.default is not dataclasses.MISSING:
            names[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        if frozen and slots:
            names[f"_set_{name}"] = getattr(cls, name).__set__
            lines.append(f" _set_{name}(self, {value})")
        else:
            lines.append(f" _set(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n" + ("\n".join(lines) or " pass"), names)  # noqa: S102
    made = names["__init__"]
    made.__module__, made.__qualname__ = cls.__module__, f"{cls.__qualname__}.__init__"
    made.__annotations__ = {one.name: one.type for one in dataclasses.fields(cls)} | {"return": "None"}
    return made


@recursive_repr()
def _repr(self: Any) -> str:
    said = (f"{one.name}={getattr(self, one.name)!r}" for one in dataclasses.fields(self) if one.repr)
    return f"{type(self).__qualname__}({', '.join(said)})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    values = self.__compared__
    return values(self) == values(other)


def _hash(self: Any) -> int:
    return hash(self.__compared__(self))


def _refuse_setting(self: Any, name: str, value: object) -> None:
    if _is_kept(self, name):
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _refuse_deleting(self: Any, name: str) -> None:
    if _is_kept(self, name):
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def _is_kept(self: Any, name: str) -> bool:
    """Whether a class that only derives from a frozen one may not set this either."""
    return name in self.__dataclass_fields__ or "__dataclass_fields__" in type(self).__dict__


def _state_of(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for one, value in zip(dataclasses.fields(self), state):  # noqa: B905 - workers may have 3.9
        object.__setattr__(self, one.name, value)
