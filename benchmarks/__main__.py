"""`python -m benchmarks` measures the engine beside bare asyncio; a first word names another comparison."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("run", "workers", "languages", "compare", "page")

chosen = sys.argv[1] if sys.argv[1:2] and sys.argv[1] in NAMES else "run"
sys.exit(import_module(f"benchmarks.{chosen}").main(sys.argv[1 + (sys.argv[1:2] == [chosen]) :]))
