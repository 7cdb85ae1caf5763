"""Words of the language that cannot name a function of anybody's, and a name that no text can spell."""

from __future__ import annotations

__all__ = ["MACROS", "RESERVED", "SCRIPT"]

MACROS = frozenset({"all", "exists", "exists_one", "filter", "groupBy", "map", "sortBy"})
RESERVED = frozenset({"true", "false", "null", "in"})
SCRIPT = "_javascript"  # the function that runs JavaScript which cannot be lowered
