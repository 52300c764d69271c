"""Why a target's actions ran, or since when they are valid: folded from the records of the last builds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from axbuild.engine.events import ActionFinished
from axbuild.engine.history import History, Record
from axbuild.errors import AxError

VALID = ("up_to_date",)
MADE = ("executed", "cached")


class NotOnRecord(AxError):
    code = "AX254"

    def __init__(self, patterns: Sequence[str]) -> None:
        super().__init__(
            f"no build of {' '.join(patterns)} is on record in this workspace",
            hint="build it first; `axbuild build --dry_run` says what would run",
        )


@dataclass(frozen=True)
class Reason:
    """How one action ended in the build asked about.

    since: for a valid action, when its result was made or taken (seconds since 1970), None when that was before the
    oldest record; `oldest` is then what is known.
    """

    event: ActionFinished
    since: float | None


@dataclass(frozen=True)
class Why:
    """The last build in which the targets were asked for, and every action of theirs in it, in order."""

    record: Record
    time: float
    command: str
    reasons: list[Reason]
    oldest: float


def why(history: History, patterns: Sequence[str], requested: Collection[str], closure: Collection[str]) -> Why:
    """The newest record that has actions of `requested` (or, where they have none, of what they need)."""
    records = [record for record in history.newest_first() if record.started is not None]
    record = _newest(records, requested) or _newest(records, closure)
    if record is None or record.started is None:
        raise NotOnRecord(patterns)
    older = records[records.index(record) + 1 :]
    events = [event for (label, _), event in record.actions.items() if label in closure]
    first = records[-1].started
    return Why(
        record,
        record.started.time,
        f"axbuild {record.started.command} {' '.join(record.started.targets)}",
        [Reason(event, _since(event, older) if event.status in VALID else None) for event in events],
        first.time if first else record.started.time,
    )


def _newest(records: Sequence[Record], labels: Collection[str]) -> Record | None:
    return next((record for record in records if any(label in labels for label, _ in record.actions)), None)


def _since(event: ActionFinished, older: Sequence[Record]) -> float | None:
    for record in older:
        before = record.actions.get((event.label, event.action))
        if before is not None and before.status in MADE:
            return record.started.time if record.started else None
    return None
