"""Records of the last builds: each one's event stream, in the workspace's state folder; what `why` reads.

A build that made nothing is recorded under another ending and kept for a shorter while: thirty of them in a row must
not push out the build that tells since when a result is valid. One that came to no action at all is not kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from axbuild.engine.events import ActionFinished, BuildFinished, BuildStarted, Event, Listener, Writer, read
from axbuild.store.faults import told_as_store_errors
from axbuild.workspace.artifact import ActionId

KEPT = 30
KEPT_IDLE = 3
_ENDING, _IDLE_ENDING = ".jsonl", ".idle.jsonl"


@dataclass(frozen=True)
class Record:
    """One build: its id and events, read when asked for."""

    id: str
    path: Path

    @cached_property
    def events(self) -> list[Event]:
        return read(self.path)

    @property
    def started(self) -> BuildStarted | None:
        return next((event for event in self.events if isinstance(event, BuildStarted)), None)

    @property
    def finished(self) -> BuildFinished | None:
        return next((event for event in reversed(self.events) if isinstance(event, BuildFinished)), None)

    @cached_property
    def actions(self) -> dict[ActionId, ActionFinished]:
        """How each action ended; the last word counts where one ran again for a lost blob."""
        return {(e.label, e.action): e for e in self.events if isinstance(e, ActionFinished)}


class History:
    """The builds recorded in `folder`, which is made at the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_id(self) -> str:
        """Sorts by time; two builds at once get two."""
        return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09d}-{os.getpid()}"

    @contextmanager
    def recorded(self, id_: str) -> Iterator[Listener]:
        """Records the events it hears; on leaving, puts the record where it belongs and drops old ones."""
        path = self._folder / f"{id_}{_ENDING}"
        statuses: set[str] = set()
        with told_as_store_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            file = path.open("w", encoding="utf-8")
        with Writer(file) as write:

            def listen(event: Event) -> None:
                if isinstance(event, ActionFinished):
                    statuses.add(event.status)
                write(event)

            try:
                yield listen
            finally:
                if not statuses:
                    path.unlink()
                elif statuses == {"up_to_date"}:
                    path.rename(self._folder / f"{id_}{_IDLE_ENDING}")
                self._prune()

    def _prune(self) -> None:
        records = list(self.newest_first())
        idle = [record for record in records if record.path.name.endswith(_IDLE_ENDING)]
        full = [record for record in records if not record.path.name.endswith(_IDLE_ENDING)]
        for record in (*idle[KEPT_IDLE:], *full[KEPT:]):
            record.path.unlink(missing_ok=True)

    def newest_first(self) -> Iterator[Record]:
        paths = self._folder.glob(f"*{_ENDING}") if self._folder.is_dir() else ()
        return (Record(path.name.partition(".")[0], path) for path in sorted(paths, reverse=True))
