"""Nodes found in folders and packages: names, versions, owners, and what is wrong while all else works."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling import node
from nodeling.errors import Fault
from nodeling.workflow import Workflow
from nodeling_runtime import manifests
from nodeling_runtime.documents.reader import Document
from nodeling_runtime.engine.loaded import registry_for
from nodeling_runtime.registry import PROJECT, NodeSpec, Registry, build_registry, register

Make = Callable[..., Path]
Found = Callable[[], Registry]

NODE = "def run(ctx, inputs):\n    return {'said': %r, **inputs}\n"


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a node folder: a name, a place below `nodes`, and what its manifest says beside."""

    def write(
        name: str, place: str | None = None, *, root: str = "nodes", text: str | None = None, **more: Any
    ) -> Path:
        folder = tmp_path / root / (place or name)
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {"name": name, "version": "1.0.0", **more}
        (folder / "config.json").write_text(text or json.dumps(manifest, indent=2), encoding="utf-8")
        (folder / "node.py").write_text(NODE % manifest["version"], encoding="utf-8")
        return folder

    return write


@pytest.fixture
def found(tmp_path: Path) -> Found:
    return lambda: build_registry([tmp_path / "nodes"], installed=False)


def spec(registry: Registry, reference: str) -> NodeSpec:
    one = registry.find(reference)
    assert isinstance(one, NodeSpec), one
    return one


def fault(registry: Registry, reference: str) -> Fault:
    one = registry.find(reference)
    assert isinstance(one, Fault), one
    return one


# -- names and versions


VERSIONS = ("0.9.1", "1.0.0", "1.2.0", "1.2.5", "2.0.0-rc.1", "2.0.0")


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [
        ("tool", "2.0.0"),
        ("tool@latest", "2.0.0"),
        ("tool@*", "2.0.0"),
        ("tool@1.2.0", "1.2.0"),
        ("tool@^1", "1.2.5"),
        ("tool@^1.2", "1.2.5"),
        ("tool@~1.0", "1.0.0"),
        ("tool@~1.2", "1.2.5"),
        ("tool@^0.9", "0.9.1"),
        ("tool@2.0.0-rc.1", "2.0.0-rc.1"),
        ("tool@^2", "2.0.0"),
    ],
)
def test_a_reference_means_the_newest_version_that_fits(
    make: Make, found: Found, reference: str, wanted: str
) -> None:
    for version in VERSIONS:
        make("tool", f"tool@{version}", version=version)
    assert str(spec(found(), reference).manifest.version) == wanted


@pytest.mark.parametrize("reference", ["tool@^3", "tool@1.2.1", "tool@~1.3", "tool@^0.8"])
def test_a_version_that_is_not_there_is_told_with_those_that_are(
    make: Make, found: Found, reference: str
) -> None:
    for version in ("0.9.1", "1.0.0", "2.0.0"):
        make("tool", f"tool@{version}", version=version)
    one = fault(found(), reference)
    assert one.code == "registry.version" and one.hint == "there is 0.9.1, 1.0.0, 2.0.0"


@pytest.mark.parametrize("reference", ["tool@new", "tool@^", "tool@1.x"])
def test_a_range_that_is_none_is_said_so(make: Make, found: Found, reference: str) -> None:
    make("tool")
    assert fault(found(), reference).code == "registry.version"


def test_an_unknown_name_is_told_with_the_nearest(make: Make, found: Found) -> None:
    make("csv-reader")
    assert fault(found(), "csv-raeder").hint == "did you mean 'csv-reader'?"
    assert fault(found(), "csv_reader").hint == "did you mean 'csv-reader'?"
    assert fault(found(), "qqq").code == "registry.unknown"


def test_an_alias_is_a_name_too(make: Make, found: Found) -> None:
    make("tool", aliases=["@old/tool", "instrument"])
    registry = found()
    assert spec(registry, "@old/tool").name == spec(registry, "instrument@^1").name == "tool"
    assert [one.name for one in registry.each()] == ["tool"]


