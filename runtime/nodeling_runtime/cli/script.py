"""What the `nodectl` script calls: the version at once, and everything else by way of click.

Who asks for the version often only asks whether there is one: that takes little more than a start of Python.
"""

from __future__ import annotations

import gc
import sys

UNWATCHED = 50_000  # a start makes fewer objects, and hardly any of them is garbage
_ORDINARY = gc.get_threshold()


def main() -> None:
    """Run one command and leave with its exit code."""
    if sys.argv[1:] == ["--version"] and _told_version():
        return
    gc.set_threshold(UNWATCHED, *_ORDINARY[1:])
    from nodeling_runtime.cli.main import main as run

    run()


def begin_collecting() -> None:
    """The start is over: what it made stays, and from here on garbage is looked for as usual."""
    gc.freeze()
    gc.set_threshold(*_ORDINARY)


def _told_version() -> bool:
    """Whether the version could be said; if not, it ends as it does for every command."""
    from nodeling import __version__

    if sys.stdout is None:
        return False
    try:
        sys.stdout.write(f"nodectl {__version__}\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True
