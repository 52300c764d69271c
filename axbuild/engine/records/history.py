"""Records of the last builds in the workspace's state folder: what `why`, `diff` and `builds` read.

`<number>.jsonl` holds one build: its events as lines, less what only a running build is asked for (what started, the
files handed over). An action that was valid already is a short line of its own, since in most builds nearly all
are. A build that made nothing is recorded under another ending and kept for a shorter while: thirty of them in a row
must not push out the build that tells why a result was made. `made.log` remembers, past all of them, in which build
each action's result was made or taken, and how long the action ran.

Bounded by count, by bytes a record and by bytes of all; a build answered by its snapshot writes nothing here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO, TypeVar

from axbuild.dataclass import dataclass, fields
from axbuild.engine.records.events import (
    ActionFinished,
    ActionProgress,
    ActionStarted,
    BuildFinished,
    BuildStarted,
    Diagnostic,
    Event,
    EventWriter,
    Fetching,
    Heartbeat,
    LockAwaited,
    TargetConfigured,
    from_line,
    name_of,
)
from axbuild.engine.records.made import Made, MadeLog
from axbuild.errors import AxError
from axbuild.store.faults import told_as_store_errors
from axbuild.store.plain import read_plain
from axbuild.workspace.artifact import ActionId

KEPT = 30
KEPT_IDLE = 3
RECORD_BYTES = 16 * 2**20
KEPT_BYTES = 64 * 2**20
"""of all records together; the newest two are kept whatever their size, since the newest is what `why` tells of"""
_ENDING, _IDLE_ENDING = ".jsonl", ".idle.jsonl"
_WIDTH = 6


Told = TypeVar("Told", bound=Event)


class NoSuchBuild(AxError):
    code = "AX257"

    def __init__(self, text: str, known: Iterable[int]) -> None:
        numbers = ", ".join(str(number) for number in sorted(known))
        said = f"on record are the builds {numbers}" if numbers else "no build is on record in this workspace yet"
        super().__init__(f"there is no build '{text}' on record", hint=f"{said}; `axbuild builds` lists them")


@dataclass(frozen=True)
class BuildRecord:
    """One build: its number in this workspace and its events, read when asked for."""

    number: int
    path: Path

    @cached_property
    def _lines(self) -> list[str]:
        # A build that is running, or was killed, leaves a last line that is not whole.
        try:
            text = read_plain(self.path).decode("utf-8", "replace")
        except FileNotFoundError:
            text = ""
        return text[: text.rfind("\n") + 1].splitlines()

    @cached_property
    def events(self) -> list[Event]:
        return [event for line in self._lines for event in _events_of(line)]

    def of(self, kind: type[Told]) -> list[Told]:
        """The events of one kind, without parsing the thousands of others."""
        begin = f'{{"event":"{name_of(kind)}"'
        return [e for line in self._lines if line.startswith(begin) for e in _events_of(line) if isinstance(e, kind)]

    @cached_property
    def started(self) -> BuildStarted | None:
        return next(iter(self.of(BuildStarted)), None)

    @cached_property
    def finished(self) -> BuildFinished | None:
        return next(iter(self.of(BuildFinished)), None)

    @cached_property
    def actions(self) -> dict[ActionId, ActionFinished]:
        """How each action ended; the last word counts where one ran again for a lost blob."""
        return {(e.label, e.action): e for e in self.events if isinstance(e, ActionFinished)}

    @property
    def command(self) -> str:
        return f"axbuild {self.started.command} {' '.join(self.started.targets)}" if self.started else "a build"

    @property
    def release(self) -> str:
        """Of the axbuild that built, "an older one" where it did not write that down."""
        return (self.started.release if self.started else "") or "an older one"

    @property
    def time(self) -> float:
        """Seconds since 1970; 0.0 for a build that was killed before it could say."""
        return self.started.time if self.started else 0.0


class Recording:
    """A listener that writes one build's record. `number`: what the build is called here."""

    def __init__(self, number: int, writer: EventWriter, made: MadeLog) -> None:
        self.number = number
        self._writer, self._made = writer, made
        self._bytes = 0
        self._began = int(time.time())
        self.statuses: set[str] = set()

    def __call__(self, event: Event) -> None:
        if isinstance(event, ActionFinished):
            self.statuses.add(event.status)
            if event.status in ("executed", "cached"):
                self._made.add(Made(event.label, event.action, self.number, self._began, event.seconds))
            if self._bytes > RECORD_BYTES and event.status != "failed":
                return
        line = _line_of(event)
        if line:
            self._bytes += len(line)
            # Short lines come by the thousand: they go to the disk with the next one that tells something.
            self._writer.line(line, flush=not line.startswith("["))


