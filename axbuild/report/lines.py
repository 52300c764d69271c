"""Events as lines of text: what a pipe, a log file and the space above the live display show."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from axbuild.dataclass import dataclass, field
from axbuild.engine.records.events import (
    ActionFinished,
    ActionStarted,
    BuildFinished,
    Diagnostic,
    Event,
    Fetching,
    Heartbeat,
    LockAwaited,
    TestResult,
)
from axbuild.engine.records.explain import Cause, sentence
from axbuild.engine.records.made import Made
from axbuild.errors import AxError
from axbuild.report.board import Board
from axbuild.report.shown import shown
from axbuild.report.style import Style, clock, duration, quiet_pipes, transferred
from axbuild.workspace.artifact import ActionId

FETCHED_EVERY_SECONDS = 10.0
MOST_RUNNING = 3
"""actions that a sign of life names"""

TEST_OUTPUTS = ("errors", "all", "summary")


@dataclass(frozen=True)
class Wanted:
    """How much to say. tests: `errors` tells of a check that fails all there is, `all` of each, `summary` of none.

    since: for `explain`, where the results come from that are still valid.
    """

    quiet: bool = False
    verbose: bool = False
    explain: bool = False
    dry_run: bool = False
    tests: str = "errors"
    since: Mapping[ActionId, Made] = field(default_factory=dict)


_ALL = Wanted()


class Lines:
    """What ran, failed or warned, as it happens; results that were reused are only counted (see the summary)."""

    def __init__(self, style: Style, wanted: Wanted = _ALL) -> None:
        self._style, self._wanted = style, wanted
        self._fetched = Pace()

    def of(self, event: Event, board: Board) -> Iterator[str]:
        """The lines of an event; `board` has folded it already."""
        style, wanted = self._style, self._wanted
        match event:
            case ActionFinished(status="failed"):
                yield f"{style('dim', board.progress())} {_name(event)} {style('red', 'failed')}"
                if event.error:
                    yield style("red", style.at_words(str(AxError.from_record(event.error))))
            case ActionFinished(status="skipped"):
                if wanted.dry_run or wanted.verbose:
                    yield style.at_words(f"{_name(event)} {style('dim', event.reason)}")
            case ActionFinished() if not wanted.quiet:
                yield from self._ended(event, board)
            case Diagnostic() if event.code and not wanted.quiet:
                where = f"{event.label} {event.action}: " if event.action else ""
                warning = f"warning {event.code}"
                text = style.at_words(f"{where}{warning}: {event.sentence}")
                yield text.replace(warning, style("yellow", warning), 1)
            case Fetching() if not wanted.quiet and self._fetched.due(event):
                yield f"{_name(event)} {style('dim', fetched(event))}"
            case LockAwaited() if not wanted.quiet:
                yield f"{_name(event)} {style('dim', _awaited(event))}"
            case Heartbeat() if not wanted.quiet:
                yield from self._running(event, board)
            case TestResult() if not (wanted.quiet and event.passed):
                yield from self._test(event)

    def _ended(self, event: ActionFinished, board: Board) -> Iterator[str]:
        style, wanted = self._style, self._wanted
        if event.status == "executed":
            memory = f", {event.peak_memory_bytes / 2**20:.0f} MiB" if wanted.verbose else ""
            took = style("dim", f"{duration(event.seconds)}{memory}")
            yield f"{style('dim', board.progress())} {_name(event)} {took}"
        elif wanted.explain or wanted.verbose:
            word = "from the cache" if event.status == "cached" else f"valid {self._since(event)}".rstrip()
            yield f"{style('dim', board.progress())} {_name(event)} {style('dim', word)}"
        if wanted.explain:
            for cause in event.causes:
                yield f"    {sentence(Cause(**cause))}"

    def _running(self, event: Heartbeat, board: Board) -> Iterator[str]:
        rows = sorted(board.running.values(), key=lambda started: started.at)
        parts = [_row(row, duration(event.at - row.at), board.told(row)) for row in rows[:MOST_RUNNING]]
        if len(rows) > MOST_RUNNING:
            parts.append(f"and {len(rows) - MOST_RUNNING} more")
        if parts:
            yield f"{self._style('dim', board.progress())} {self._style('dim', 'still running:')} {', '.join(parts)}"

    def _since(self, event: ActionFinished) -> str:
        made = self._wanted.since.get((event.label, event.action))
        return f"since build {made.build}, {clock(made.time)}" if made else ""

    def _test(self, event: TestResult) -> Iterator[str]:
        style, wanted = self._style, self._wanted
        if event.passed and wanted.tests == "summary":
            return
        word, colour = ("PASSED", "green") if event.passed else ("FAILED" if event.built else "NOT RUN", "red")
        how = " (cached)" if event.cached else f" in {duration(event.seconds)}" if event.built else ""
        # Wrapped before it is coloured, since colours have no width.
        yield style.at_words(f"{word} {event.label}{how}: {event.sentence}").replace(word, style(colour, word), 1)
        if wanted.tests == "all" or (not event.passed and wanted.tests == "errors"):
            yield from (f"    {line}" for line in details(event.verdict))


def details(verdict: Mapping[str, Any]) -> Iterator[str]:
    """A verdict's numbers, less those that its sentence says."""
    for name, value in sorted(verdict.items()):
        if name in ("passed", "sentence") or value is None:
            continue
        if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
            for key, item in sorted(value.items()):
                yield f"{name} {key}: {_pairs(item)}"
        else:
            yield f"{name}: {_pairs(value) if isinstance(value, dict) else value}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _row(row: ActionStarted, clock: str, told: str) -> str:
    return f"{row.label} {row.action} {clock}" + (f" ({told})" if told else "")


def _awaited(event: LockAwaited) -> str:
    holder = event.holder
    same = (holder.get("label"), holder.get("action")) == (event.label, event.action)
    what = "" if same or not holder else f", as {holder.get('label')} {holder.get('action')}"
    began = holder.get("time")
    ago = f" for {duration(max(0.0, time.time() - began))}" if isinstance(began, int | float) else ""
    who = f"process {holder.get('pid')} makes it{what} ({holder.get('stage')}){ago}" if holder else ""
    return f"waits for another build: {who}" if who else "waits for another build that makes it"


class Pace:
    """Of a file that is fetched, the first word and one every ten seconds."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def due(self, event: Fetching) -> bool:
        last = self._told.get(event.address)
        if last is not None and (event.at - last < FETCHED_EVERY_SECONDS or event.done == event.total):
            return False
        self._told[event.address] = event.at
        return True


def fetched(event: Fetching) -> str:
    """fetches s3://bucket/set.tar: 12.3 of 45.6 MB"""
    return f"fetches {event.address}: {transferred(event.done, event.total)}"


def _name(event: ActionFinished | Fetching | LockAwaited) -> str:
    return f"{event.label} {event.action}"


class PlainRenderer:
    """Writes the lines of every event to `out`."""

    def __init__(self, out: TextIO, lines: Callable[[Style], Lines] = Lines) -> None:
        self._out = out
        self._lines = lines(Style(out))
        self._board = Board()

    def __call__(self, event: Event) -> None:
        if not isinstance(event, BuildFinished):  # of whose words, perhaps thousands, no line tells
            event = shown(event)
        self._board(event)
        for line in self._lines.of(event, self._board):
            with quiet_pipes():
                print(line, file=self._out, flush=True)

    def close(self) -> None:
        """Nothing to put away; the live display has."""
