"""Events as lines of text: what a pipe, a log file and the space above the live display show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TextIO

from axbuild.engine.events import ActionFinished, Diagnostic, Event, TestResult
from axbuild.engine.explain import Cause, sentence
from axbuild.errors import AxError
from axbuild.report.board import Board
from axbuild.report.style import Style, quiet_pipes


def duration(seconds: float) -> str:
    """3 ms, 4.2 s, 2 min 5 s."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


class Lines:
    """What ran, failed or warned, as it happens; results that were reused are only counted (see the summary)."""

    def __init__(self, style: Style, *, explain: bool = False, dry_run: bool = False) -> None:
        self._style, self._explain, self._dry_run = style, explain, dry_run

    def of(self, event: Event, board: Board) -> Iterator[str]:
        """The lines of an event; `board` has folded it already."""
        style = self._style
        match event:
            case ActionFinished(status="executed"):
                yield f"{style('dim', board.progress())} {_name(event)} {style('dim', duration(event.seconds))}"
                yield from self._causes(event)
            case ActionFinished(status="failed"):
                yield f"{style('dim', board.progress())} {_name(event)} {style('red', 'failed')}"
                if event.error:
                    yield style("red", str(AxError.from_record(event.error)))
            case ActionFinished(status="skipped") if self._dry_run:
                yield f"{_name(event)} {style('dim', event.reason)}"
            case ActionFinished(status="cached") if self._explain:
                yield f"{_name(event)} {style('dim', 'from the cache')}"
                yield from self._causes(event)
            case Diagnostic():
                where = f"{event.label} {event.action}: " if event.label else ""
                yield f"{where}{style('yellow', f'warning {event.code}')}: {event.sentence}"
            case TestResult():
                mark = style("green", "PASSED") if event.passed else style("red", "FAILED")
                yield f"{mark} {event.label}: {event.sentence}"

    def _causes(self, event: ActionFinished) -> Iterator[str]:
        if self._explain:
            for cause in event.causes:
                yield f"    {sentence(Cause(**cause))}"


def _name(event: ActionFinished) -> str:
    return f"{event.label} {event.action}"


class PlainRenderer:
    """Writes the lines of every event to `out`."""

    def __init__(self, out: TextIO, lines: Callable[[Style], Lines] = Lines) -> None:
        self._out = out
        self._lines = lines(Style(out))
        self._board = Board()

    def __call__(self, event: Event) -> None:
        self._board(event)
        for line in self._lines.of(event, self._board):
            with quiet_pipes():
                print(line, file=self._out, flush=True)

    def close(self) -> None:
        """Nothing to put away; the live display has."""