class History:
    """The builds recorded in `folder`, which is made at the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made_file = folder / "made.log"

    @contextmanager
    def recorded(self) -> Iterator[Recording]:
        """Records the events it hears; on leaving, puts the record where it belongs and drops old ones."""
        with told_as_store_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            number, path, file = self._free()
        with EventWriter(file) as writer, MadeLog(self._made_file) as made:
            recording = Recording(number, writer, made)
            try:
                yield recording
            finally:
                # A disk that refuses this leaves a record too many, which is no reason to fail a build.
                with suppress(OSError):
                    if recording.statuses <= {"up_to_date"}:
                        path.rename(self._idle(number))
                    self._prune()

    def _free(self) -> tuple[int, Path, TextIO]:
        """The next number and its file; two builds that begin at once get two."""
        number = max((record.number for record in self.newest_first()), default=0) + 1
        while True:
            path = self._folder / f"{number:0{_WIDTH}}{_ENDING}"
            with suppress(FileExistsError):
                file = path.open("x", encoding="utf-8")
                if not self._idle(number).exists():
                    return number, path, file
                file.close()
                path.unlink()
            number += 1

    def _idle(self, number: int) -> Path:
        return self._folder / f"{number:0{_WIDTH}}{_IDLE_ENDING}"

    def _prune(self) -> None:
        full = idle = size = 0
        for at, record in enumerate(self.newest_first()):
            is_idle = record.path.name.endswith(_IDLE_ENDING)
            idle, full = idle + is_idle, full + (not is_idle)
            with suppress(FileNotFoundError):  # another build prunes too
                size += record.path.stat().st_size
            if (idle > KEPT_IDLE and is_idle) or (full > KEPT and not is_idle) or (size > KEPT_BYTES and at > 1):
                record.path.unlink(missing_ok=True)

    def newest_first(self) -> list[BuildRecord]:
        found = []
        for path in self._folder.glob(f"*{_ENDING}") if self._folder.is_dir() else ():
            number = path.name.partition(".")[0]
            if number.isascii() and number.isdigit():
                found.append(BuildRecord(int(number), path))
        return sorted(found, key=lambda record: record.number, reverse=True)

    def find(self, text: str) -> BuildRecord:
        """A number, `last`, or -1 for the one before the last, -2 for the one before that. Raises NoSuchBuild."""
        records = self.newest_first()
        by_number = {record.number: record for record in records}
        try:
            number = 0 if text == "last" else int(text)
        except ValueError:
            raise NoSuchBuild(text, by_number) from None
        if number > 0 and number in by_number:
            return by_number[number]
        if number <= 0 and -number < len(records):
            return records[-number]
        raise NoSuchBuild(text, by_number)

    def made(self) -> dict[ActionId, Made]:
        """For each action: the build in which its result was last made or taken here, when, and its seconds."""
        return MadeLog.read(self._made_file)


def _line_of(event: Event) -> str:
    """The event as it is kept: fields at their default left out; "" for what is not kept."""
    match event:
        case ActionStarted() | ActionProgress() | Fetching() | TargetConfigured() | LockAwaited() | Heartbeat():
            return ""
        case Diagnostic(replayed=True):
            return ""
        case ActionFinished(label, action, stage, stage_id, key, "up_to_date"):
            return _json([label, action, stage, stage_id, key])
        case BuildFinished():
            kept: dict[str, Any] = vars(event) | {"outputs": {}}
        case _:
            kept = vars(event)
    default = fields(event)
    return _json({"event": name_of(type(event)), **{name: kept[name] for name in kept if kept[name] != default[name]}})


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _events_of(line: str) -> Iterator[Event]:
    """The line's event; none where the disk has damaged it, which costs a reason in a text and never a result."""
    with suppress(ValueError, KeyError, TypeError):
        if line.startswith("["):
            label, action, stage, stage_id, key = json.loads(line)
            yield ActionFinished(label, action, stage, stage_id, key, "up_to_date", "", 0.0)
        else:
            yield from_line(line)
