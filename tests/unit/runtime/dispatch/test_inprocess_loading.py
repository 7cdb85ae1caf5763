"""Importing the code of nodes: when, as what, and how it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodeling.errors import PluginError
from nodeling_runtime.dispatch.loading import load_implementation, loaded_implementation
from nodeling_runtime.registry import NodeSpec, build_registry
from probes import write_node

Specs = Callable[..., NodeSpec]


@pytest.fixture
def spec_of(tmp_path: Path) -> Specs:
    """Write a node's files and find it again, as a new run would."""

    def find(name: str, files: dict[str, str], **manifest: Any) -> NodeSpec:
        write_node(tmp_path, name, files, **manifest)
        registry = build_registry([tmp_path], installed=False)
        assert registry.faults == []
        return registry.specs[name].popitem()[1]

    return find


def call(spec: NodeSpec) -> Any:
    return load_implementation(spec).call(None, {})


def test_nothing_is_imported_before_it_is_asked_for_and_once_it_is_kept(spec_of: Specs) -> None:
    spec = spec_of("one", {"node.py": "print('imported')\ndef run(ctx, inputs):\n    return 1\n"})
    assert loaded_implementation(spec) is None
    assert load_implementation(spec) is load_implementation(spec)
    assert loaded_implementation(spec) is not None


def test_the_helpers_of_two_nodes_never_meet(spec_of: Specs) -> None:
    code = "from . import helpers\n\ndef run(ctx, inputs):\n    return helpers.WHO\n"
    one = spec_of("one", {"node.py": code, "helpers.py": "WHO = 'one'\n"})
    two = spec_of("two", {"node.py": code, "helpers.py": "WHO = 'two'\n"})
    assert [call(one), call(two), call(one)] == ["one", "two", "one"]
    assert "helpers" not in sys.modules


RUN = "def run(ctx, inputs):"
HANDLE = "    async def handle(self, ctx, inputs"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (f"{RUN}\n    return 1\n", "sync"),
        (f"async {RUN}\n    return 1\n", "async"),
        (f"{RUN}\n    yield 1\n", "generator"),
        (f"async {RUN}\n    yield 1\n", "async_generator"),
        ("from nodeling import node\n@node\ndef anything(n: int) -> int:\n    return n\n", "sync"),
        (f"from nodeling import Node\nclass It(Node):\n{HANDLE}):\n        return 1\n", "async"),
        ("class It:\n    def handle(self, ctx, inputs):\n        return 1\n", "sync"),
        (f"from nodeling import FlowNode\nclass It(FlowNode):\n{HANDLE}, flow):\n        return 1\n", "flow"),
    ],
)
def test_every_way_to_write_a_node_is_understood(spec_of: Specs, code: str, kind: str) -> None:
    assert load_implementation(spec_of("any", {"node.py": code})).kind == kind


def test_the_manifest_may_say_that_a_function_does_not_block(spec_of: Specs) -> None:
    code = "def run(ctx, inputs):\n    return 1\n"
    assert load_implementation(spec_of("a", {"node.py": code})).blocking
    runtime = {"type": "python", "blocking": False}
    assert not load_implementation(spec_of("b", {"node.py": code}, runtime=runtime)).blocking


def test_more_than_one_node_in_a_file_is_an_error_that_names_them(spec_of: Specs) -> None:
    code = "from nodeling import node\n" + "".join(f"@node\ndef {n}() -> int:\n    return 1\n" for n in "ba")
    with pytest.raises(PluginError, match="holds more than one node: a, b") as caught:
        load_implementation(spec_of("many", {"node.py": code}))
    assert caught.value.hint == "call the one that is meant `run`"


def test_a_file_without_a_node_and_no_file_at_all_are_errors(spec_of: Specs) -> None:
    with pytest.raises(PluginError, match="holds no node"):
        load_implementation(spec_of("none", {"node.py": "x = 1\n"}))
    with pytest.raises(PluginError, match="gone.py does not exist"):
        load_implementation(spec_of("absent", {}, runtime={"type": "python", "entry": "gone.py"}))


def test_an_entry_may_name_an_installed_module_and_an_attribute(spec_of: Specs) -> None:
    spec = spec_of("joins", {}, runtime={"type": "python", "entry": "posixpath:basename"})
    assert load_implementation(spec).call("/a/b") == "b"


def test_an_import_that_fails_leaves_nothing_behind_and_may_be_mended(spec_of: Specs) -> None:
    code = "from . import helpers\n\ndef run(ctx, inputs):\n    return helpers.WHO\n"
    broken = spec_of("mended", {"node.py": code, "helpers.py": "raise RuntimeError('half way')\n"})
    before = set(sys.modules)
    with pytest.raises(RuntimeError, match="half way"):
        load_implementation(broken)
    assert set(sys.modules) <= before
    assert loaded_implementation(broken) is None
    assert call(spec_of("mended", {"helpers.py": "WHO = 'mended'\n"})) == "mended"


@pytest.mark.parametrize("edited", ["node.py", "helpers.py"])
def test_an_edited_file_is_loaded_anew_even_within_the_same_second(
    spec_of: Specs, tmp_path: Path, edited: str
) -> None:
    def files(mark: str) -> dict[str, str]:
        return {
            "node.py": f"from . import helpers\nMARK = '{mark}'\n{RUN}\n    return MARK + helpers.MARK\n",
            "helpers.py": f"MARK = '{mark}'\n",
        }

    first = spec_of("edited", files("a"))
    assert call(first) == "aa"
    stamp = os.stat(tmp_path / "edited" / edited)
    second = spec_of("edited", {edited: files("b")[edited]})
    os.utime(tmp_path / "edited" / edited, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1_000))
    assert call(second) == ("ba" if edited == "node.py" else "ab")
    assert call(first) == "aa", "a run that goes on keeps the code it began with"


def test_an_unchanged_node_is_not_executed_again_by_the_next_run(spec_of: Specs) -> None:
    files = {"node.py": f"import itertools\nCOUNT = itertools.count()\n{RUN}\n    return next(COUNT)\n"}
    assert call(spec_of("counts", files)) == 0
    assert call(spec_of("counts", {})) == 1
