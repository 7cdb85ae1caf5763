"""What holds for every test."""

from __future__ import annotations

import os

# The examples stand in this repository, which is a project: their runs must not be kept in it. A test of runs
# that are kept names its store, or takes this away.
os.environ["NODELING_STORE"] = "none"

# Rust nodes are built in release mode; what a test looks at does not depend on how well the compiler tried.
os.environ.setdefault("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