def test_an_alias_that_repeats_a_name_makes_no_second_owner(make: Make, found: Found) -> None:
    make("tool", aliases=["tool", "other", "other"])
    registry = found()
    assert spec(registry, "tool") is spec(registry, "other")
    assert registry.faults == []


def test_the_version_may_stand_in_the_folders_name_alone(make: Make, found: Found) -> None:
    make("tool", "misc/tool@3.1.4", text='{"name": "tool"}')
    assert str(spec(found(), "tool").manifest.version) == "3.1.4"


# -- owners


def test_two_owners_of_one_name_and_version_are_both_named(make: Make, tmp_path: Path) -> None:
    make("tool", root="first")
    make("tool", root="second")
    make("other", root="second")
    registry = Registry()
    registry.add_folder(tmp_path / "first", "acme")
    registry.add_folder(tmp_path / "second", "umbrella")
    (one,) = registry.faults
    assert one.code == "registry.duplicate"
    for word in ("acme", "umbrella", "tool@1.0.0", "first", "second"):
        assert word in one.message
    assert fault(registry, "tool").message in one.message
    assert spec(registry, "other").owner == "umbrella"


def test_two_versions_of_one_name_may_have_two_owners(make: Make, tmp_path: Path) -> None:
    make("tool", root="first")
    make("tool", root="second", version="2.0.0")
    registry = Registry()
    registry.add_folder(tmp_path / "first", "acme")
    registry.add_folder(tmp_path / "second", "umbrella")
    assert registry.faults == []
    assert (spec(registry, "tool@^1").owner, spec(registry, "tool").owner) == ("acme", "umbrella")


def test_a_clash_hurts_only_those_who_ask_for_that_version(make: Make, tmp_path: Path) -> None:
    make("tool", root="first")
    make("tool", root="second")
    make("tool", "tool@2.0.0", root="second", version="2.0.0")
    registry = build_registry([tmp_path / "first", tmp_path / "second"], installed=False)
    assert spec(registry, "tool").manifest.version.major == 2
    assert fault(registry, "tool@1.0.0").code == "registry.duplicate"


def test_one_folder_reached_twice_is_one_owner(make: Make, tmp_path: Path) -> None:
    make("tool")
    (tmp_path / "linked").symlink_to(tmp_path / "nodes")
    registry = build_registry([tmp_path / "nodes", tmp_path / "linked", tmp_path / "nodes"], installed=False)
    assert registry.faults == [] and spec(registry, "tool").owner == PROJECT


def test_a_link_in_a_circle_ends(make: Make, tmp_path: Path, found: Found) -> None:
    make("tool", "group/tool")
    (tmp_path / "nodes" / "group" / "again").symlink_to(tmp_path / "nodes")
    assert [one.name for one in found().each()] == ["tool"]


def test_functions_are_nodes_as_folders_are() -> None:
    @node(name="shout", version="1.1.0")
    def shout(text: str) -> str:
        return text.upper()

    registry = Registry()
    register(registry, shout, "acme")
    assert spec(registry, "shout@^1").manifest.inputs["properties"]["text"] == {"type": "string"}  # type: ignore[index]
    register(registry, 7, "acme")
    assert registry.faults[0].code == "plugin.register" and "int" in registry.faults[0].message


# -- places


