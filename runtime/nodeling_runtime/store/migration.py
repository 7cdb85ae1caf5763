"""The steps from one schema of a store to the next, as files: `migrations/<kind>/NNNN_name.sql`."""

from __future__ import annotations

import re
from pathlib import Path

from nodeling._dataclass import dataclass

_MIN_READER = re.compile(r"^-- min_reader: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from one schema to the next."""

    version: int
    statements: tuple[str, ...]
    min_reader: int


def migrations(kind: str) -> list[Migration]:
    """Every step there is for a kind of store, in order."""
    found = []
    for file in sorted(Path(__file__).with_name("migrations").joinpath(kind).glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        said = _MIN_READER.search(text)
        if said is None:
            raise AssertionError(f"{file.name} does not say which program may still read it")
        parts = (part.strip() for part in re.sub(r"--[^\n]*", "", text).split(";"))
        found.append(Migration(int(file.name[:4]), tuple(p for p in parts if p), int(said.group(1))))
    return found
