"""One run from the command line: who watches it, how it is ended, what is printed of it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from nodeling._dataclass import dataclass
from nodeling.errors import NodelingError
from nodeling.results import RunResult
from nodeling.values import decode, encode
from nodeling_runtime.cli.drive import drive
from nodeling_runtime.cli.failure import exit_code_of, exit_code_of_run, explain
from nodeling_runtime.cli.faults import print_faults
from nodeling_runtime.cli.output import is_terminal, print_json, quiet_stdout, talk, unwritable
from nodeling_runtime.cli.summary import Timeline, about_no_input, print_summary
from nodeling_runtime.cli.text import error_line, how_to_go_on
from nodeling_runtime.engine.host import execute, result_of
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.options import check_parameters
from nodeling_runtime.engine.run import RunOptions, RunOutcome

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a run is to be shown."""

    as_json: bool = False
    verbose: bool = False
    quiet: bool = False
    events: str | None = None
    report: str | None = None
    silent: bool = False  # not even its output is shown


def run_loaded(
    loaded: Loaded,
    options: RunOptions,
    wanted: Wanted,
    run: Callable[[], Coroutine[Any, Any, RunOutcome]] | None = None,
    hears: Callable[[Callable[[str], None]], None] | None = None,
) -> int:
    """Run a loaded workflow, show it, and say with which code to exit.

    Args:
        loaded: The workflow.
        options: How it is wanted; who listens is added.
        wanted: How it is to be shown.
        run: Runs it, in another way than in memory.
        hears: Is given what says something while the run goes on.

    Raises:
        NodelingError: The workflow has faults, a secret is missing, or the run hangs beyond its time.
    """
    workflow = loaded.ready()
    check_parameters(workflow, options.parameters)
    if not wanted.quiet:
        _tell_beforehand(loaded, is_kept=run is not None)
    for path, option in ((wanted.events, "--events"), (wanted.report, "--report")):
        if path is not None:
            _writable(path, option)
    timeline = Timeline()
    kept: list[Event] = []
    if wanted.quiet:
        options.on_build = lambda note: None
    elif wanted.verbose:  # a run that nobody listens to is spared the telling
        options.listeners.append(timeline.hear)
    if wanted.report is not None:
        options.listeners.append(kept.append)
    limit = options.timeout_ms or workflow.settings.timeout_ms
    with (
        quiet_stdout(),
        _events_file(wanted.events, options) as lost,
        _view(wanted, options) as notice,
    ):
        if hears is not None:
            hears(notice)

        async def start() -> RunOutcome:
            return await (execute(loaded, options) if run is None else run())

        driven = drive(start, limit_ms=limit, on_signal=lambda number: notice(_cancelling(number)))
    result = _shown(driven.value)
    _print(result, wanted, timeline)
    _advise(options, workflow.inputs, result, wanted)
    code = exit_code_of_run(result.status, result.error)
    if driven.signal is not None and result.status != "succeeded":
        code = 128 + driven.signal
    reported = 0 if wanted.report is None else _reported(wanted, loaded, result, kept)
    written = _not_written(wanted, lost) if lost else 0
    return reported or code or written


def _tell_beforehand(loaded: Loaded, *, is_kept: bool) -> None:
    """What is odd about the workflow, and about how it is run."""
    if loaded.faults:
        print_faults(loaded.faults)
    if loaded.ready().settings.suspends and not is_kept:
        talk("nodectl: nothing is kept here, so a failure ends the run instead of suspending it")


def _shown(outcome: RunOutcome) -> RunResult:
    """The result with the values of secrets masked in its outputs too: all of it is about to be printed."""
    result, redactor = result_of(outcome), outcome.redactor
    if not redactor:
        return result

    def masked(data: bytes | None) -> bytes | None:
        return None if data is None else encode(redactor.value(decode(data)))

    steps = {name: replace(step, held=masked(step.data)) for name, step in result.steps.items()}
    return replace(result, steps=steps, held=masked(result.data))


def _print(result: RunResult, wanted: Wanted, timeline: Timeline) -> None:
    if wanted.silent:
        return
    if wanted.as_json:
        print_json(result.to_json())
    elif result.succeeded:
        print_json(result.output)
    if not wanted.quiet:
        print_summary(result, timeline, verbose=wanted.verbose)
    elif not result.succeeded and not wanted.as_json and result.error is not None:
        talk(f"nodectl: {error_line(result.error)}")
    if result.status == "suspended":
        talk(f"nodectl: {how_to_go_on(result.run_id, result.error)}")


def _advise(options: RunOptions, inputs: Any, result: RunResult, wanted: Wanted) -> None:
    if options.request["body"].data == b"null" and not wanted.quiet:
        for line in about_no_input(result.error, inputs):
            talk(line)


def _reported(wanted: Wanted, loaded: Loaded, result: RunResult, events: list[Event]) -> int:
    """Write the report. A page that fails is told on stderr only: the run's own object has been printed."""
    from nodeling_runtime.report.page import write_report

    try:
        write_report(Path(str(wanted.report)), loaded, result, events)
    except Exception as error:  # ours or the disk's: it must not hide the run's result
        failure = _unwritten(error, wanted)
        code = exit_code_of(failure)
        explain(failure, code)
        return code
    if not wanted.quiet:
        talk(f"report: {wanted.report}")
    return 0


def _unwritten(error: Exception, wanted: Wanted) -> Exception:
    if isinstance(error, OSError):
        return unwritable(wanted.report, error)
    return error


def _not_written(wanted: Wanted, lost: Sequence[OSError]) -> int:
    """Tell that events are missing; the run itself has been shown."""
    said = f"{len(lost)} events" if len(lost) > 1 else "an event"
    failure = NodelingError(
        f"{said} could not be written to {wanted.events}: {lost[0].strerror}",
        code="output.unwritable",
        hint="make room, or name another file; `nodectl runs events` shows them of a run that is kept",
    )
    code = exit_code_of(failure)
    explain(failure, code)
    return code


def _writable(path: str, option: str) -> None:
    """Find out before the run, not after it, that a file cannot be written."""
    try:
        with open(path, "ab"):
            return
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint=option) from error


def _cancelling(number: int) -> str:
    if number == signal.SIGINT:
        return "cancelling the run; Ctrl-C once more leaves at once"
    return "told to end: cancelling the run"


@contextlib.contextmanager
def _events_file(path: str | None, options: RunOptions) -> Iterator[list[OSError]]:
    """Write every event to a file, a line each, as it happens; those that cannot be are counted."""
    lost: list[OSError] = []
    if path is None:
        yield lost
        return
    import orjson

    try:
        file = open(path, "wb", buffering=0)
    except OSError as error:
        raise click.BadParameter(
            f"{path} cannot be written: {error.strerror}", param_hint="--events"
        ) from error
    with file:

        def write(event: Event) -> None:
            try:
                file.write(orjson.dumps(event, default=str) + b"\n")
            except OSError as error:
                lost.append(error)

        options.listeners.append(write)
        yield lost


@contextlib.contextmanager
def _view(wanted: Wanted, options: RunOptions) -> Iterator[Callable[[str], None]]:
    """Show the run while it goes on: a live tree on a terminal, else a line per event."""
    if wanted.quiet:
        yield lambda text: talk(text)
    elif is_terminal():
        from nodeling_runtime.cli.live import LiveView

        with LiveView(verbose=wanted.verbose) as live:
            options.listeners.append(live.hear)
            yield live.say
    else:
        from nodeling_runtime.cli.lines import Lines

        options.listeners.append(Lines(verbose=wanted.verbose).hear)
        yield lambda text: talk(text)