def test_nodes_beside_the_workflow_in_the_project_and_elsewhere_are_found(make: Make, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    make("of-the-project")
    make("beside", root="flows/nodes")
    make("elsewhere", root="more")
    registry = registry_for(tmp_path / "flows", [tmp_path / "more"], installed=False)
    assert registry.names() == ["beside", "elsewhere", "of-the-project"]
    assert all(one.is_local for one in registry.each())


def test_folders_are_looked_through_three_deep_and_no_further(make: Make, found: Found) -> None:
    make("one", "one")
    make("two", "group/two")
    make("three", "a/b/three")
    make("four", "a/b/c/four")
    make("hidden", ".git/hidden")
    make("private", "_private/private")
    make("foreign", "node_modules/foreign")
    assert found().names() == ["one", "three", "two"]


def test_a_node_folder_may_be_named_itself(make: Make) -> None:
    assert build_registry([make("tool")], installed=False).names() == ["tool"]


def test_a_folder_that_bears_another_name_is_warned_of(make: Make, found: Found) -> None:
    make("tool", "something_else")
    (one,) = found().faults
    assert (one.severity, one.code, one.pointer, one.line) == ("warning", "manifest.folder", "/name", 2)
    make("snake-case", "snake_case")
    assert len(found().faults) == 1


# -- reading no more than is asked for


def test_a_manifest_is_judged_when_its_node_is_asked_for(
    make: Make, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []
    as_ever = manifests.well_formed

    def noted(document: Document, data: Any) -> list[Fault]:
        judged.append(Path(document.name).parent.name)
        return as_ever(document, data)

    monkeypatch.setattr(manifests, "well_formed", noted)
    make("one", aliases=["first"])
    make("two")
    make("commented", text='{"name": "commented"} // which only a careful reading understands')
    registry = found()
    assert judged == []
    assert spec(registry, "first").name == "one" and sorted(judged) == ["commented", "one"]
    assert registry.names() == ["commented", "first", "one", "two"]
    assert sorted(judged) == ["commented", "one", "two"]


NAMES = st.sampled_from("abcd")
FOLDERS = st.lists(
    st.tuples(NAMES, st.lists(NAMES, max_size=2), st.sampled_from(["1.0.0", "2.0.0", "wrong"])), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(FOLDERS, st.lists(NAMES, max_size=4))
def test_in_whatever_order_nodes_are_asked_for_the_same_are_found(
    folders: list[tuple[str, list[str], str]], asked: list[str]
) -> None:
    def answers(registry: Registry, names: Iterable[str]) -> list[object]:
        found = (registry.find(name) for name in names)
        return [one if isinstance(one, Fault) else one.folder for one in found]

    with tempfile.TemporaryDirectory() as root:
        for place, (name, aliases, version) in enumerate(folders):
            folder = Path(root, str(place), name)
            folder.mkdir(parents=True)
            manifest = {"name": name, "version": version, "aliases": aliases}
            (folder / "config.json").write_text(json.dumps(manifest), encoding="utf-8")
        at_once, bit_by_bit = (build_registry([Path(root)], installed=False) for _ in range(2))
        at_once.names()
        assert answers(bit_by_bit, asked) == answers(at_once, asked)
        assert bit_by_bit.specs.keys() == at_once.specs.keys()
        assert {key: [one.folder for one in value] for key, value in bit_by_bit.clashes.items()} == {
            key: [one.folder for one in value] for key, value in at_once.clashes.items()
        }
        assert sorted(map(str, bit_by_bit.faults)) == sorted(map(str, at_once.faults))
        assert answers(bit_by_bit, "abcd") == answers(at_once, "abcd")


# -- what is wrong


def test_a_broken_manifest_hurts_nobody_else(make: Make, found: Found) -> None:
    make("good")
    text = '{\n  "name": "bad",\n  "version": "one",\n  "inputs": {"type": "strng"},\n  "effects": "some"\n}'
    folder = make("bad", text=text)
    registry = found()
    assert registry.names() == ["good"]
    assert {one.file for one in registry.faults} == {str(folder / "config.json")}
    places = {(one.pointer, one.line) for one in registry.faults}
    assert {("/version", 3), ("/inputs/type", 4), ("/effects", 5)} <= places
    asked = fault(registry, "bad")
    assert "cannot be used" in asked.message and str(folder / "config.json") in str(asked.hint)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "document.syntax"),
        ("[]", "manifest.invalid"),
        ('{"name": "bad", "name": "worse"}', "document.duplicate_key"),
        ('{"name": "bad", "version": NaN}', "document.nan"),
        ('{"name": "bad", \'version\': 1}', "document.syntax"),
        ('{"name": "bad", "runtime": {"type": "runtime.command"}}', "manifest.command"),
        ('{"name": "bad", "inputs": {"$ref": "https://example.com/x"}}', "manifest.schema"),
        ('{"name": "bad", "inputs": {"$ref": "file:///etc/passwd"}}', "manifest.schema"),
        (
            '{"name": "bad", "flow": true, "config": {"properties": {"do": {"x-nodeling": "stpe"}}}}',
            "manifest.annotation",
        ),
    ],
)
def test_every_way_to_be_no_manifest_has_a_place(make: Make, found: Found, text: str, code: str) -> None:
    folder = make("bad", text=text or " ")
    faults = found().faults
    assert code in {one.code for one in faults}, faults
    assert all(one.file == str(folder / "config.json") and one.line for one in faults)


