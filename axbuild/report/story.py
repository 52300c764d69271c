"""A build told in chapters, in one order, however its actions end: a fold over events.

A chapter is told when an action of its stage has ended, made now or long ago, and all chapters before it are told. What
it says it reads from what actions made, so that a build in which all is valid is told as the first one was.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from axbuild.dataclass import dataclass
from axbuild.engine.records.events import ActionFinished, ActionProgress, BuildFinished, Diagnostic, Event
from axbuild.report.shown import shown
from axbuild.store.faults import BlobLost

if TYPE_CHECKING:
    from rich.console import RenderableType

    from axbuild.report.text_table import TextTable

MADE = ("executed", "cached", "up_to_date")


class Products:
    """What the actions of a build made and noted, by stage; `read` gives the bytes of a digest, or raises BlobLost."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read
        self._ended: defaultdict[str, dict[tuple[str, str], ActionFinished]] = defaultdict(dict)
        self._notes: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def take(self, event: ActionFinished) -> None:
        self._ended[event.stage][event.label, event.action] = event

    def note(self, event: Diagnostic) -> None:
        self._notes[event.stage][event.sentence] = None

    def ended(self, stage: str) -> list[ActionFinished]:
        """The stage's actions, in the order of their names."""
        return [event for _, event in sorted(self._ended[stage].items(), key=lambda item: item[0][1])]

    def notes(self, stage: str) -> list[str]:
        """What the stage had to say, each sentence once."""
        return list(self._notes[stage])

    def text(self, event: ActionFinished, *path: str) -> str:
        """A file that an action made, by its names from the output on."""
        found: Any = event.outputs
        for name in path:
            found = found[name]
        return self._read(found).decode()

    def json(self, event: ActionFinished, *path: str) -> Any:
        return json.loads(self.text(event, *path))


@dataclass(frozen=True)
class Line:
    """level: INFO, WARNING, ERROR or SUCCESS."""

    text: str
    level: str = "INFO"


if TYPE_CHECKING:
    Told = Line | TextTable | RenderableType


@dataclass(frozen=True)
class Chapter:
    """after: the stage of which `least` actions must have ended, or of which nobody can say how many there are, so
    that it is told at the end of the build; action: the name of the one that must have, where others of the stage will
    not do; telling: what is then said."""

    after: str
    telling: Callable[[Products], Iterable[Told]]
    least: int = 1
    at_end: bool = False
    action: str = ""


class Story:
    """Tells chapters to `say`, and every warning as it comes; how far actions are goes to `progress`. A build in which
    an action fails is told as far as it came without a gap."""

    def __init__(
        self,
        chapters: Iterable[Chapter],
        products: Products,
        say: Callable[[Told], None],
        progress: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._left = list(chapters)
        self._products, self._say, self._progress = products, say, progress
        self._warned: set[tuple[str, str]] = set()
        self._broken = False

    def __call__(self, event: Event) -> None:
        match event:
            case Diagnostic(code=""):
                self._products.note(event)
            case Diagnostic():
                self._warn(shown(event))
            case ActionFinished(status=status) if status in MADE:
                self._products.take(event)
                self._tell()
            case ActionFinished(status="failed"):
                self._broken = True
            case BuildFinished() if not self._broken:
                self._tell(last=True)
        if not isinstance(event, ActionProgress) or event.total:
            self._progress(event)

    def _warn(self, event: Diagnostic) -> None:
        """Once, whichever of the actions that share a result says it."""
        if (event.code, event.sentence) not in self._warned:
            self._warned.add((event.code, event.sentence))
            self._say(Line(f"{event.code}: {event.sentence}", "WARNING"))

    def _tell(self, *, last: bool = False) -> None:
        """What can be told now. last: and pass over what this build does not come to."""
        while self._left:
            told = self._told(self._left[0], last=last)
            if told is None and not last:
                return
            for one in told or ():
                self._say(one)
            del self._left[0]

    def _told(self, chapter: Chapter, *, last: bool) -> list[Told] | None:
        """None where its time has not come, or what it reads is lost and being made again."""
        ended = [one for one in self._products.ended(chapter.after) if chapter.action in ("", one.action)]
        if not ended or (not last and (chapter.at_end or len(ended) < chapter.least)):
            return None
        try:
            return list(chapter.telling(self._products))
        except BlobLost:
            return None


def each(products: Products, stage: str, *path: str) -> Iterator[tuple[ActionFinished, Any]]:
    """Every action of a stage with a JSON file of it."""
    for event in products.ended(stage):
        yield event, products.json(event, *path)
