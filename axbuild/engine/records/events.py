"""What happens in a build, as a stream of small records; everything a user sees is a fold over it.

One JSON object a line in `--events FILE`: "event" names the class below in snake case, the other fields are the
class's own. `build_started` carries the version of the format; a field is only ever added under a version.
`at` counts seconds since the build began (its absolute time stands in `build_started`).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from axbuild.dataclass import dataclass, field

VERSION = 1
STATUSES = ("executed", "cached", "up_to_date", "failed", "skipped")
"""executed: ran now. cached: taken from a store. up_to_date: already valid in this workspace."""

WOULD_RUN = "would run"
MAY_RUN = "may run, if an input comes out changed"
"""How the reason of a skipped action begins in a dry run."""


@dataclass(frozen=True)
class BuildStarted:
    """id: this build's own. time: seconds since 1970. command: build, test, ...

    number: names its record in this workspace, for `why` and `diff`; 0 for a build that leaves none.
    release: of axbuild.
    """

    id: str
    command: str
    targets: tuple[str, ...]
    time: float
    jobs: int
    version: int = VERSION
    dry_run: bool = False
    number: int = 0
    release: str = ""


@dataclass(frozen=True)
class TargetConfigured:
    """actions: how many of the target's actions this build needs, as far as is known while expansions are open."""

    label: str
    rule: str
    actions: int
    expansions: int


@dataclass(frozen=True)
class ActionStarted:
    label: str
    action: str
    stage: str
    at: float


@dataclass(frozen=True)
class ActionProgress:
    """How far a running action is, as its stage tells it: `done` of `total` of `what`, such as samples; numbers: of
    that moment, such as a loss. A few a second at most; what is told shortly before the end may be missing.
    """

    label: str
    action: str
    stage: str
    at: float
    what: str
    done: int
    total: int
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fetching:
    """A file is on its way from an address, for an action that starts when it is there: `done` of `total` bytes, of
    which 0 are where the server does not say. address: as it may be shown. A few a second at most; the last one has
    done == total, where all came.
    """

    label: str
    action: str
    stage: str
    address: str
    done: int
    total: int
    at: float


@dataclass(frozen=True)
class ActionFinished:
    """stage: the function's name; stage_id: the full reference. key: SHA-256 of the key record, "" if none was made.

    reason: one sentence; causes: what moved in the key since the action's last result (records of `explain`).
    outputs: name -> digest, a tree's files each by name. children: actions an expansion added, of which
    `child_expansions` may add more. error: the record of what went wrong.
    """

    label: str
    action: str
    stage: str
    stage_id: str
    key: str
    status: str
    reason: str
    at: float
    seconds: float = 0.0
    outputs: dict[str, Any] = field(default_factory=dict)
    causes: tuple[dict[str, Any], ...] = ()
    peak_memory_bytes: int = 0
    children: int = 0
    child_expansions: int = 0
    error: dict[str, Any] | None = None


@dataclass(frozen=True)
class Diagnostic:
    """A warning of a stage, or of what a target was made of, which no action says; `replayed` when it comes from a
    stored result."""

    label: str
    action: str
    stage: str
    code: str
    sentence: str
    replayed: bool


@dataclass(frozen=True)
class TestResult:
    """A check's verdict: `sentence` names tensor, index, both values and the limit.

    cached: no action of its own ran for it. seconds: how long those took that did. built: False where it came to no
    verdict, since an action it needs failed; `sentence` then says which.
    """

    label: str
    passed: bool
    sentence: str
    verdict: dict[str, Any] = field(default_factory=dict)
    cached: bool = False
    seconds: float = 0.0
    built: bool = True

    __test__ = False


@dataclass(frozen=True)
class LockAwaited:
    """An action cannot start, since another build makes the same result. seconds: how long it has waited.

    holder: {"label", "action", "stage", "pid", "time" (since 1970)} of who makes it; empty where that is not known.
    """

    label: str
    action: str
    stage: str
    seconds: float
    holder: dict[str, Any]
    at: float


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life, where for half a minute nothing else happened."""

    at: float


@dataclass(frozen=True)
class BuildFinished:
    """counts: status -> actions. outputs: requested target -> paths relative to the workspace. errors: in order.

    unbuilt: how many targets that were asked for a mistake in the workspace kept from being looked at.
    critical_path: of the actions that ran, the chain whose every link needed the one before it and that took longest;
    {"label", "action", "seconds"} each. More workers could not have made the build shorter than it.
    """

    exit_code: int
    counts: dict[str, int]
    seconds: float
    outputs: dict[str, list[str]]
    errors: tuple[dict[str, Any], ...] = ()
    critical_path: tuple[dict[str, Any], ...] = ()
    unbuilt: int = 0


Event = (
    BuildStarted
    | TargetConfigured
    | ActionStarted
    | ActionProgress
    | Fetching
    | ActionFinished
    | Diagnostic
    | TestResult
    | LockAwaited
    | Heartbeat
    | BuildFinished
)
Listener = Callable[[Event], None]

_KINDS: dict[str, type[Event]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind for kind in Event.__args__
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class EventStream:
    """Where events are emitted; hands each to every listener at once, in order."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = list(listeners)
        self._begin = time.perf_counter()

    def emit(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def now(self) -> float:
        return round(time.perf_counter() - self._begin, 6)


def name_of(kind: type[Any]) -> str:
    """What a line calls events of this class."""
    return _NAMES[kind]


def to_line(event: Event) -> str:
    # The fields hold JSON values already; `asdict` would copy each of them, at 30 us an event.
    return json.dumps({"event": _NAMES[type(event)], **vars(event)}, separators=(",", ":"))


def from_line(line: str) -> Event:
    """The event behind a line; fields of a later minor addition are dropped, so that old readers read new files."""
    record = json.loads(line)
    kind = _KINDS[record.pop("event")]
    known = {name: value for name, value in record.items() if name in kind.__dataclass_fields__}
    for name in ("targets", "causes", "errors", "critical_path"):
        if name in known:
            known[name] = tuple(known[name])
    return kind(**known)


def read(path: Path) -> list[Event]:
    """The events of a file; a last line that a killed build left incomplete is dropped."""
    text = path.read_text(encoding="utf-8")
    return [from_line(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class EventWriter:
    """Appends each event as a line, at once, so that a reader can follow a running build; closes its file.

    A disk that takes no more ends the record and not the build: `failed` then holds why.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.failed: OSError | None = None

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, *_error: object) -> None:
        self._attempt(self._out.close)

    def __call__(self, event: Event) -> None:
        self.line(to_line(event))

    def line(self, text: str, *, flush: bool = True) -> None:
        if self.failed is None:
            self._attempt(lambda: self._out.write(text + "\n"))
            if flush:
                self._attempt(self._out.flush)

    def _attempt(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            self.failed = self.failed or error