def test_an_unknown_key_of_a_manifest_is_told_with_the_nearest(make: Make, found: Found) -> None:
    make("tool", inptus={"type": "object"})
    faults = found().faults
    assert [one.pointer for one in faults] == ["/inptus"]
    assert faults[0].hint and "inputs" in faults[0].hint


def test_a_node_whose_language_nobody_brings_is_listed_with_the_nearest(make: Make, found: Found) -> None:
    make("script", runtime={"type": "runtime.pyhton3"})
    make("other", runtime={"type": "runtime.klingon"})
    make("apart", runtime={"type": "python", "isolation": "call"})
    registry = found()
    refusal = "no toolchain is registered for `runtime.pyhton3`; did you mean 'runtime.python3'?"
    assert spec(registry, "script").cannot_run == refusal
    assert "there is runtime.bash, " in str(spec(registry, "other").cannot_run)
    assert spec(registry, "apart").cannot_run is None
    assert spec(registry, "apart").runs_in == "worker"


# -- nothing is imported


def test_looking_for_nodes_imports_none(make: Make, found: Found) -> None:
    folder = make("tool")
    (folder / "node.py").write_text("raise AssertionError('imported')\n", encoding="utf-8")
    before = set(sys.modules)
    registry = found()
    assert spec(registry, "tool").inputs.is_valid({})
    assert not {
        name for name in set(sys.modules) - before if "tool" in name or name.startswith("nodeling_node")
    }


def test_an_installed_package_is_located_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "acme_nodes"
    (package / "deep" / "geo").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')\n", encoding="utf-8")
    (package / "deep" / "geo" / "config.json").write_text('{"name": "acme-geo"}', encoding="utf-8")
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n", encoding="utf-8")
    points = "[nodeling.nodes]\nacme = acme_nodes.deep\ngone = acme_gone.nodes\n"
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("NODELING_PLUGINS", "acme")
    before = set(sys.modules)
    registry = build_registry()
    assert spec(registry, "acme-geo").owner == "acme"
    assert not {name for name in set(sys.modules) - before if name.startswith("acme")}
    (broken,) = [one for one in registry.broken if one.distribution == "acme"]
    assert broken.name == "gone" and "acme_gone.nodes" in broken.reason


def test_the_nodes_we_ship_come_by_the_same_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODELING_PLUGINS", "nodeling")
    registry = build_registry()
    assert spec(registry, "parallel-execution").owner == "nodeling"
    assert [one for one in registry.faults if one.severity == "error"] == []


def test_packages_can_be_shut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODELING_PLUGINS", "")
    assert build_registry().names() == []


# -- folders and manifests of Blok

CALL = {
    "name": "api-call",
    "version": "1.0.0",
    "description": "Calls an address",
    "group": "API",
    "config": {
        "type": "object",
        "properties": {
            "inputs": {
                "type": "object",
                "properties": {
                    "url": {"type": "string"},
                    "method": {"type": "string", "default": "GET"},
                    "headers": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]},
                },
                "required": ["url"],
            }
        },
        "required": ["inputs"],
        "example": {"inputs": {"properties": {"url": "https://example.com"}}},
    },
    "input": {"anyOf": [{"type": "object"}, {"type": "array"}], "description": "Anything"},
    "output": {"type": "object", "description": "The answer"},
    "steps": {"type": "boolean", "default": False},
    "functions": {"type": "array"},
}
CONDITIONS = {
    "type": "object",
    "properties": {
        "conditions": {
            "type": "array",
            "items": [
                {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "enum": ["if", "else"]},
                        "condition": {"type": "string"},
                        "steps": {"type": "array"},
                    },
                    "required": ["type", "steps"],
                }
            ],
        }
    },
    "required": ["conditions"],
    "example": {"conditions": [{"type": "if", "steps": []}]},
}


