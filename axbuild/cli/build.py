"""`axbuild build`"""

from __future__ import annotations

from typing import Any

import click

from axbuild.cli.building import build_options, run
from axbuild.cli.running import Options


@click.command("build")
@build_options
def command(**flags: Any) -> int:
    """Build targets, reusing every result that is still valid.

    The files of each target named here appear under axbuild-out/<package>/<target>/. A target with a verdict (a check)
    that fails ends the build with exit code 1.

    \b
    axbuild build //mobilenet:axmodel
    axbuild build //... -//experiments/...
    axbuild build :check --explain
    """
    return run("build", Options(**flags))
