"""What `build` and `test` share: their options, the renderers, and the run itself."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from axbuild.cli.common import Decorated, config_option, jobs_option, json_option, targets
from axbuild.cli.keeping import Replay, keep_answer
from axbuild.engine.build import Request, build
from axbuild.engine.events import Listener, Writer
from axbuild.engine.partial import part_of
from axbuild.engine.snapshot import Found
from axbuild.errors import AxError
from axbuild.report.lines import Lines, PlainRenderer
from axbuild.report.live import LiveRenderer
from axbuild.report.style import Style, quiet_pipes
from axbuild.report.summary import Summary


class EventsNotWritable(AxError):
    code = "AX251"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"--events: {path} cannot be written: {reason}")


@dataclass(frozen=True)
class Options:
    """The flags of `build` and `test`, as click gives them."""

    targets: tuple[str, ...]
    keep_going: bool
    dry_run: bool
    jobs: int | None
    events: str | None
    as_json: bool
    explain: bool
    check_reproducible: bool
    config: tuple[str, ...]


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
            click.option("--explain", is_flag=True, help="Say of each action that runs which part of its key moved."),
            click.option(
                "--check_reproducible",
                "--check-reproducible",
                is_flag=True,
                help="Build again from nothing, in another folder, order and number of jobs; compare every byte.",
            ),
            click.option("--events", metavar="FILE", help="Write the build's events there, one JSON object a line."),
            json_option,
            config_option,
        )
    ):
        command = option(command)
    return command


def run(command: str, options: Options) -> int:
    """One build with its display; the exit code."""
    found = None if options.dry_run else click.get_current_context().find_object(Found)
    request = Request(
        command,
        options.targets,
        Path.cwd(),
        overrides={"build.jobs": options.jobs} if options.jobs else {},
        config=options.config,
        keep_going=options.keep_going,
        dry_run=options.dry_run,
        tests_only=command == "test",
        watch=found is not None,
        part=part_of(found) if found else None,
    )
    summary, replay = Summary(), Replay()
    with ExitStack() as stack, _terminated_as_interrupt():
        renderer = _renderer(options)
        stack.callback(renderer.close)
        listeners: list[Listener] = [renderer, summary, replay]
        if options.events:
            listeners.append(stack.enter_context(_events_file(options.events)))
        report = build(request, *listeners)
        if found is not None and report.watched is not None:
            keep_answer(found, replay, report.watched)
        with quiet_pipes():
            _tell(summary, options.as_json)
    if options.check_reproducible and report.exit_code == 0 and not options.dry_run:
        from axbuild.cli.reproducing import reproduce

        return reproduce(request, report, options.as_json)
    return report.exit_code


def _tell(summary: Summary, as_json: bool) -> None:
    for error in summary.untold():
        print(Style(sys.stderr)("red", str(error)), file=sys.stderr)
    text = json.dumps(summary.record()) if as_json else summary.text(sys.stdout)
    if text:
        print(text, flush=True)


def _renderer(options: Options) -> PlainRenderer | LiveRenderer:
    def lines(style: Style) -> Lines:
        return Lines(style, explain=options.explain, dry_run=options.dry_run)

    # Progress goes to stderr, so that stdout holds the result alone.
    return LiveRenderer(sys.stderr, lines) if LiveRenderer.fits(sys.stderr) else PlainRenderer(sys.stderr, lines)


@contextmanager
def _events_file(path: str) -> Iterator[Listener]:
    try:
        file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115  # Writer closes it
    except OSError as error:
        raise EventsNotWritable(path, error.strerror or str(error)) from None
    with Writer(file) as writer:
        yield writer
    if writer.failed is not None:
        raise EventsNotWritable(path, writer.failed.strerror or str(writer.failed)) from writer.failed


@contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """`kill` of the client ends the build as Ctrl-C does: workers gone, nothing half-written, 130."""

    def interrupt(_number: int, _frame: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
