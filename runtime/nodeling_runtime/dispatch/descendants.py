"""The end of everything this process started, for a process that leaves at once."""

from __future__ import annotations


def kill_descendants() -> None:
    """Kill every child and all that the children started."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.Error:
            continue  # it has ended by itself meanwhile
