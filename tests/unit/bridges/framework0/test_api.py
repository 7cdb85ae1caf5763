"""What scriptlets are written against: contexts, scriptlets, loggers, and the names they are imported by."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from nodeling import NodeError
from nodeling_bridges.framework0 import gate
from nodeling_bridges.framework0.api import BaseScriptlet, Context, get_logger, register_scriptlet
from nodeling_bridges.framework0.modules import folders_of, found, is_module, is_of_python, loaded
from nodeling_bridges.framework0.names import in_place
from nodeling_bridges.framework0.scriptlets import REGISTERED, outcome_of

# -- contexts


def test_a_key_with_points_is_one_key() -> None:
    context = Context()
    context.set("config", {"a": 1})
    context.set("config.a", 2)
    assert (context.get("config"), context.get("config.a")) == ({"a": 1}, 2)
    assert context.get("config.b") is None
    assert context.get("config.b", 3) == 3


def test_nobody_holds_what_a_context_holds() -> None:
    context = Context({"given": [1]})
    mine = [1]
    context.set("own", mine)
    mine.append(2)
    context.get("own").append(3)
    context.get("given").append(2)
    assert context.to_dict() == {"given": [1], "own": [1]}


def test_the_history_says_who_changed_what() -> None:
    context = Context({"a": 1})
    context.set("a", 2, who="first")
    context.set("a", 2, who="second")
    context.set("b", None, who="third")
    said = [(one["key"], one["before"], one["after"], one["who"]) for one in context.get_history()]
    assert said == [("a", 1, 2, "first"), ("b", None, None, "third")]
    assert [one["operation"] for one in context.get_history("b")] == ["set"]
    assert (context.who("a"), context.who("b"), context.who("c")) == ("first", "third", None)
    assert context.pop_dirty_keys() == ["a", "b"]
    assert context.pop_dirty_keys() == []
    assert context.get_metrics()["unchanged_sets"] == 1


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"x", object(), {1: 2}, 2**60])
def test_what_is_no_json_is_refused_where_it_is_set(value: Any) -> None:
    context = Context()
    with pytest.raises(ValueError, match="'k' is no JSON value"):
        context.set("k", value)
    assert "k" not in context


def test_callbacks_hear_of_reads_and_writes() -> None:
    context, heard = Context(), []
    for event in ("before_set", "after_set", "before_get", "after_get", "on_dirty"):
        context.register_callback(event, lambda *about, event=event: heard.append((event, *about)))
    context.set("a", 1)
    context.get("a")
    assert heard == [
        ("before_set", "a", 1),
        ("on_dirty", "a"),
        ("after_set", "a", 1),
        ("before_get", "a"),
        ("after_get", "a", 1),
    ]
    with pytest.raises(ValueError, match="did you mean 'after_set'"):
        context.register_callback("after_sett", print)


def test_contexts_go_to_json_and_back_and_into_one_another() -> None:
    context = Context.from_json('{"a": [1, null]}')
    other = Context()
    other.set("b", "x")
    context.merge_from(other, who="merge")
    assert context.to_json() == '{"a":[1,null],"b":"x"}'
    assert context.keys() == ["a", "b"]
    with pytest.raises(ValueError, match="JSON object"):
        Context.from_json("[]")


def test_threads_lose_no_write() -> None:
    context = Context()

    def write(name: int) -> None:
        for number in range(50):
            context.set(f"{name}.{number}", number)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(context) == len(context.get_history()) == 200


# -- scriptlets


def test_a_scriptlet_is_registered_bare_and_called() -> None:
    @register_scriptlet
    class Bare(BaseScriptlet):
        """Does nothing.

        At length.
        """

        def run(self, context: Context, params: dict[str, Any]) -> int:
            return 0

    @register_scriptlet()
    class Called:
        def run(self, context: Context, params: dict[str, Any]) -> int:
            return 0

    assert (REGISTERED["Bare"], REGISTERED["Called"]) == (Bare, Called)
    assert (Bare().name, Bare().description) == ("Bare", "Does nothing.")
    with pytest.raises(TypeError, match="a class with a method `run`"):
        register_scriptlet(len)


def test_the_clock_of_a_scriptlet_starts_when_it_is_executed() -> None:
    class Slow(BaseScriptlet):
        def run(self, context: Context, params: dict[str, Any]) -> float:
            return self.get_execution_time()

    class Forgetful(BaseScriptlet):
        def __init__(self) -> None:
            self.name = "forgetful"

        def run(self, context: Context, params: dict[str, Any]) -> float:
            return self.get_execution_time()

    assert 0 <= Slow().execute(Context(), {}) < 5
    assert 0 <= Forgetful().execute(Context(), {}) < 5
    assert Forgetful().get_execution_time() == 0


def test_a_dictionary_is_the_output_and_zero_is_success() -> None:
    assert outcome_of({"a": 1}, "S") == {"a": 1}
    assert outcome_of(0, "S") is None
    assert outcome_of(None, "S") is None
    with pytest.raises(NodeError, match="S ended with the exit code 3") as failed:
        outcome_of(3, "S")
    assert failed.value.details == {"exit_code": 3}
    for answer in (True, False, "ok", [1]):
        with pytest.raises(NodeError, match="neither a dictionary nor an exit code"):
            outcome_of(answer, "S")


def test_a_logger_is_loud_when_asked_or_when_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DEBUG", raising=False)
    assert get_logger("framework0.quiet").level == logging.INFO
    assert get_logger("framework0.asked", debug=True).level == logging.DEBUG
    monkeypatch.setenv("DEBUG", "1")
    assert get_logger("framework0.loud").level == logging.DEBUG
    assert get_logger("framework0.refused", debug=False).level == logging.INFO
    assert len(get_logger("framework0.loud").handlers) == 1


# -- names and modules


def test_the_names_are_there_inside_the_block_and_gone_behind_it() -> None:
    with in_place():
        framework = importlib.import_module("scriptlets.framework")
        assert framework.BaseScriptlet is BaseScriptlet
        assert importlib.import_module("orchestrator.context").Context is Context
        assert importlib.import_module("src.core.logger").get_logger is get_logger
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("scriptlets.nothing")
    assert not {"scriptlets", "scriptlets.framework", "orchestrator", "src.core"} & set(sys.modules)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("orchestrator.context")


def test_the_names_stand_beside_the_recipes_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "scriptlets"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "framework.py").write_text("raise SystemExit('theirs')", encoding="utf-8")
    (package / "own.py").write_text("from scriptlets.framework import BaseScriptlet as B", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    with in_place():
        assert loaded(found("scriptlets.own", [tmp_path])).B is BaseScriptlet


def test_the_folders_of_a_recipe_end_where_the_run_was_started(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert folders_of(inner, tmp_path) == [inner, tmp_path / "a", tmp_path]
    assert folders_of(inner, inner) == [inner]
    assert folders_of(tmp_path, inner) == [tmp_path]


def test_a_module_is_looked_for_in_the_recipes_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "own.py").write_text("", encoding="utf-8")
    (tmp_path / "outside.py").write_text("", encoding="utf-8")
    (tmp_path / "in" / "link.py").symlink_to(tmp_path / "outside.py")
    (tmp_path / "in" / "bare").mkdir()
    folders = [tmp_path / "in"]
    assert found("own", folders).file == tmp_path / "in" / "own.py"
    for name, said in (
        ("outside", "there is no module"),
        ("link", "leads out of"),
        ("bare", "__init__.py"),
        ("os", "may not name the module"),
        ("os.path", "may not name the module"),
        ("nodeling", "may not name the module"),
        ("..outside", "may not name the module"),
    ):
        with pytest.raises(NodeError) as refused:
            found(name, folders)
        assert refused.value.code == 4003
        assert said in f"{refused.value.message} {refused.value.hint}", name


def test_a_name_that_belongs_to_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "yaml.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    importlib.import_module("yaml")
    with pytest.raises(NodeError, match="the name 'yaml' belongs to"):
        loaded(found("yaml", [tmp_path]))


def test_modules_of_python_are_told_from_others() -> None:
    assert is_of_python("os.path")
    assert is_of_python("nodeling_bridges.framework0.api")
    assert not is_of_python("scriptlets.os")
    assert is_module("a.b_1")
    assert not is_module("")


# -- the gate


@pytest.mark.parametrize(
    ("config", "bound"),
    [
        ({}, float("inf")),
        ({"config": 3}, float("inf")),
        ({"config": {"execution": {"max_concurrent_steps": 2}}}, 2),
        ({"config.execution": {"max_concurrent_steps": 2}}, 2),
        ({"config": {"execution": {"max_concurrent_steps": 2, "enable_parallel_processing": False}}}, 1),
        ({"config": {"execution": {"enable_parallel_processing": True}}}, float("inf")),
    ],
)
def test_the_bound_is_what_the_configuration_says(config: dict[str, Any], bound: float) -> None:
    assert gate.bound_of(config.get) == bound


@pytest.mark.parametrize("limit", [0, -1, True, "4", 1.5])
def test_a_bound_that_is_no_number_of_steps_is_refused(limit: Any) -> None:
    with pytest.raises(NodeError, match="not a number from 1 up"):
        gate.bound_of({"config": {"execution": {"max_concurrent_steps": limit}}}.get)


def test_no_more_than_the_bound_are_inside_and_a_cancelled_one_gives_its_place_back() -> None:
    async def main() -> tuple[int, list[int]]:
        inside, most, order = 0, 0, []
        go = asyncio.Event()

        async def one(number: int) -> None:
            nonlocal inside, most
            async with gate.place("run", 2):
                inside += 1
                most = max(most, inside)
                order.append(number)
                try:
                    await go.wait()
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(one(number)) for number in range(6)]
        while len(order) < 2:
            await asyncio.sleep(0)
        tasks[3].cancel()  # waits
        tasks[0].cancel()  # is inside
        while len(order) < 3:
            await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return most, order

    assert asyncio.run(main()) == (2, [0, 1, 2, 4, 5])
    assert gate._GATES == {}
