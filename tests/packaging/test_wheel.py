"""What the wheel holds: a mistyped path in pyproject.toml builds one without a package, and says nothing."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    "nodeling": ROOT / "sdk/python/nodeling",
    "nodeling_runtime": ROOT / "runtime/nodeling_runtime",
    "nodeling_nodes": ROOT / "plugins/nodeling_nodes",
    "nodeling_bridges": ROOT / "plugins/nodeling_bridges",
    "nodeling_templates": ROOT / "node_templates/nodeling_templates",
}


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_top_level_names_are_the_five_packages_and_nothing_called_sdk_or_runtime(names):
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(SOURCES)


def test_every_file_of_every_package_is_in_the_wheel(names):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *map(str, SOURCES.values())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    wanted = set()
    for line in listed:
        path = ROOT / line.strip('"')
        for top, source in SOURCES.items():
            if path.is_file() and path.is_relative_to(source):
                wanted.add(f"{top}/{path.relative_to(source).as_posix()}")
    assert wanted - names == set()
    assert sum(name.endswith("/config.json") for name in wanted) >= 10
    assert sum(name.endswith(".tmpl") for name in wanted) >= 20
    assert {"nodeling/schemas/node.v1.json", "nodeling/schemas/workflow.v1.json"} <= wanted
    assert {f"{top}/py.typed" for top in SOURCES} <= wanted


def test_the_sdks_for_other_languages_travel_inside_the_package(wheel, names):
    from nodeling.sdk_files import sdk_file

    carried = {name for name in names if name.startswith("nodeling/languages/")}
    assert "nodeling/languages/javascript/nodeling.mjs" in carried
    assert "nodeling/languages/rust/src/worker/call.rs" in carried
    with zipfile.ZipFile(wheel) as archive:
        for name in carried:
            language, _, file = name.removeprefix("nodeling/languages/").partition("/")
            assert archive.read(name) == sdk_file(language, file).read_bytes()


def test_every_entry_point_leads_somewhere(wheel, names):
    with zipfile.ZipFile(wheel) as archive:
        file = next(name for name in names if name.endswith("entry_points.txt"))
        lines = archive.read(file).decode().splitlines()
    values = [line.partition(" = ")[2] for line in lines if " = " in line]
    assert len(values) >= 5
    for value in values:
        module = value.partition(":")[0].replace(".", "/")
        assert f"{module}.py" in names or f"{module}/__init__.py" in names, value


def test_the_licence_and_the_readme_travel_along(wheel, names):
    assert any(name.endswith("licenses/LICENSE") for name in names)
    with zipfile.ZipFile(wheel) as archive:
        meta = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in meta
    assert "Requires-Python: >=3.11" in meta
