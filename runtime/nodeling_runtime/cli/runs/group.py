"""`nodectl runs`: what was run, what runs, and what is to become of it."""

from __future__ import annotations

import click

from nodeling_runtime.cli.lazy import LazyGroup


class Runs(LazyGroup):
    """The commands about runs that are kept."""

    modules = {  # a table, never written to
        "list": ("nodeling_runtime.cli.runs.list", "List runs, newest first."),
        "show": ("nodeling_runtime.cli.runs.show", "Show one run: its steps, its error, its output."),
        "watch": ("nodeling_runtime.cli.runs.watch", "Watch a run while it goes on."),
        "logs": ("nodeling_runtime.cli.runs.logs", "What its nodes logged."),
        "events": ("nodeling_runtime.cli.runs.events", "Its history, event by event."),
        "context": ("nodeling_runtime.cli.runs.context", "Who wrote what into its context, and when."),
        "diff": ("nodeling_runtime.cli.runs.diff", "What two runs did differently."),
        "export": ("nodeling_runtime.cli.runs.export", "Everything that is kept of a run, as one document."),
        "prune": ("nodeling_runtime.cli.runs.prune", "Delete runs that ended long ago."),
        "resume": ("nodeling_runtime.cli.runs.resume", "Go on with a run whose process is gone."),
        "restart": ("nodeling_runtime.cli.runs.restart", "Do what failed again, and nothing else."),
        "replay": ("nodeling_runtime.cli.runs.replay", "Begin a new run in the middle of an old one."),
        "resolve": ("nodeling_runtime.cli.runs.resolve", "Decide on a step that is in doubt."),
        "cancel": ("nodeling_runtime.cli.runs.cancel", "End a run, whichever process runs it."),
    }


@click.group("runs", cls=Runs)
def command() -> None:
    """Look at the runs that are kept, go on with them, end them.

    RUN is a run's id, or as much of its beginning as no other run has. Runs are kept in the project's
    store, or where --store or NODELING_STORE says.
    """
