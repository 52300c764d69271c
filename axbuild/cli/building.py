"""What `build` and `test` share on the command line: their options."""

from __future__ import annotations

import click

from axbuild.cli import running
from axbuild.cli.common import Decorated, config_option, jobs_option, json_option, targets
from axbuild.cli.running import Options
from axbuild.engine.noop.snapshot import Found


def build_options(command: Decorated) -> Decorated:
    for option in reversed(
        (
            targets(),
            click.option(
                "--keep_going", "--keep-going", "-k", is_flag=True, help="Go on with what can still be built."
            ),
            click.option(
                "--dry_run", "--dry-run", "-n", is_flag=True, help="Say what would run, and why; run nothing."
            ),
            jobs_option,
            click.option(
                "--explain", is_flag=True, help="Say of each action why it runs, or since when its result is valid."
            ),
            click.option("--quiet", "-q", is_flag=True, help="Say only what fails."),
            click.option(
                "--verbose", "-v", is_flag=True, help="Tell of reused actions and of memory too; cut no list short."
            ),
            click.option(
                "--check_reproducible",
                "--check-reproducible",
                is_flag=True,
                help="Build again from nothing, in another folder, order and number of jobs; compare every byte.",
            ),
            click.option("--events", metavar="FILE", help="Write the build's events there, one JSON object a line."),
            click.option(
                "--profile",
                metavar="FILE",
                help="Write a trace for chrome://tracing and ui.perfetto.dev: a lane a worker, and the critical path.",
            ),
            json_option,
            config_option,
        )
    ):
        command = option(command)
    return command


def run(command: str, options: Options) -> int:
    """One build with its display; the exit code."""
    if options.quiet and options.verbose:
        raise click.UsageError("--quiet and --verbose contradict each other")
    return running.run(command, options, click.get_current_context().find_object(Found))
