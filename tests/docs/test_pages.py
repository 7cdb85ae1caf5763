"""Every block of every page does what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.pages import ROOT, Page, PageError, agrees, blocks, normal, pages

# Pages whose blocks have a test of their own, because they hold tables of cases instead of commands.
ELSEWHERE = {
    "docs/how-to/write-a-node-in-rust.md": "tests/docs/test_rust_page.py",
    "docs/how-to/share-runs.md": "tests/docs/test_shared_page.py",
    "docs/how-to/draw-and-report.md": "tests/unit/runtime/graph/test_graph_docs.py",
    "docs/reference/expressions.md": "tests/unit/runtime/expressions/test_expressions_page.py",
    "docs/reference/exec-nodes.md": "tests/unit/runtime/dispatch/test_exec_docs.py",
}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in pages() if name_of(page) not in ELSEWHERE], ids=name_of)
def test_every_block_of_the_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    Page(page, tmp_path).run()


@pytest.mark.parametrize("page", ELSEWHERE)
def test_a_page_that_is_run_elsewhere_is_read_there(page: str) -> None:
    assert Path(page).name in (ROOT / ELSEWHERE[page]).read_text(encoding="utf-8")


@pytest.fixture
def comparing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare, even while the pages are being written anew."""
    monkeypatch.delenv("NODELING_UPDATE_DOCS", raising=False)


def page_of(folder: Path, text: str) -> Page:
    path = ROOT / "docs" / "made-up.md"
    page = Page.__new__(Page)
    page.path, page.folder, page.text = path, folder, text
    page.seconds, page.more = 60, {}
    page._printed, page._edits = None, []
    return page


@pytest.mark.usefixtures("comparing")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```console\n$ echo one\ntwo\n```\n", "but what is printed is"),
        ("```console\n$ exit 3\n```\n", "exited with 3"),
        ("```python\nprint(1)\n```\n```text\n2\n```\n", "but what is printed is"),
        ("```python\nraise ValueError\n```\n", "exited with 1"),
        ("```rust\nfn main() {}\n```\n", "nothing runs a block of rust"),
        ("```\nanything\n```\n", "nothing runs a block of no language"),
        ("```text\nout of nowhere\n```\n", "shows what the python block above it prints"),
        ("```console\nno command\n```\n", "begins with a `$ ` line"),
        ("```python\n", "never closed"),
    ],
)
def test_a_page_that_says_something_wrong_is_caught(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PageError, match=said.replace("$", r"\$")):
        page_of(tmp_path, text).run()


@pytest.mark.usefixtures("comparing")
def test_a_block_that_says_why_it_does_not_run_is_passed_over(tmp_path: Path) -> None:
    page_of(tmp_path, "<!-- not run: it needs a terminal -->\n```console\n$ exit 3\n```\n").run()


@pytest.mark.usefixtures("comparing")
def test_blocks_build_on_the_files_of_those_before_them(tmp_path: Path) -> None:
    text = '```text title="a/b.txt"\nhello\n```\n```console\n$ cat a/b.txt\nhello\n```\n'
    page_of(tmp_path, text).run()


def test_times_and_ids_are_compared_by_shape_and_nothing_else_is() -> None:
    assert normal("took 12 ms") == normal("took 9.5 ms")
    assert normal('"duration_ms": 3.1,') == normal('"duration_ms": 14,')
    assert normal("took 12 cats") != normal("took 9 cats")
    assert normal('"completed": 2') != normal('"completed": 3')


def test_an_ellipsis_stands_for_any_lines_but_not_for_other_ones() -> None:
    assert agrees(["a", "…", "d"], ["a", "b", "c", "d"])
    assert agrees(["…"], [])
    assert not agrees(["a", "…", "d"], ["a", "b", "c"])
    assert not agrees([], ["a"])


def test_indented_blocks_lose_their_indent() -> None:
    (block,) = blocks("1. one\n\n   ```python\n   x = 1\n   ```\n")
    assert block.body == ["x = 1"]
