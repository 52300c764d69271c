"""A build with its displays; click is not imported here, since a plain `build` or `test` is read without it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from axbuild.cli import interrupts
from axbuild.cli.keeping import drop, keep_answer, keep_merged
from axbuild.dataclass import dataclass
from axbuild.engine.build import Request, build
from axbuild.engine.noop.overwrite import refusals
from axbuild.engine.noop.partial import part_of
from axbuild.engine.noop.snapshot import Found, Words
from axbuild.engine.records.events import Event, EventWriter, Listener
from axbuild.engine.records.history import History
from axbuild.engine.records.made import Made
from axbuild.errors import AxError
from axbuild.report.lines import Lines, PlainRenderer, Wanted
from axbuild.report.style import Style, quiet_pipes
from axbuild.report.summary import Summary
from axbuild.workspace.artifact import ActionId
from axbuild.workspace.workspace import Workspace

if TYPE_CHECKING:
    from axbuild.engine.workers.launch import Launched
    from axbuild.report.live import LiveRenderer


class FileNotWritable(AxError):
    code = "AX251"

    def __init__(self, flag: str, path: str, reason: str) -> None:
        super().__init__(f"{flag}: {path or repr(path)} cannot be written: {reason}")


@dataclass(frozen=True)
class Options:
    """The flags of `build` and `test`, by the names that click gives them; `test` has two of its own.

    result: say what came of it on stdout, which belongs to what runs behind the build where that is not so.
    """

    targets: tuple[str, ...]
    keep_going: bool = False
    dry_run: bool = False
    jobs: int | None = None
    events: str | None = None
    as_json: bool = False
    explain: bool = False
    check_reproducible: bool = False
    config: tuple[str, ...] = ()
    quiet: bool = False
    verbose: bool = False
    profile: str | None = None
    test_output: str = "errors"
    junit: str | None = None
    result: bool = True


def settled(words: Words) -> Options:
    """The options of a command line that was taken apart without click."""
    return Options(
        targets=tuple(words.targets),
        keep_going=words.keep_going,
        jobs=words.jobs or None,
        events=words.events or None,
        as_json=words.as_json,
        config=tuple(words.configs),
        quiet=words.quiet,
    )


def run(
    command: str,
    options: Options,
    found: Found | None = None,
    ahead: Launched | None = None,
    *,
    start: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    listeners: Sequence[Listener] = (),
    retold: Callable[[AxError], AxError] | None = None,
) -> int:
    """One build with its display, of which `found` is what its snapshot says; the exit code. ahead: as in `build`.

    start: the folder whose workspace is built, where that is not the one around the current folder; overrides: settings
    that count whatever its files and the environment say; listeners: more of them, which hear after the display;
    retold: what is printed in place of an error of the workspace.
    """
    found = None if options.dry_run else found
    reports = {"--events": options.events, "--junit": options.junit, "--profile": options.profile}
    if refused := refusals(reports):
        raise FileNotWritable(*refused)
    request = Request(
        command,
        options.targets,
        start or Path.cwd(),
        overrides={**(overrides or {}), **({"build.jobs": options.jobs} if options.jobs else {})},
        config=options.config,
        keep_going=options.keep_going,
        dry_run=options.dry_run,
        tests_only=command == "test",
        watch=found is not None,
        part=part_of(found) if found else None,
        workspace=found.edits.workspace if found and found.edits else None,
    )
    summary = Summary(whole=options.verbose, retold=retold)
    with ExitStack() as stack, _terminated_as_interrupt():
        renderer = _renderer(options, request.start)
        stack.callback(renderer.close)
        hearing: list[Listener] = [renderer, summary, *listeners]
        if options.events is not None:
            hearing.append(stack.enter_context(_events_file(options.events)))
        if options.profile is not None:
            from axbuild.report.trace import Trace

            hearing.append(stack.enter_context(_written("--profile", options.profile, Trace())))
        if options.junit is not None:
            from axbuild.report.junit import JUnit

            hearing.append(stack.enter_context(_written("--junit", options.junit, JUnit())))
        report = build(request, *hearing, ahead=ahead)
        summary.base = report.base
        if found is not None and report.watched is not None:
            keep_answer(found, report.watched, report.base)
        elif found is not None and report.merged is not None:
            keep_merged(found, report.merged, report.base)
        elif found is not None and report.exit_code == 0:
            drop(found)
        with quiet_pipes():
            _tell(summary, options)
    if options.check_reproducible and report.exit_code == 0 and not options.dry_run:
        from axbuild.cli.reproducing import reproduce

        return reproduce(request, report, options.as_json)
    return report.exit_code


def _tell(summary: Summary, options: Options) -> None:
    style = Style(sys.stderr)
    for error in summary.errors_text():
        print(style("red", style.at_words(error)), file=sys.stderr)
    text = json.dumps(summary.record()) if options.as_json else summary.text(sys.stdout)
    if text and options.result and (options.as_json or not options.quiet):
        print(text, flush=True)


def _renderer(options: Options, start: Path) -> PlainRenderer | LiveRenderer:
    made = partial(_made, start, options.config)
    wanted = Wanted(
        quiet=options.quiet,
        verbose=options.verbose,
        explain=options.explain,
        dry_run=options.dry_run,
        tests=options.test_output,
        since=made() if options.explain else {},
    )

    def lines(style: Style) -> Lines:
        return Lines(style, wanted)

    # Progress goes to stderr, so that stdout holds the result alone.
    if sys.stderr.isatty() and not options.quiet:
        from axbuild.report.live import LiveRenderer

        if LiveRenderer.fits(sys.stderr):
            return LiveRenderer(sys.stderr, lines, made)
    return PlainRenderer(sys.stderr, lines)


def _made(start: Path, config: tuple[str, ...]) -> dict[ActionId, Made]:
    """What is remembered of earlier builds."""
    return History(Workspace.find(start, {}, config).state_dir / "builds").made()


class _Report(Protocol):
    def __call__(self, event: Event) -> None: ...

    def text(self) -> str: ...


@contextmanager
def _written(flag: str, path: str, report: _Report) -> Iterator[Listener]:
    """A listener whose text is the file, written when the build is over; a path that cannot be is an error before."""
    try:
        file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115  closed below, after the build
    except OSError as error:
        raise FileNotWritable(flag, path, error.strerror or str(error)) from None
    try:
        yield report
    finally:
        try:
            with file:
                file.write(report.text())
        except OSError as error:
            raise FileNotWritable(flag, path, error.strerror or str(error)) from error


@contextmanager
def _events_file(path: str) -> Iterator[Listener]:
    try:
        file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115  # Writer closes it
    except OSError as error:
        raise FileNotWritable("--events", path, error.strerror or str(error)) from None
    with EventWriter(file) as writer:
        yield writer
    if writer.failed is not None:
        raise FileNotWritable("--events", path, writer.failed.strerror or str(writer.failed)) from writer.failed


@contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """`kill` of the client ends the build as Ctrl-C does: workers gone, nothing half-written, 130."""
    before = signal.signal(signal.SIGTERM, interrupts.unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
