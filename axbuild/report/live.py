"""The live display on a terminal: lines of what has finished, and below them what runs now, with its clock.

rich is imported when the first action starts: a build that has nothing to do should not pay 60 ms for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

from axbuild.engine.records.events import ActionStarted, BuildFinished, Event, Fetching, Heartbeat
from axbuild.engine.records.made import Made
from axbuild.report.board import Board
from axbuild.report.forecast import Forecast
from axbuild.report.lines import Lines, fetched
from axbuild.report.shown import shown
from axbuild.report.stream import CleanStream
from axbuild.report.style import Style, duration, wants_colour
from axbuild.workspace.artifact import ActionId

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

REFRESH_PER_SECOND = 8
MOST_ROWS = 12


class LiveRenderer:
    """Lines above, running actions below; leaves only the lines behind."""

    def __init__(
        self,
        out: TextIO,
        lines: Callable[[Style], Lines] = Lines,
        made: Callable[[], Mapping[ActionId, Made]] = dict,
    ) -> None:
        self._out = out
        self._lines = lines(Style(out))
        self._made, self._forecast = made, Forecast()
        self._board = Board()
        self._began = time.perf_counter()
        self._live: Live | None = None

    @staticmethod
    def fits(out: TextIO) -> bool:
        """Whether `out` is a terminal that can move its cursor."""
        return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def __call__(self, event: Event) -> None:
        if isinstance(event, Heartbeat):
            return  # the clocks of the display are one
        event = shown(event)
        self._board(event)
        self._forecast(event)
        if isinstance(event, ActionStarted | Fetching) and self._live is None:
            self._start()
        if isinstance(event, Fetching):
            return  # its row says it
        for line in self._lines.of(event, self._board):
            self._print(line)
        if isinstance(event, BuildFinished):
            self.close()

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _start(self) -> None:
        from rich.console import Console
        from rich.live import Live

        # Without a colour system nothing is bold or dim either.
        terminal = self._out.unfiltered if isinstance(self._out, CleanStream) else self._out
        console = Console(file=terminal, highlight=False, color_system="auto" if wants_colour(self._out) else None)
        self._live = Live(
            get_renderable=self._render,
            console=console,
            transient=True,
            refresh_per_second=REFRESH_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._forecast.remember(self._made())
        self._live.start()

    def _print(self, line: str) -> None:
        if self._live is None:
            print(line, file=self._out, flush=True)
            return
        from rich.text import Text

        self._live.console.print(Text.from_ansi(line), soft_wrap=True)

    def _render(self) -> Text:
        from rich.text import Text

        now = time.perf_counter() - self._began
        board = self._board
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(board.progress(), "bold")
        text.append(f" {len(board.running)} running")
        if board.failed:
            text.append(f", {board.failed} failed", "red")
        left = self._forecast.seconds_left(board, now)
        text.append(f", {duration(now)}{f', about {_rough(left)} left' if left is not None else ''}", "dim")
        for one in board.fetching.values():
            text.append(f"\n            {one.label} ")
            text.append(one.action, "cyan")
            text.append(f"  {fetched(one)}", "dim")
        rows = sorted(board.running.values(), key=lambda event: event.at)
        shown = rows[: self._room()]
        for event in shown:
            # The clock comes first: it is what a narrow terminal must not cut off.
            text.append(f"\n  {duration(max(0.0, now - event.at)):>8}  ", "dim")
            text.append(f"{event.label} ")
            text.append(event.action, "cyan")
            if told := board.told(event):
                text.append(f"  {told}", "dim")
        if len(rows) > len(shown):
            text.append(f"\n  and {len(rows) - len(shown)} more", "dim")
        return text

    def _room(self) -> int:
        """Rows for running actions, so that the whole display stays on the screen."""
        height = self._live.console.height if self._live is not None else MOST_ROWS
        return max(1, min(MOST_ROWS, height - 3))


def _rough(seconds: float) -> str:
    """As exact as an estimate may look: whole seconds, and from a minute on tens of them."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return duration(round(seconds, -1))
