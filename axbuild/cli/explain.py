"""`axbuild explain`"""

from __future__ import annotations

import click

from axbuild.codes import CODES
from axbuild.errors import AxError

_CLASSES = {1: "a build or check failed", 2: "a mistake in the input", 3: "the tool or its store failed"}


class NoSuchCode(AxError):
    code = "AX252"

    def __init__(self, code: str) -> None:
        super().__init__(f"there is no error code '{code}'", hint="`axbuild explain` lists them all")


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> int:
    """Say what an error code (such as AX104) means; without one, list them all."""
    if code is None:
        for name, (exit_code, meaning) in sorted(CODES.items()):
            click.echo(f"{name}  exit {exit_code}  {meaning}")
        return 0
    known = code.upper()
    if known not in CODES:
        raise NoSuchCode(code)
    exit_code, meaning = CODES[known]
    click.echo(f"{known}: {meaning}\nexit code {exit_code}: {_CLASSES[exit_code]}")
    return 0
