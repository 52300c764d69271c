"""Where the story of `pulsar2 build` is printed: lines, tables, and bars below them on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from axbuild.engine.records.events import ActionFinished, ActionProgress, ActionStarted, BuildFinished, Event
from axbuild.errors import visible
from axbuild.report.story import Line
from axbuild.report.stream import CleanStream
from axbuild.report.style import wants_colour

if TYPE_CHECKING:
    from axbuild.report.story import Told

WIDE = 200
"""columns where no terminal has its own"""

_COLOURS = {"WARNING": "yellow", "ERROR": "red", "SUCCESS": "green"}
_BARS = {
    "optimize": "Building onnx",
    "observe": "Stastic Inf tensor",
    "tune_block": "Fine-tuning",
    "compile_subgraph": "Building native",
    "simulate": "simulate npu graph",
}
"""stages that take long -> what the vendor calls them"""


class Screen:
    """On stdout. A terminal shows what is under way in bars, which are gone when the build ends."""

    def __init__(self) -> None:
        out = sys.stdout
        terminal = out.isatty()
        stream = out.unfiltered if terminal and isinstance(out, CleanStream) else out
        self._console = Console(
            file=stream,
            width=None if terminal else WIDE,
            highlight=False,
            markup=False,
            emoji=False,
            color_system="auto" if wants_colour(out) else None,
        )
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[far]}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=self._console, transient=True) if terminal else None
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def say(self, told: Told) -> None:
        if isinstance(told, Line):
            lead = f"{told.level:<8}| " if told.level else ""
            told = Text(lead + visible(told.text), style=_COLOURS.get(told.level, ""))
        self._console.print(told, soft_wrap=isinstance(told, Text))

    def progress(self, event: Event) -> None:
        if self._progress is None:
            return
        match event:
            case ActionStarted(stage=stage) if stage in _BARS:
                self._progress.start()
                task = self._progress.add_task(_BARS[stage], total=None, far="")
                self._tasks[event.label, event.action] = task
            case ActionProgress() if (event.label, event.action) in self._tasks:
                task = self._tasks[event.label, event.action]
                far = f"{event.done} of {event.total}"
                self._progress.update(task, completed=event.done, total=event.total, far=far)
            case ActionFinished() if (event.label, event.action) in self._tasks:
                self._progress.remove_task(self._tasks.pop((event.label, event.action)))
            case BuildFinished():
                self._progress.stop()

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
