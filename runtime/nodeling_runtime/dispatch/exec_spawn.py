"""Why a program did not start, in words that name what was looked for, where, and what to try.

Invariant: every failure to start is 9001, or 4001 when the inputs make no argument list; a shell
is never asked instead.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from nodeling_runtime.dispatch.exec_result import Refused

_BUSY = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})


def find_program(name: str, folder: Path, path: str, node: str) -> str:
    """The file to execute: below the node's folder when `name` holds a slash, else on PATH.

    Raises:
        Refused: 9001, with where it was looked for.
    """
    if "/" in name:
        return _own_program(name, folder, node)
    found = shutil.which(name, path=path)
    if found is not None:
        return found
    if (folder / name).is_file():
        hint = f"to run the file in the node's folder write ./{name}"
    else:
        hint = f"install {name or 'a program'}, or correct `command` in the node's config.json"
    raise _missing(f"{node}: no program {name!r} was found on PATH ({path}); {hint}", name)


def _own_program(name: str, folder: Path, node: str) -> str:
    program = folder / name
    if not program.is_file():
        what = "is a folder" if program.is_dir() else "does not exist"
        raise _missing(f"{node}: {program} {what}; correct `command` in the node's config.json", name)
    if not os.access(program, os.X_OK):
        raise _missing(f"{node}: {program} is not executable; try chmod +x {program}", name)
    return str(program)


def spawn_refusal(error: OSError | ValueError, node: str, program: str) -> Refused:
    """The refusal for what the system said when it was asked to start `program`."""
    if isinstance(error, ValueError):  # subprocess says so of a NUL
        return Refused.of(4001, f"{node}: an argument or variable holds a NUL character; pass it on stdin")
    if error.errno == errno.E2BIG:
        return Refused.of(4001, f"{node}: the arguments are too large for the system; pass them on stdin")
    if error.errno in _BUSY:
        message = f"{node}: {program} could not be started for want of resources: {error.strerror}"
        return Refused.of(9001, message, details={"errno": errno.errorcode[error.errno]})
    return _missing(f"{node}: {program} could not be started: {_reason(error)}", program)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return "it is no program for this machine; a script needs a first line such as #!/usr/bin/env python3"
    if error.errno == errno.ENOENT:
        return "the interpreter its first line names, or the node's folder, does not exist; install it"
    return error.strerror or str(error)


def _missing(message: str, program: str) -> Refused:
    # The same file would be missing at the next try, so a retry is refused.
    return Refused.of(9001, message, retryable=False, details={"program": program})
