"""One run from the command line: who watches it, how it is ended, what is printed of it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from nodeling.results import RunResult
from nodeling_runtime.cli.drive import drive
from nodeling_runtime.cli.failure import exit_code_of_run
from nodeling_runtime.cli.faults import print_faults
from nodeling_runtime.cli.output import is_terminal, print_json, quiet_stdout, talk
from nodeling_runtime.cli.summary import Timeline, print_summary
from nodeling_runtime.engine.host import Loaded, check_parameters, execute, result_of
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


def run_loaded(loaded: Loaded, options: RunOptions, wanted: Wanted) -> int:
    """Run a loaded workflow, show it, and say with which code to exit.

    Raises:
        NodelingError: The workflow has faults, a secret is missing, or the run hangs beyond its time.
    """
    workflow = loaded.ready()
    check_parameters(workflow, options.parameters)
    if loaded.faults and not wanted.quiet:
        print_faults(loaded.faults)
    timeline = Timeline()
    kept: list[Event] = []
    options.listeners.append(timeline.hear)
    if wanted.report is not None:
        options.listeners.append(kept.append)
    limit = options.timeout_ms or workflow.settings.timeout_ms
    with quiet_stdout(), _events_file(wanted.events, options), _view(wanted, options) as notice:

        async def start() -> RunOutcome:
            return await execute(loaded, options)

        driven = drive(start, limit_ms=limit, on_signal=lambda number: notice(_cancelling(number)))
    outcome = driven.value
    result = result_of(outcome)
    _print(result, outcome, wanted, timeline)
    if wanted.report is not None:
        _write_report(Path(wanted.report), loaded, outcome.redactor.value(result.to_json()), kept, wanted)
    if driven.signal is not None and result.status != "succeeded":
        return 128 + driven.signal
    return exit_code_of_run(result.status, result.error)


def _print(result: RunResult, outcome: RunOutcome, wanted: Wanted, timeline: Timeline) -> None:
    if wanted.as_json:
        print_json(outcome.redactor.value(result.to_json()))
    elif result.succeeded:
        print_json(outcome.redactor.value(result.output))
    if not wanted.quiet:
        print_summary(result, timeline, verbose=wanted.verbose)
    elif not result.succeeded and not wanted.as_json and result.error is not None:
        talk(f"nodectl: [{result.error['code']}] {result.error['message']}")


def _write_report(
    path: Path, loaded: Loaded, body: dict[str, Any], events: list[Event], wanted: Wanted
) -> None:
    from nodeling_runtime.report.page import write_report

    write_report(path, loaded, body, events)
    if not wanted.quiet:
        talk(f"report: {path}")


def _cancelling(number: int) -> str:
    if number == signal.SIGINT:
        return "cancelling the run; Ctrl-C once more leaves at once"
    return "told to end: cancelling the run"


@contextlib.contextmanager
def _events_file(path: str | None, options: RunOptions) -> Iterator[None]:
    """Write every event to a file, a line each, as it happens."""
    if path is None:
        yield
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
            file.write(orjson.dumps(event, default=str) + b"\n")

        options.listeners.append(write)
        yield


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
