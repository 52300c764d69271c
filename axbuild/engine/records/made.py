"""`made.log`: in which build the result that an action has here was made or taken, when, and how long it ran.

Appended to, a line an action that ran or came from the cache; written anew when most lines are stale. A line that was
cut off, or another build's pruning lost, costs a date in a text, never a result.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from axbuild.dataclass import dataclass, replace
from axbuild.store.plain import open_to_append, read_plain
from axbuild.workspace.artifact import ActionId

MOST_ACTIONS = 200_000
_SPARE = 4096
_BYTES_A_LINE = 80
"""as a guess, to read the file only where it may be worth while to write it anew"""


@dataclass(frozen=True)
class Made:
    """build: its number. time: when it began, in seconds since 1970. seconds: how long the action ran when it last
    did, 0.0 if never."""

    label: str
    action: str
    build: int
    time: int
    seconds: float


class MadeLog:
    """Open for appending; a disk that takes no more ends the log and not the build."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._out: TextIO | None = None
        self._begin = 0

    def __enter__(self) -> MadeLog:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._out is not None:
            with suppress(OSError):
                begin = self._begin
                self._out.close()
                # To read the log of 100,000 actions takes longer than most builds: only each time it has grown so far.
                step = _SPARE * _BYTES_A_LINE
                if begin // step < self._path.stat().st_size // step:
                    self._compact()

    def add(self, made: Made) -> None:
        with suppress(OSError):
            if self._out is None:
                self._out = os.fdopen(open_to_append(self._path), "a", encoding="utf-8", newline="\n")
                self._begin = self._out.tell()
            self._out.write(_line(made))

    def _compact(self) -> None:
        """Keep a line an action; only where that at least halves the file, so that it happens seldom."""
        with suppress(OSError):
            lines = read_plain(self._path).count(b"\n")
            newest = list(MadeLog.read(self._path).values())
            if lines < 2 * len(newest) + _SPARE and len(newest) <= MOST_ACTIONS:
                return
            beside = self._path.with_suffix(".new")
            beside.write_text("".join(_line(made) for made in newest[-MOST_ACTIONS:]), encoding="utf-8")
            beside.replace(self._path)

    @staticmethod
    def read(path: Path) -> dict[ActionId, Made]:
        """The newest line of each action, in the order of their lines."""
        found: dict[ActionId, Made] = {}
        try:
            text = read_plain(path).decode("utf-8", "replace")
        except OSError:
            return found
        for line in text[: text.rfind("\n") + 1].splitlines():
            made = _made(line.split("\t"))
            if made is not None:
                before = found.pop((made.label, made.action), None)
                # What came from the cache has not run; how long it takes is known from before.
                seconds = made.seconds or (before.seconds if before else 0.0)
                found[made.label, made.action] = replace(made, seconds=seconds)
        return found


def _line(made: Made) -> str:
    return f"{made.build}\t{made.time}\t{made.seconds:.3f}\t{made.label}\t{made.action}\n"


def _made(parts: list[Any]) -> Made | None:
    try:
        build, time, seconds, label, action = parts
        return Made(label, action, int(build), int(time), float(seconds))
    except ValueError:
        return None
