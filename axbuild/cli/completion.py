"""`axbuild completion`"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_AXBUILD_COMPLETE"

# bash breaks a line into words at colons, and then replaces only what stands behind the last one. The line is broken
# at blanks here, whatever COMP_WORDBREAKS says, and what bash will not replace is taken off each answer.
_BASH = r"""_axbuild_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" words type value
    IFS=' ' read -ra words <<< "$line"
    [[ $line == *" " ]] && words+=("")
    local count=$((${#words[@]} - 1)) kept=""
    [[ $COMP_WORDBREAKS == *:* && ${words[count]} == *:* ]] && kept="${words[count]%"${words[count]##*:}"}"
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$kept"}") ;;
        esac
    done < <(COMP_WORDS="$line" COMP_CWORD=$count _AXBUILD_COMPLETE=bash_complete "$1")
}
complete -o nosort -F _axbuild_completion axbuild"""


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
    if shell == "bash":
        click.echo(_BASH)
        return 0
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "axbuild", VARIABLE).source())
    return 0
