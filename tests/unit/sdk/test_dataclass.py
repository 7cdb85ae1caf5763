"""Quick dataclasses are what the standard library makes of the same classes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from nodeling import _dataclass

T = TypeVar("T")
Make = Callable[..., Any]
quick: Any = _dataclass.dataclass
FORMS = [
    {},
    {"slots": True},
    {"frozen": True},
    {"frozen": True, "slots": True},
    {"frozen": True, "slots": True, "eq": False},
    {"eq": False},
    {"frozen": True, "slots": True, "order": True},
    {"unsafe_hash": True},
]


def point(dataclass: Any, **options: bool) -> Any:
    @dataclass(**options)
    class Point:
        """A point."""

        kind: ClassVar[str] = "flat"
        x: int
        y: int = 2
        tags: list[str] = dataclasses.field(default_factory=list)
        at: int = dataclasses.field(default=0, compare=False, repr=False)

        @property
        def total(self) -> int:
            return self.x + self.y

    return Point


@pytest.fixture(params=FORMS, ids=str)
def both(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The same class, made quickly and by the standard library."""
    return point(quick, **request.param), point(dataclasses.dataclass, **request.param)


def answer(question: Callable[[], object]) -> object:
    """What comes of it: the value, or the kind of error."""
    try:
        return question()
    except Exception as error:
        return type(error)


def _is_refused(act: Callable[[], object]) -> bool:
    return isinstance(answer(act), type)  # the standard library stumbles over slots here: the kind differs


QUESTIONS: dict[str, Callable[[Any], object]] = {
    "repr": lambda cls: repr(cls(1)),
    "shown in itself": lambda cls: repr((lambda one: one.tags.append(one) or one)(cls(1))),
    "by position": lambda cls: dataclasses.astuple(cls(1, 3, ["a"], 4)),
    "by name": lambda cls: dataclasses.asdict(cls(x=1, at=4)),
    "missing": lambda cls: cls(),
    "too many": lambda cls: cls(1, 2, [], 0, 5),
    "unknown": lambda cls: cls(1, z=2),
    "a default of its own": lambda cls: cls(1).tags is cls(1).tags,
    "equal": lambda cls: (cls(1) == cls(1), cls(1) != cls(1), cls(1) == cls(2), cls(1) == 1),
    "compared": lambda cls: (cls(1, at=1) == cls(1, at=2), cls(1, tags=["a"]) == cls(1)),
    "ordered": lambda cls: cls(1) < cls(2),
    "hash": lambda cls: type(hash(cls(1, tags=()))),
    "equal hash": lambda cls: len({cls(1, tags=()): 0, cls(1, tags=(), at=7): 0}),
    "hashable": lambda cls: cls.__hash__ is None,
    "set": lambda cls: setattr(cls(1), "x", 2),
    "set another": lambda cls: _is_refused(lambda: setattr(cls(1), "z", 2)),
    "delete": lambda cls: delattr(cls(1), "x"),
    "replace": lambda cls: dataclasses.asdict(dataclasses.replace(cls(1), y=5)),
    "copy": lambda cls: dataclasses.asdict(copy.copy(cls(1, 2, ["a"], 3))),
    "deep copy": lambda cls: dataclasses.asdict(copy.deepcopy(cls(1, 2, ["a"], 3))),
    "slots": lambda cls: getattr(cls, "__slots__", None),
    "fields": lambda cls: [(one.name, one.type, one.default, one.init) for one in dataclasses.fields(cls)],
    "parameters": lambda cls: [str(one) for one in inspect.signature(cls).parameters.values()][:2],
    "parts to match": lambda cls: cls.__match_args__,
    "what was said": lambda cls: repr(cls.__dataclass_params__),
    "the rest": lambda cls: (cls.kind, cls(1).total, cls.__doc__, cls.__name__),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_quick_class_answers_as_the_standard_librarys_does(both: tuple[Any, Any], question: str) -> None:
    ours, theirs = (answer(lambda cls=cls: QUESTIONS[question](cls)) for cls in both)  # type: ignore[misc]
    assert ours == theirs


@quick(frozen=True, slots=True)
class Kept:
    """Something that travels."""

    a: int
    b: str = "b"


def test_a_frozen_one_with_slots_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Kept(1))) == Kept(1)


def test_what_a_class_writes_itself_stays() -> None:
    def make(dataclass: Any) -> Any:
        @dataclass(frozen=True, slots=True)
        class Own:
            """Has words of its own."""

            a: int

            def __repr__(self) -> str:
                return "own"

            def __eq__(self, other: object) -> bool:
                return True

            def __hash__(self) -> int:
                return 7

        return Own(1)

    for made in (make(quick), make(dataclasses.dataclass)):
        assert repr(made) == "own" and made == 3 and hash(made) == 7


def test_a_class_may_check_itself_cache_and_be_generic() -> None:
    @quick(frozen=True)
    class Checked(Generic[T]):
        """Refuses some values."""

        a: T

        def __post_init__(self) -> None:
            if self.a is None:
                raise ValueError("nothing")

        @cached_property
        def twice(self) -> tuple[T, T]:
            return (self.a, self.a)

    assert Checked(1).twice == (1, 1)
    with pytest.raises(ValueError, match="nothing"):
        Checked(None)


@pytest.mark.parametrize("dataclass", [quick, dataclasses.dataclass])
def test_a_class_that_derives_from_a_frozen_one_may_have_more(dataclass: Any) -> None:
    base = point(dataclass, frozen=True)

    class Derived(base):  # type: ignore[misc, valid-type]
        """Not frozen itself, but what it inherits is."""

    @dataclass(frozen=True)
    class Longer(base):  # type: ignore[misc, valid-type]
        """Has a field more."""

        z: int = 9

    one = Derived(1)
    one.more = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.x = 2
    assert dataclasses.asdict(Longer(1)) == {"x": 1, "y": 2, "tags": [], "at": 0, "z": 9}


def test_what_cannot_be_made_quickly_is_made_all_the_same() -> None:
    @quick
    class Unusual:
        """Uses what few use."""

        a: int
        b: dataclasses.InitVar[int]
        c: int = dataclasses.field(init=False, default=0)
        d: int = dataclasses.field(kw_only=True, default=1)

        def __post_init__(self, b: int) -> None:
            self.c = b

    made = Unusual(1, 5, d=6)
    assert (made.a, made.c, made.d) == (1, 5, 6)


def test_a_field_without_a_default_behind_one_with_one_is_refused() -> None:
    with pytest.raises((TypeError, SyntaxError)):

        @quick(slots=True)
        class Wrong:
            """Cannot be called."""

            a: int = 1
            b: int
