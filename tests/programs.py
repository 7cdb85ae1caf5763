"""The programs of other languages that some tests need: without one they are skipped, with the reason.

`NODELING_REQUIRE`, a list with commas, names those whose absence is a failure instead, as CI asks for.
"""

from __future__ import annotations

import os
import shutil

import pytest


def need(program: str) -> str:
    """Where a program is; without it the test is skipped, or fails where it is required."""
    found = shutil.which(program)
    if found is None:
        miss(program, f"{program} is not installed")
    return found


def miss(what: str, reason: str) -> None:
    """Skip the test for want of something, or fail it where that is required."""
    required = what in os.environ.get("NODELING_REQUIRE", "").split(",")
    (pytest.fail if required else pytest.skip)(reason)
