"""The three standard streams as a shell may hand them over: closed, full, or read by nobody any more.

A file that is opened while one of them is closed gets its number, and what was meant for people would be
written into it; so none stays closed.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys

from nodeling.errors import NodelingError

CODE = "output.unwritable"


class Stdout(io.TextIOWrapper):
    """Stdout that remembers what kept it from being written, which nothing else tells from other errors."""

    failure: OSError | None = None

    def write(self, text: str, /) -> int:
        """Write, and remember why not."""
        try:
            return super().write(text)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        """Flush, and remember why not."""
        try:
            super().flush()
        except OSError as error:
            self.failure = error
            raise


class Stderr(io.TextIOWrapper):
    """Stderr that loses what it cannot take: what is said there must not decide how a command ends."""

    def write(self, text: str, /) -> int:
        """Write, if that can be."""
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Flush, if that can be."""
        with contextlib.suppress(OSError):
            super().flush()


def take_over_streams() -> None:
    """Give every standard stream that is closed an end of its own, and watch over stdout.

    What is written to a closed stdout is an error, as data would be lost; talk may be.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest number that is free, which is this one
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)
    said = sys.stderr
    if said is None:
        sys.stderr = Stderr(open(2, "wb", closefd=False), encoding="utf-8", errors="backslashreplace")
    elif isinstance(said, io.TextIOWrapper):
        sys.stderr = Stderr(
            said.buffer,
            encoding=said.encoding,
            errors=said.errors,
            line_buffering=said.line_buffering,
            write_through=said.write_through,
        )
    old = sys.stdout
    if old is None:
        sys.stdout = Stdout(open(1, "wb", closefd=False), encoding="utf-8")
    elif isinstance(old, io.TextIOWrapper):
        sys.stdout = Stdout(
            old.buffer,  # not detached: `sys.__stdout__` stays as good as it was
            encoding="utf-8",  # what is data is read by programs, whatever the terminal's letters are
            errors=old.errors,
            line_buffering=old.line_buffering,
            write_through=old.write_through,
        )


def unwritten() -> NodelingError | None:
    """What kept stdout from taking what was written to it, or None; afterwards it takes everything.

    Raises:
        BrokenPipeError: Whoever read it has gone.
    """
    stream = sys.stdout
    if not isinstance(stream, Stdout) or stream.failure is None:
        return None
    error, stream.failure = stream.failure, None
    if isinstance(error, BrokenPipeError):
        raise error
    discard_stdout()
    hint = "make room, or send it elsewhere; what was printed is not whole"
    return NodelingError(f"stdout cannot be written: {error.strerror}", code=CODE, hint=hint)


def discard_stdout() -> None:
    """Let nobody have the rest, and keep the interpreter from complaining of it once more."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, sys.stdout.fileno())
    os.close(sink)
