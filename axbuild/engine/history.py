"""Records of the last builds: each one's event stream, in the workspace's state folder; what `why` reads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from axbuild.engine.events import ActionFinished, BuildFinished, BuildStarted, Event, Writer, read
from axbuild.workspace.artifact import ActionId

KEPT = 30


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

    def writer(self, id_: str) -> Writer:
        self._folder.mkdir(parents=True, exist_ok=True)
        return Writer((self._folder / f"{id_}.jsonl").open("w", encoding="utf-8"))

    def prune(self) -> None:
        for record in list(self.newest_first())[KEPT:]:
            with suppress(FileNotFoundError):  # another build prunes as well
                record.path.unlink()

    def newest_first(self) -> Iterator[Record]:
        paths = self._folder.glob("*.jsonl") if self._folder.is_dir() else ()
        return (Record(path.stem, path) for path in sorted(paths, reverse=True))
