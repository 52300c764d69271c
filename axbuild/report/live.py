"""The live display on a terminal: lines of what has finished, and below them what runs now, with its clock.

rich is imported when the first action starts: a build that has nothing to do should not pay 60 ms for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from axbuild.engine.events import ActionStarted, BuildFinished, Event
from axbuild.report.board import Board
from axbuild.report.lines import Lines, duration
from axbuild.report.style import Style, wants_colour

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

REFRESH_PER_SECOND = 8
MOST_ROWS = 12


class LiveRenderer:
    """Lines above, running actions below; leaves only the lines behind."""

    def __init__(self, out: TextIO, lines: Callable[[Style], Lines] = Lines) -> None:
        self._out = out
        self._lines = lines(Style(out))
        self._board = Board()
        self._began = time.perf_counter()
        self._live: Live | None = None

    @staticmethod
    def fits(out: TextIO) -> bool:
        """Whether `out` is a terminal that can move its cursor."""
        return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def __call__(self, event: Event) -> None:
        self._board(event)
        if isinstance(event, ActionStarted) and self._live is None:
            self._start()
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

        console = Console(file=self._out, highlight=False, no_color=not wants_colour(self._out))
        self._live = Live(
            get_renderable=self._render,
            console=console,
            transient=True,
            refresh_per_second=REFRESH_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
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
        text.append(f", {duration(now)}", "dim")
        rows = sorted(board.running.values(), key=lambda event: event.at)
        for event in rows[:MOST_ROWS]:
            text.append(f"\n  {event.label} ")
            text.append(event.action, "cyan")
            text.append(f" {duration(max(0.0, now - event.at))}", "dim")
        if len(rows) > MOST_ROWS:
            text.append(f"\n  and {len(rows) - MOST_ROWS} more", "dim")
        return text
