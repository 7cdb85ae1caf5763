"""Named tuples without `typing` or `collections`: what they import costs more than a worker's own start.

`class Point(NamedTuple)` means what it means with `typing.NamedTuple`; the checkers are told just that.
"""

from __future__ import annotations

from _operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:

    class NamedTuple(tuple):
        """A tuple whose annotated class attributes are its fields."""

        __slots__ = ()
        _fields = ()

        def __init_subclass__(cls, **more):
            super().__init_subclass__(**more)
            names = tuple(cls.__dict__.get("__annotations__", ()))
            defaults = tuple(cls.__dict__[name] for name in names if name in cls.__dict__)
            cls._fields = cls.__match_args__ = names
            cls.__new__ = _maker(names, defaults)
            for index, name in enumerate(names):
                setattr(cls, name, property(itemgetter(index)))

        def __repr__(self):
            said = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self))  # noqa: B905 (3.9 has no `strict`)
            return f"{type(self).__name__}({said})"

        def __getnewargs__(self):
            return tuple(self)

        def _replace(self, **changes):
            return type(self)(**{**self._asdict(), **changes})

        def _asdict(self):
            return dict(zip(self._fields, self))  # noqa: B905


def _maker(names: tuple[str, ...], defaults: tuple[Any, ...]) -> Any:
    """A `__new__` that takes the fields as its parameters, as fast as one that was written out."""
    said = ", ".join(names)
    space: dict[str, Any] = {"make": tuple.__new__}
    exec(f"def __new__(cls, {said}): return make(cls, ({said},))", space)  # noqa: S102 (names of a class body)
    function = space["__new__"]
    function.__defaults__ = defaults
    return function


__all__ = ["NamedTuple"]
