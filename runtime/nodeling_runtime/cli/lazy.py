"""A group of commands, each a module of its own that is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click


class LazyGroup(click.Group):
    """Knows its commands by module and by what the list of them says."""

    modules: Mapping[str, tuple[str, str]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, in the order in which they are written down."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.modules:
            return None
        found = importlib.import_module(self.modules[cmd_name][0]).command
        if not isinstance(found, click.Command):
            raise TypeError(f"{self.modules[cmd_name][0]} holds no click command")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in self.modules:
            from nodeling.errors import nearest

            near = nearest(args[0], self.modules)
            hint = f"did you mean {near!r}?" if near else f"there is {', '.join(self.modules)}"
            ctx.fail(f"{ctx.command_path} has no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.modules.items()])
