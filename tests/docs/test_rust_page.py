"""docs/how-to/write-a-node-in-rust.md is run like the other pages, with cargo's own folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from docs.pages import DOCS, ROOT, Page
from programs import need

PAGE = DOCS / "how-to" / "write-a-node-in-rust.md"
HOME = Path.home()
FOLDERS = {
    "CARGO_HOME": os.environ.get("CARGO_HOME", str(HOME / ".cargo")),
    "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(HOME / ".rustup")),
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": os.environ["CARGO_PROFILE_RELEASE_OPT_LEVEL"],
    # What other tests have compiled is not compiled again.
    "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(HOME / ".cache")),
}


@pytest.mark.timeout(900)
def test_every_block_of_the_page_does_what_it_shows(tmp_path: Path) -> None:
    need("cargo")
    Page(PAGE, tmp_path, seconds=800, more=FOLDERS).run()


def test_the_sdks_page_shows_a_whole_node() -> None:
    page = (ROOT / "sdk" / "rust" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^```(\w+)$", page, re.MULTILINE)[:3] == ["rust", "json", "toml"]
