"""Functions under @node and classes with `handle` become implementations and manifests."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal, TypedDict

import pytest

from nodeling import Context, Node, NodeError, PluginError, Workflow, node
from nodeling.node import NodeDefinition, implementation_of
from nodeling_runtime.codefirst import document_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0


class Row(TypedDict):
    id: int
    label: str


@node(version="1.2.0", effects="none", group="TEXT")
def shout(text: str, times: int = 1) -> str:
    """Say it loudly.

    More words.
    """
    return text.upper() * times


def test_a_decorated_function_is_still_the_function() -> None:
    assert isinstance(shout, NodeDefinition)
    assert shout("a", times=2) == "AA"
    assert shout.name == "shout"
    assert shout.description == "Say it loudly."


def test_type_hints_become_schemas() -> None:
    document = document_of(shout)
    assert document["name"] == "shout"
    assert document["version"] == "1.2.0"
    assert document["effects"] == "none"
    assert document["inputs"] == {
        "type": "object",
        "properties": {"text": {"type": "string"}, "times": {"type": "integer", "default": 1}},
        "required": ["text"],
        "additionalProperties": False,
    }
    assert document["output"] == {"type": "string"}


def test_an_unknown_option_of_the_decorator_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="no option 'efects'"):
        node(efects="none")  # type: ignore[call-overload]


def test_a_function_without_hints_takes_and_gives_anything() -> None:
    @node
    def free(value):  # type: ignore[no-untyped-def]
        return value

    assert document_of(free)["inputs"]["properties"] == {"value": {}}
    assert document_of(free)["output"] is True


def test_generators_give_a_list_of_their_chunks() -> None:
    @node
    def count(n: int) -> Iterator[int]:
        yield from range(n)

    @node
    async def acount(n: int) -> AsyncIterator[int]:
        for i in range(n):
            yield i

    assert document_of(count)["output"] == {"type": "array", "items": {"type": "integer"}}
    assert implementation_of(count, "here").kind == "generator"
    assert implementation_of(acount, "here").kind == "async_generator"
    for definition in (count, acount):
        wf = Workflow("chunks")
        wf.step("count", definition, inputs={"n": 3})
        assert wf.run().output == [0, 1, 2]


def _run(definition: Any, inputs: Any) -> Any:
    wf = Workflow("one")
    wf.step("only", definition, inputs=inputs)
    result = wf.run()
    result.raise_for_status()
    return result.output


def test_arguments_arrive_as_the_types_that_were_asked_for() -> None:
    seen: dict[str, Any] = {}

    @node
    def take(
        colour: Colour,
        points: list[Point],
        row: Row,
        when: datetime.datetime,
        who: uuid.UUID,
        size: float,
        mode: Literal["a", "b"],
        maybe: Point | None = None,
        pair: tuple[int, str] = (0, ""),
        tags: Annotated[set[str], "words"] = frozenset(),  # type: ignore[assignment]
    ) -> int:
        seen.update(locals())
        return len(points)

    who = uuid.uuid4()
    given = {
        "colour": "red",
        "points": [{"x": 1}, {"x": 2, "y": 3}],
        "row": {"id": 1, "label": "one"},
        "when": "2026-01-02T03:04:05",
        "who": str(who),
        "size": 3,
        "mode": "b",
        "maybe": {"x": 9},
        "pair": [4, "four"],
        "tags": ["t", "u"],
    }
    assert _run(take, given) == 2
    assert seen["colour"] is Colour.RED
    assert seen["points"] == [Point(1), Point(2, 3.0)]
    assert isinstance(seen["points"][1].y, float)
    assert seen["row"] == {"id": 1, "label": "one"}
    assert seen["when"] == datetime.datetime(2026, 1, 2, 3, 4, 5)
    assert seen["who"] == who
    assert isinstance(seen["size"], float)
    assert seen["maybe"] == Point(9)
    assert seen["pair"] == (4, "four")
    assert seen["tags"] == {"t", "u"}


def test_returned_dataclasses_enums_and_dates_become_json() -> None:
    @node
    def give() -> Any:
        return {"point": Point(1, 2.0), "colour": Colour.BLUE, "day": datetime.date(2026, 5, 6)}

    assert _run(give, {}) == {"point": {"x": 1, "y": 2.0}, "colour": "blue", "day": "2026-05-06"}


def test_a_wrong_input_is_refused_before_the_node_runs() -> None:
    ran: list[int] = []

    @node
    def strict(n: int) -> int:
        ran.append(n)
        return n

    wf = Workflow("refused")
    wf.step("give", _anything, inputs={"value": "text"})
    wf.step("take", strict, inputs={"n": "${steps.give.output}"})
    result = wf.run()
    assert result.status == "failed"
    assert result.steps["take"].error is not None
    assert result.steps["take"].error["code"] == 4001
    assert "/n" in result.steps["take"].error["message"]
    assert ran == []


def _anything(value: Any) -> Any:
    return value


def test_a_class_gets_an_instance_for_every_call() -> None:
    class Counter(Node):
        def __init__(self) -> None:
            self.calls = 0

        def handle(self, ctx: Context, inputs: dict[str, Any]) -> Any:
            self.calls += 1
            return self.calls

    implementation = implementation_of(Counter, "here")
    assert implementation.kind == "sync"
    assert [implementation.call(None, {}) for _ in range(2)] == [1, 1]


def test_what_is_no_node_is_refused_with_its_place() -> None:
    with pytest.raises(PluginError, match=r"nodes/x\.py is a int"):
        implementation_of(3, "nodes/x.py")

    class Empty:
        pass

    with pytest.raises(PluginError, match="class Empty has no `handle"):
        implementation_of(Empty, "nodes/x.py")


def test_hints_that_do_not_resolve_are_named() -> None:
    def broken(value: NoSuchType) -> int:  # type: ignore[name-defined]  # noqa: F821
        return 1

    with pytest.raises(PluginError, match="type hints of .*broken"):
        document_of(node(broken))


def test_a_node_error_keeps_its_code_its_details_and_its_word_on_retrying() -> None:
    tries: list[int] = []

    @node
    def refuse(ctx: Context) -> int:
        tries.append(ctx.attempt)
        raise NodeError("too early", code=7001, retryable=False, details={"at": "dawn"})

    wf = Workflow("refuse")
    wf.step("only", refuse, retry={"attempts": 3, "delay": 1})
    error = wf.run().steps["only"].error
    assert error is not None
    assert (error["code"], error["message"], error["details"]["at"]) == (7001, "too early", "dawn")
    assert tries == [1]


def test_an_ordinary_exception_is_retried_and_tells_type_cause_and_frame() -> None:
    tries: list[int] = []

    @node
    def fragile(ctx: Context) -> int:
        tries.append(ctx.attempt)
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    wf = Workflow("fragile")
    wf.step("only", fragile, retry={"attempts": 3, "delay": 1, "max_delay": 1})
    result = wf.run()
    error = result.steps["only"].error
    assert error is not None
    assert (error["code"], error["type"], error["message"]) == (4000, "ValueError", "ValueError: outer")
    assert error["details"]["cause"]["type"] == "KeyError"
    assert "fragile" in error["details"]["traceback"]
    assert tries == [1, 2, 3]
    assert result.steps["only"].attempts == 3


@pytest.mark.parametrize("hint", [list[complex], dict[str, object]])
def test_a_type_without_a_json_form_is_named(hint: Any) -> None:
    def wrong(data):  # type: ignore[no-untyped-def]
        return 1

    wrong.__annotations__["data"] = hint
    with pytest.raises(
        PluginError, match=r"of node 'wrong' has no JSON form: type .* is not supported; use str"
    ):
        document_of(node(wrong))
