"""Entry points are found as the standard library finds them, which is asked where folders do not say all."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeling_runtime import installed
from nodeling_runtime.installed import entry_points

Seen = set[tuple[str, str, str]]
Install = Callable[..., Path]

POINTS = """
[console_scripts]
acme = acme.cli:main

# a comment, and a group whose name ours begins with
[acme.nodes.more]
other = acme.other

[acme.nodes]
first = acme.nodes
second=acme.deep : Things.thing  [fast]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Leaves a distribution's metadata in a folder of its own, which becomes the first of the path."""

    def put(
        place: str, folder: str, name: str = "acme", points: str = POINTS, about: str = "METADATA"
    ) -> Path:
        info = tmp_path / place / folder
        info.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\nName: a word of the description\n"
        (info / about).write_text(text, encoding="utf-8")
        (info / "entry_points.txt").write_text(points, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path / place))
        return info

    return put


def ours(group: str) -> Seen:
    return {(point.name, point.value, point.distribution) for point in entry_points(group)}


def theirs(group: str) -> Seen:
    found = importlib.metadata.entry_points(group=group)
    return {(point.name, point.value, point.dist.name) for point in found if point.dist is not None}


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(group: str) -> list[installed.EntryPoint]:
        raise AssertionError(f"the standard library was asked for {group}")

    monkeypatch.setattr(installed, "_asked", refuse)


@pytest.mark.usefixtures("unasked")
def test_every_group_of_this_environment_is_what_the_standard_library_says() -> None:
    groups = {point.group for one in importlib.metadata.distributions() for point in one.entry_points}
    assert "nodeling.nodes" in groups
    for group in groups:
        assert ours(group) == theirs(group), group


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize(
    ("folder", "about"),
    [
        ("acme-1.0.dist-info", "METADATA"),
        ("Acme.Tools-1.0.dist-info", "METADATA"),
        ("acme.egg-info", "PKG-INFO"),
        ("acme-1.0-py3.11.egg-info", "PKG-INFO"),
    ],
)
def test_a_distribution_is_found_under_its_own_name(install: Install, folder: str, about: str) -> None:
    install("one", folder, about=about)
    value = "acme.deep : Things.thing  [fast]"
    assert ours("acme.nodes") == {("first", "acme.nodes", "acme"), ("second", value, "acme")}
    assert ours("acme.nodes") == theirs("acme.nodes")


@pytest.mark.usefixtures("unasked")
def test_of_a_distribution_that_is_installed_twice_the_first_on_the_path_counts(install: Install) -> None:
    install("later", "acme_tools-1.0.dist-info", points="[acme.nodes]\nold = acme.old\n")
    install("sooner", "Acme.Tools-2.0.dist-info", points="[acme.nodes]\nnew = acme.new\n")
    assert ours("acme.nodes") == theirs("acme.nodes") == {("new", "acme.new", "acme")}


@pytest.mark.usefixtures("unasked")
def test_a_path_that_leads_nowhere_and_metadata_without_points_are_no_errors(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (install("one", "acme-1.0.dist-info") / "entry_points.txt").unlink()
    (tmp_path / "one" / "file-1.0.egg-info").write_text("Name: file\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "nowhere"))
    assert ours("acme.nodes") == theirs("acme.nodes") == set()


def test_an_archive_on_the_path_is_read_by_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "acme.zip", "w") as archive:
        archive.writestr("acme-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        archive.writestr("acme-1.0.dist-info/entry_points.txt", "[acme.nodes]\nzipped = acme.nodes\n")
    monkeypatch.syspath_prepend(str(tmp_path / "acme.zip"))
    assert ours("acme.nodes") == {("zipped", "acme.nodes", "acme")}


def test_a_finder_that_knows_distributions_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    class Known(importlib.metadata.Distribution):
        def read_text(self, filename: str) -> str | None:
            return {
                "METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n",
                "entry_points.txt": "[acme.nodes]\nimagined = acme.nodes\n",
            }.get(filename)

        def locate_file(self, path: object) -> Path:
            raise NotImplementedError

    class Finder(importlib.metadata.DistributionFinder):
        def find_distributions(self, context: object = None) -> list[importlib.metadata.Distribution]:
            return [Known()]

        def find_spec(self, *args: object) -> None:
            return None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert ours("acme.nodes") == {("imagined", "acme.nodes", "acme")}


def test_a_point_is_loaded_by_its_module_and_attribute() -> None:
    point = installed.EntryPoint("join", "os.path : join [extra]", "acme")
    assert point.module == "os.path" and point.load() is __import__("os").path.join
    assert installed.EntryPoint("path", "os.path", "acme").load() is __import__("os").path


def test_looking_for_entry_points_loads_no_mail() -> None:
    code = (
        "import sys; from nodeling_runtime import installed; assert installed.entry_points('nodeling.nodes');"
        "print(*(name for name in ('email', 'importlib.metadata', 'zipfile') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("file", ["entry_points.txt", "METADATA"])
def test_a_distribution_whose_texts_are_no_utf8_keeps_nobody_else_from_being_found(
    install: Install, file: str
) -> None:
    install("good", "acme-1.0.dist-info")
    odd = install("odd", "odd-1.0.dist-info", "odd") / file
    odd.write_bytes(odd.read_bytes().replace(b"odd", b"\xf6dd").replace(b"Things", b"Th\xefngs"))
    found = ours("acme.nodes")
    assert ("first", "acme.nodes", "acme") in found
    assert len(found) == 4