def blok(make: Make, place: str, **manifest: Any) -> Path:
    return make(manifest["name"], place, text=json.dumps(manifest))


@pytest.mark.parametrize("key", ["input", "inputs"])
def test_both_spellings_of_inputs_are_taken(make: Make, found: Found, key: str) -> None:
    manifest = {**CALL, "config": {"type": "object"}}
    manifest.pop("input")
    manifest[key] = {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]}
    blok(make, "api/api-call@1.0.0", **manifest)
    one = spec(found(), "api-call@1.0.0")
    assert one.inputs.is_valid({"url": "x"}) and not one.inputs.is_valid({})


def test_a_config_that_wraps_inputs_is_the_schema_of_inputs(make: Make, found: Found) -> None:
    blok(make, "api/api-call@1.0.0", **{**CALL, "input": {"type": "object", "description": "Anything"}})
    registry = found()
    one = spec(registry, "api-call")
    assert [item for item in registry.faults if item.severity == "error"] == []
    assert one.inputs.is_valid({"url": "x", "headers": ["a", 1]})
    assert not one.inputs.is_valid({"method": "GET"})
    assert not one.inputs.is_valid({"url": "x", "headers": ["a", "b"]})
    assert one.config.is_valid({})


def test_a_manifest_as_blok_ships_it_is_taken_as_it_is(make: Make, found: Found) -> None:
    blok(make, "api/api-call@1.0.0", **CALL)
    flow = {**CALL, "name": "old-if-else", "group": "FLOW_CONTROL", "config": CONDITIONS}
    blok(make, "control-flow/old-if-else@1.0.0", **flow)
    registry = found()
    assert [item for item in registry.faults if item.severity == "error"] == []
    assert registry.names() == ["api-call", "old-if-else"]


def test_tuple_style_items_mean_the_old_draft(make: Make, found: Found) -> None:
    blok(
        make,
        "x/pair@1.0.0",
        name="pair",
        inputs={"type": "array", "items": [{"type": "string"}, {"type": "null"}]},
    )
    one = spec(found(), "pair")
    assert one.inputs.is_valid(["a", None]) and not one.inputs.is_valid([1, None])


@pytest.mark.parametrize("key", ["input", "output"])
def test_the_type_any_of_blok_is_no_type(make: Make, found: Found, key: str) -> None:
    blok(make, "api/api-call@1.0.0", **{**CALL, key: {"type": "any", "description": "Anything"}})
    registry = found()
    one = spec(registry, "api-call")
    assert [item for item in registry.faults if item.severity == "error"] == []
    judge = one.inputs if key == "input" else one.output
    assert judge.is_valid({"url": "x"}) and judge.is_valid([1]) is (key == "output")


def test_a_blok_folder_with_javascript_is_a_node_of_that_language(make: Make, found: Found) -> None:
    folder = blok(make, "api/api-call@1.0.0", **CALL)
    (folder / "node.py").unlink()
    (folder / "index.ts").write_text("export default 1\n", encoding="utf-8")
    assert spec(found(), "api-call").manifest.runtime.type == "runtime.nodejs"


def test_a_blok_folder_with_python_runs(make: Make, tmp_path: Path) -> None:
    blok(make, "api/api-call@1.0.0", **CALL)
    document = {
        "name": "old",
        "steps": [{"name": "call", "node": "api-call@1.0.0", "type": "local"}],
        "nodes": {"call": {"inputs": {"url": "${ctx.request.body}"}}},
    }
    workflow = Workflow.from_document(document, nodes=[tmp_path / "nodes"])
    assert workflow.run("here").output == {"said": "1.0.0", "url": "here"}
