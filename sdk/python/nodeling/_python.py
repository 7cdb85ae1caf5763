"""What the node-facing half needs to run on the Pythons that workers may have (3.9 and later)."""

from __future__ import annotations

import sys

__all__ = ["SLOTS"]

# Slots of dataclasses came with 3.10; before that these classes are only a little larger.
SLOTS: dict[str, bool] = {"slots": True} if sys.version_info >= (3, 10) else {}
