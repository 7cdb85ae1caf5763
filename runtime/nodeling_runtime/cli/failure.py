"""The one place where an error becomes an exit code, and a text or an object for its reader.

No traceback is shown unless `--debug` asks for it: an error of ours says what, where and what to try,
and anything else is our bug and says how to report it.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

import click

from nodeling.errors import (
    ConfigError,
    NodelingError,
    PluginError,
    StoreError,
    WorkflowError,
)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DATA = 65
EXIT_NO_INPUT = 66
EXIT_UNAVAILABLE = 69
EXIT_INTERNAL = 70
EXIT_SUSPENDED = 75
EXIT_CONFIG = 78
EXIT_TIMEOUT = 124
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_BY_CODE = {
    "document.not_found": EXIT_NO_INPUT,
    "file.not_found": EXIT_NO_INPUT,
    "node.not_found": EXIT_NO_INPUT,
    "registry.unknown": EXIT_NO_INPUT,
    "run.not_found": EXIT_NO_INPUT,
    "run.ambiguous": EXIT_NO_INPUT,
    "run.step": EXIT_NO_INPUT,
    "run.key": EXIT_DATA,
    "run.blocked_version": EXIT_DATA,
    "run.definition": EXIT_DATA,
    "run.ended": EXIT_FAILED,
    "run.dead": EXIT_FAILED,
    "run.limit": EXIT_FAILED,
    "run.option": EXIT_USAGE,
    "usage": EXIT_USAGE,
    "run.blocked": EXIT_TIMEOUT,
    "store.unavailable": EXIT_UNAVAILABLE,
    "output.unwritable": EXIT_UNAVAILABLE,
    "file.unwritable": EXIT_UNAVAILABLE,
    "schema.unwritable": EXIT_UNAVAILABLE,
    "create.unwritable": EXIT_UNAVAILABLE,
}
_BY_AREA = {"secret": EXIT_CONFIG, "toolchain": EXIT_UNAVAILABLE, "internal": EXIT_INTERNAL}
_BY_TYPE: tuple[tuple[type[BaseException], int], ...] = (
    (StoreError, EXIT_UNAVAILABLE),
    (PluginError, EXIT_CONFIG),
    (ConfigError, EXIT_DATA),
    (WorkflowError, EXIT_DATA),
    (NodelingError, EXIT_FAILED),
    (click.FileError, EXIT_NO_INPUT),
    (click.ClickException, EXIT_USAGE),
    (click.Abort, EXIT_INTERRUPTED),
    (KeyboardInterrupt, EXIT_INTERRUPTED),
)


# a run that was cancelled without a signal was cancelled by `nodectl runs cancel`
_BY_STATUS = {"succeeded": EXIT_OK, "suspended": EXIT_SUSPENDED, "cancelled": EXIT_TERMINATED}


class SignalledError(KeyboardInterrupt):
    """A signal arrived, and what it cut short gave no result."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code_of(error: BaseException) -> int:
    """The exit code that says what kind of error this is."""
    if isinstance(error, NodelingError):
        word = str(error.code)
        if word in _BY_CODE:
            return _BY_CODE[word]
        area = word.partition(".")[0]
        if area in _BY_AREA:
            return _BY_AREA[area]
    if isinstance(error, SignalledError):
        return 128 + error.number
    for kind, code in _BY_TYPE:
        if isinstance(error, kind):
            return code
    return EXIT_INTERNAL


def exit_code_of_run(status: str, error: Mapping[str, Any] | None) -> int:
    """The exit code of a run that has ended."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    code = (error or {}).get("code")
    if code == "run.input":
        return EXIT_DATA
    if code == "toolchain.missing":
        return EXIT_UNAVAILABLE
    details = (error or {}).get("details") or {}
    if code == 9005 and details.get("limit") == "run_timeout":
        return EXIT_TIMEOUT
    return EXIT_FAILED


class Switches:
    """What holds for the whole command line."""

    debug = False
    own_process = False  # the script's: it may be ended at once when something is stuck


def explain(error: BaseException, code: int, *, as_json: bool = False) -> None:
    """Tell of an error: people on stderr; one object on stdout when `--json` asked for it."""
    if Switches.debug and not isinstance(error, (click.exceptions.Exit, click.Abort)):
        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        from nodeling_runtime.cli.output import print_json

        print_json({"error": error_json(error, code)})
        if code != EXIT_INTERNAL:
            return
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        _talk("interrupted")
    elif isinstance(error, click.ClickException):
        error.show(sys.stderr)
    elif isinstance(error, NodelingError):
        _explain_ours(error)
    else:
        _explain_bug(error)


def error_json(error: BaseException, code: int) -> dict[str, Any]:
    """An error as `--json` prints it."""
    if isinstance(error, NodelingError):
        return error.to_json()
    if isinstance(error, click.ClickException):
        return NodelingError(error.format_message(), code="usage").to_json() | {"type": "UsageError"}
    if code in (EXIT_INTERRUPTED, EXIT_TERMINATED):
        return NodelingError("interrupted", code="run.cancelled").to_json() | {"type": "Interrupted"}
    return NodelingError(_said(error), code="internal", hint=_how_to_report()).to_json() | {
        "type": type(error).__name__
    }


def leave(code: int) -> NoReturn:
    """End the process at once, with everything said: something stuck would keep it from ending by itself."""
    flush_streams()
    os._exit(code)


def flush_streams() -> None:
    """Write out what is buffered; a reader who has gone is no error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue


def _explain_ours(error: NodelingError) -> None:
    from nodeling_runtime.cli.faults import expression_errors, print_expression, print_faults

    # only what evaluates expressions imports their errors; a file that is missing need not
    loaded = "nodeling_runtime.expressions.template" in sys.modules
    expressions = expression_errors(error) if loaded else []
    faults = error.faults
    for one in expressions:
        print_expression(one)
    if expressions:
        return
    if len(faults) == 1 and faults[0].line is None:
        _talk(f"{faults[0].message}; {faults[0].hint}" if faults[0].hint else faults[0].message)
    elif faults:
        print_faults(faults)
    else:
        _talk(str(error))
    shown = error.details.get("traceback")
    if isinstance(shown, str):
        click.echo(shown.rstrip(), err=True)


def _explain_bug(error: BaseException) -> None:
    _talk(f"internal error: {_said(error)}")
    more = "" if Switches.debug else "; the same command with --debug shows where it happened"
    _talk(f"this is a bug in nodeling, not in your workflow: please report it{more}")


def _how_to_report() -> str:
    return "this is a bug in nodeling: please report it; --debug shows where it happened"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _talk(text: str) -> None:
    click.echo(f"nodectl: {text}", err=True)
