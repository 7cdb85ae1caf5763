"""docs/how-to/share-runs.md is run like the other pages, on a server of the tests' own."""

from __future__ import annotations

from pathlib import Path

from docs.pages import DOCS, Page
from stores import PostgresPlace

PAGE = DOCS / "how-to" / "share-runs.md"


def test_every_block_of_the_page_does_what_it_shows(tmp_path: Path, postgres: str) -> None:
    place = PostgresPlace(tmp_path, postgres)
    try:
        Page(PAGE, tmp_path, more={"NODELING_STORE": place.url}).run()
    finally:
        place.close()
