"""What is data and what is talk: values go to stdout, everything said to people goes to stderr.

A node that prints runs in this process too, so while a run goes on stdout itself is turned to stderr;
`--json` promises exactly one object there.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from nodeling.errors import ConfigError
from nodeling_runtime.writable import writable


def print_json(value: Any) -> None:
    """Print one JSON value on stdout, on lines of its own."""
    import orjson

    try:
        data = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str)
    except TypeError:  # a path may hold bytes that are no characters
        data = orjson.dumps(writable(value), option=orjson.OPT_INDENT_2, default=str)
    stream = sys.stdout
    stream.write(data.decode("utf-8"))
    stream.write("\n")
    stream.flush()


def unwritable(file: object, error: OSError) -> ConfigError:
    """That a file which was named on the command line cannot be written, and why."""
    return ConfigError(f"{file} cannot be written: {error.strerror}", code="file.unwritable")


def talk(text: str = "", **style: Any) -> None:
    """Say something to people, on stderr."""
    click.echo(click.style(text, **style) if style else text, err=True, color=colour())


def colour() -> bool:
    """Whether stderr gets colours: NO_COLOR and FORCE_COLOR decide, then whether it is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    if os.environ.get("CLICOLOR") == "0":
        return False
    return is_terminal()


def is_terminal() -> bool:
    """Whether stderr is a terminal that can move its cursor."""
    if os.environ.get("TERM") == "dumb":
        return False
    try:
        return sys.stderr.isatty()
    except ValueError:  # it has been closed
        return False


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Send to stderr whatever is printed on stdout meanwhile, by this process or by what it starts."""
    saved = _redirected()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


def _redirected() -> int | None:
    """Point file descriptor 1 at stderr, when both are the process's own; its old target, to go back to."""
    try:
        if sys.stdout.fileno() != 1 or sys.stderr.fileno() != 2:
            return None
    except (OSError, ValueError, AttributeError):
        return None
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    return saved
