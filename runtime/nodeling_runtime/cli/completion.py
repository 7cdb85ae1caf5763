"""`nodectl completion`: the script that lets a shell complete commands, options, nodes and steps."""

from __future__ import annotations

import sys

import click

from nodeling_runtime.cli.output import talk

VARIABLE = "_NODECTL_COMPLETE"
INSTALL = {
    "bash": 'eval "$(nodectl completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(nodectl completion zsh)" in ~/.zshrc',
    "fish": "nodectl completion fish > ~/.config/fish/completions/nodectl.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash  eval "$(nodectl completion bash)" in ~/.bashrc
    zsh   eval "$(nodectl completion zsh)" in ~/.zshrc
    fish  nodectl completion fish > ~/.config/fish/completions/nodectl.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this release of click completes nothing for {shell}")
    script = kind(ctx.find_root().command, {}, "nodectl", VARIABLE).source()
    click.echo(script)
    if sys.stdout.isatty():
        talk(f"to use it always: {INSTALL[shell]}")
