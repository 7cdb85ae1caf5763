"""Each example does what its README shows, checks clean, and its nodes pass their own examples."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.pages import ROOT, Page, blocks
from nodeling_runtime.cli.check import check_paths
from nodeling_runtime.engine.loaded import registry_for
from nodeling_runtime.examples import run_examples

EXAMPLES = ROOT / "examples"
OWN_TESTS = {"quickstart", "blok"}  # these have tests of their own
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/workflow.*") if path.parent.name not in OWN_TESTS)
PAGES = sorted(path.parent for path in EXAMPLES.glob("*/README.md") if path.parent.name not in OWN_TESTS)
LISTED = re.findall(r"^\| \[([\w-]+)\]\(", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def named(folder: Path) -> str:
    return folder.name


@pytest.fixture(params=FOLDERS, ids=named)
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an example, away from the project around it."""
    return Path(shutil.copytree(request.param, tmp_path / request.param.name))


@pytest.mark.parametrize("folder", PAGES, ids=named)
def test_an_example_does_what_its_readme_shows(folder: Path, tmp_path: Path) -> None:
    readme = folder / "README.md"
    assert any(block.language == "console" for block in blocks(readme.read_text(encoding="utf-8")))
    repository = tmp_path / "repository"
    inside = Path(shutil.copytree(folder, repository / folder.name))
    shutil.copy(ROOT / ".gitignore", repository)
    git(repository, "init", "--quiet")
    git(repository, "add", "--all")
    Page(readme, inside, more={"XDG_CACHE_HOME": str(tmp_path / "cache")}).run()
    left = git(repository, "status", "--porcelain").splitlines()
    assert [
        line for line in left if not line.startswith("A  ")
    ] == []  # running it changes nothing that is kept


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_an_example_has_no_faults_and_no_warnings(example: Path) -> None:
    findings = check_paths([example])
    assert [str(fault) for fault in findings.faults] == []
    assert len(findings.checked) > 1


def test_every_node_of_an_example_passes_examples_of_its_own(example: Path) -> None:
    specs = [spec for spec in registry_for(example).each() if spec.is_local]
    assert specs
    for spec in specs:
        results = list(run_examples(spec, ()))
        assert results, f"{spec.name} has no examples"
        assert [result.problem for result in results if not result.passed] == []


def test_the_list_of_examples_names_every_folder() -> None:
    assert set(LISTED) == {path.parent.name for path in EXAMPLES.glob("*/README.md")}
