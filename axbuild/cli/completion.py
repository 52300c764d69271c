"""`axbuild completion`"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_AXBUILD_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the completion script for a shell: commands, options and labels.

    \b
    eval "$(axbuild completion bash)"                                  # in ~/.bashrc
    eval "$(axbuild completion zsh)"                                   # in ~/.zshrc
    axbuild completion fish > ~/.config/fish/completions/axbuild.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    if shell == "bash":
        # bash would break a label into words at its colon.
        click.echo("COMP_WORDBREAKS=${COMP_WORDBREAKS//:}")
    click.echo(kind(ctx.find_root().command, {}, "axbuild", VARIABLE).source())
    return 0
