"""`python -m nodeling_runtime` is `nodectl`, for where the script is not on the path."""

from __future__ import annotations

from nodeling_runtime.cli.script import main

if __name__ == "__main__":
    main()
