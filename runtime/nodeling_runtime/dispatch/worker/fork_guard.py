"""What a forked child of the runtime must let go of: lifelines and the pipes of workers.

A child that kept them would hide the runtime's death from the warden and the end of a channel from a
worker. Invariant: a descriptor is listed here exactly while it is open.
"""

from __future__ import annotations

import contextlib
import os

_FDS: set[int] = set()


def guard(fd: int) -> int:
    """Close this descriptor in every child that is forked from now on; gives it back."""
    _FDS.add(fd)
    return fd


def close(fd: int) -> None:
    """Close a guarded descriptor."""
    _FDS.discard(fd)
    os.close(fd)


def _let_go() -> None:
    for fd in list(_FDS):
        with contextlib.suppress(OSError):
            os.close(fd)
    _FDS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
