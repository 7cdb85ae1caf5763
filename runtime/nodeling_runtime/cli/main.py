"""`nodectl` itself: a group that knows its commands by name and imports one only when it is asked for.

`--help` therefore costs click and nothing else. Every error of every command ends in
`failure`, so an exit code means one thing wherever it comes from.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import click

from nodeling.errors import NodelingError
from nodeling_runtime.cli.failure import (
    EXIT_FAILED,
    EXIT_OK,
    SignalledError,
    Switches,
    exit_code_of,
    explain,
    flush_streams,
    leave,
)
from nodeling_runtime.cli.streams import discard_stdout, take_over_streams, unwritten
from nodeling_runtime.writable import is_writable, writable

PROGRAM = "nodectl"

# name: (module:attribute, what the list of commands says of it)
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("nodeling_runtime.cli.run:command", "Run a workflow and print its output."),
    "runs": ("nodeling_runtime.cli.runs.group:command", "Look at kept runs, go on with them, end them."),
    "worker": ("nodeling_runtime.cli.worker:command", "Take the runs that wait in a store and run them."),
    "store": ("nodeling_runtime.cli.store.group:command", "Look after the place where runs are kept."),
    "call": ("nodeling_runtime.cli.call:command", "Call one node, outside any workflow."),
    "eval": ("nodeling_runtime.cli.evaluate:command", "Evaluate an expression."),
    "check": ("nodeling_runtime.cli.check:command", "List everything wrong with workflows and nodes."),
    "convert": (
        "nodeling_runtime.cli.convert:command",
        "Turn another system's workflow file into a native one.",
    ),
    "create": ("nodeling_runtime.cli.create:command", "Create a node, a workflow, a project or a plugin."),
    "build": ("nodeling_runtime.cli.build:command", "Build nodes before anything needs them."),
    "sdk": ("nodeling_runtime.cli.sdk:command", "Renew the SDK's files in the folders of nodes."),
    "test": ("nodeling_runtime.cli.test:command", "Run the examples of nodes as tests."),
    "conformance": (
        "nodeling_runtime.cli.conformance:command",
        "Judge any program by the protocol.",
    ),
    "node-command": (
        "nodeling_runtime.cli.node_command:command",
        "Print the command that runs a node as a process.",
    ),
    "nodes": ("nodeling_runtime.cli.nodes:command", "Show the nodes there are."),
    "graph": ("nodeling_runtime.cli.graph:command", "Draw a workflow."),
    "schema": ("nodeling_runtime.cli.schema:command", "Write the schemas that editors check with."),
    "doctor": ("nodeling_runtime.cli.doctor:command", "Look for what is wrong with this installation."),
    "completion": (
        "nodeling_runtime.cli.completion:command",
        "Print the script that completes commands in a shell.",
    ),
}


class Root(click.Group):
    """The top of the command line: lazy commands, plugins' commands, one place for errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, ours first."""
        return [*COMMANDS, *sorted(name for name in _foreign() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command: one of ours, else a package's."""
        if cmd_name in COMMANDS:
            return _ours(cmd_name)
        found = _foreign().get(cmd_name)
        return None if found is None else _plugin(cmd_name, *found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        word = args[0]
        if not word.startswith("-") and self.get_command(ctx, word) is None:
            from nodeling.errors import nearest

            near = nearest(word, self.list_commands(ctx))
            hint = f"did you mean {near!r}?" if near else f"`{PROGRAM} --help` lists them"
            ctx.fail(f"there is no command {word!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of ours."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
        foreign = {name: found for name, found in _foreign().items() if name not in COMMANDS}
        if foreign:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, _foreign_help(name, *foreign[name])) for name in sorted(foreign)])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run one command and leave with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        ours, theirs = _split(words)
        Switches.debug = "--debug" in ours
        Switches.own_process = args is None  # whoever passes `args` has a process of their own
        # a switch of the whole program, which may stand anywhere
        words = [word for word in ours if word != "--debug"] + theirs
        try:
            try:
                _refuse_broken(words)
                result = super().main(
                    words, prog_name or PROGRAM, complete_var, standalone_mode=False, **extra
                )
                code = result if isinstance(result, int) and not isinstance(result, bool) else EXIT_OK
            except BrokenPipeError:
                raise
            except (Exception, KeyboardInterrupt) as raised:
                code = _told(_unwrapped(raised), as_json="--json" in ours)
        except BrokenPipeError:
            discard_stdout()
            code = EXIT_FAILED
        flush_streams()
        if Switches.own_process:
            drive = sys.modules.get("nodeling_runtime.cli.drive")
            if drive is not None and drive.stuck():
                leave(code)
            gc.freeze()  # what is taken down anyway need not be looked through for garbage first
        sys.exit(code)


def _refuse_broken(words: Sequence[str]) -> None:
    """Refuse what is no text here, as nothing that is kept or printed could hold it."""
    for word in words:
        if not is_writable(word):
            raise NodelingError(
                f"the argument '{writable(word)}' holds bytes that are no characters here",
                code="usage",
                hint="write it as UTF-8, under a locale such as C.UTF-8; a file may have to be renamed",
            )


def _unwrapped(error: BaseException) -> BaseException:
    """The error itself where click has put an `Abort` around a signal, and what is meant by a lost folder."""
    cause = error.__cause__
    if isinstance(error, click.Abort) and isinstance(cause, KeyboardInterrupt):
        return cause
    if isinstance(error, FileNotFoundError) and _is_nowhere():
        hint = "go to one that is there"
        return NodelingError("the folder that this was started in is gone", code="file.not_found", hint=hint)
    return error


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """The words before and from `--`."""
    cut = words.index("--") if "--" in words else len(words)
    return words[:cut], words[cut:]


def _told(error: BaseException, *, as_json: bool) -> int:
    """Tell of an error, on stderr where stdout takes nothing; its exit code."""
    lost = unwritten()
    if lost is None:
        code = exit_code_of(error)
        try:
            explain(error, code, as_json=as_json)
            return code
        except OSError:
            lost = unwritten()
            if lost is None:
                raise
    code = exit_code_of(lost)
    explain(lost, code)
    return code


def _foreign() -> dict[str, tuple[str, Callable[[], Any]]]:
    from nodeling_runtime.plugins import commands

    return commands()


def _ours(name: str) -> click.Command:
    module, _, attribute = COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{COMMANDS[name][0]} is no click command")
    return command


def _plugin(name: str, owner: str, loader: Callable[[], Any]) -> click.Command:
    from nodeling.errors import PluginError

    try:
        command = loader()
    except Exception as error:  # a stranger's module may raise anything
        raise PluginError(
            f"the command {name!r} of {owner} does not load: {type(error).__name__}: {error}",
            hint="`nodectl --debug` shows where; `nodectl doctor` lists what is broken",
        ) from error
    if not isinstance(command, click.Command):
        kind = type(command).__name__
        raise PluginError(f"the command {name!r} of {owner} is a {kind}, not a click command")
    return command


def _foreign_help(name: str, owner: str, loader: Callable[[], Any]) -> str:
    from nodeling.errors import PluginError

    try:
        text = _plugin(name, owner, loader).get_short_help_str(60)
    except PluginError as error:
        return f"broken: {error.message}"
    return f"{text} ({owner})"


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from nodeling import __version__

        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()


@click.group(
    cls=Root,
    name=PROGRAM,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 succeeded, 1 failed, 2 usage, 65 wrong document or input, 66 no such file or node, "
    "69 unavailable, 70 internal, 75 suspended, 78 configuration, 124 the run's timeout, 130 Ctrl-C, "
    "143 SIGTERM or `runs cancel`.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
@click.option(
    "--debug", is_flag=True, expose_value=False, help="Show tracebacks; may stand anywhere on the line."
)
def cli() -> None:
    """Small nodes in any language, one runtime: run workflows, call nodes, make new ones."""


def main() -> None:
    """What the `nodectl` script calls."""
    take_over_streams()
    signal.signal(signal.SIGTERM, _terminated)
    cli.main()


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise SignalledError(number)


__all__ = ["COMMANDS", "cli", "main"]
