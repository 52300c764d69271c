"""Where the story of `pulsar2 build` is printed: lines, tables, and bars below them on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from axbuild.engine.records.events import ActionFinished, ActionProgress, ActionStarted, BuildFinished, Event, Fetching
from axbuild.errors import visible
from axbuild.report.lines import Pace, fetched
from axbuild.report.story import Line
from axbuild.report.stream import CleanStream
from axbuild.report.style import Style, transferred, wants_colour
from axbuild.report.text_table import TextTable

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
        self._bars = Bars(self._console) if terminal else None
        self._fetched, self._style = Pace(), Style(out)

    def say(self, told: Told) -> None:
        if isinstance(told, Line):
            lead = f"{told.level:<8}| " if told.level else ""
            text = self._style.at_words(lead + visible(told.text))
            told = Text(text, style=_COLOURS.get(told.level, ""))
        elif isinstance(told, TextTable):
            told = Text("\n".join(told.fitted(self._console.width if self._bars else None)))
        self._console.print(told, soft_wrap=isinstance(told, Text))

    def progress(self, event: Event) -> None:
        if self._bars is not None:
            self._bars(event)
        elif isinstance(event, Fetching) and self._fetched.due(event):
            self.say(Line(fetched(event)))

    def close(self) -> None:
        if self._bars is not None:
            self._bars.close()


class Bars:
    """One for each file that is fetched and each action that takes long; a fold over events."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[far]}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Fetching():
                self._begin(event, f"Fetching {event.address.rpartition('/')[2]}")
                self._move(event, transferred(event.done, event.total))
            case ActionStarted():
                self._end(event)  # of what was fetched for it
                if event.stage in _BARS:
                    self._begin(event, _BARS[event.stage])
            case ActionProgress():
                self._move(event, f"{event.done} of {event.total}")
            case ActionFinished():
                self._end(event)
            case BuildFinished():
                self.close()

    def close(self) -> None:
        self._progress.stop()

    def _begin(self, event: Fetching | ActionStarted, called: str) -> None:
        id_ = (event.label, event.action)
        if id_ not in self._tasks:
            self._progress.start()
            self._tasks[id_] = self._progress.add_task(visible(called), total=None, far="")

    def _move(self, event: Fetching | ActionProgress, far: str) -> None:
        if (task := self._tasks.get((event.label, event.action))) is not None:
            self._progress.update(task, completed=event.done, total=event.total or None, far=far)

    def _end(self, event: ActionStarted | ActionFinished) -> None:
        if (task := self._tasks.pop((event.label, event.action), None)) is not None:
            self._progress.remove_task(task)
