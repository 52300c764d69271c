"""Why a target's actions ran, or since when they are valid: folded from the records of the last builds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from axbuild.dataclass import dataclass
from axbuild.engine.records.events import ActionFinished
from axbuild.engine.records.history import BuildRecord, History
from axbuild.engine.records.made import Made
from axbuild.errors import AxError
from axbuild.workspace.artifact import ActionId

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
    """How one action ended in the build asked about. since: for a valid one, where its result was made or taken;
    None where nobody remembers."""

    event: ActionFinished
    since: Made | None


@dataclass(frozen=True)
class Why:
    """The last build in which the targets were asked for, and every action of theirs in it, in order.

    oldest: the first build on record, whose beginning bounds what nobody remembers. left_out: how many actions that
    build had and its record has not, since it had grown too long.
    """

    record: BuildRecord
    reasons: list[Reason]
    oldest: BuildRecord
    left_out: int


def why(history: History, patterns: Sequence[str], requested: Collection[str], closure: Collection[str]) -> Why:
    """The newest record that has actions of `requested` (or, where they have none, of what they need)."""
    records = [record for record in history.newest_first() if record.started is not None]
    record = _newest(records, requested) or _newest(records, closure)
    if record is None:
        raise NotOnRecord(patterns)
    older, made = records[records.index(record) + 1 :], history.made()
    events = [event for (label, _), event in record.actions.items() if label in closure]
    reasons = [Reason(event, _since(event, record, older, made) if event.status in VALID else None) for event in events]
    told = sum(record.finished.counts.values()) if record.finished else 0
    return Why(record, reasons, records[-1], max(0, told - len(record.actions)))


def _newest(records: Sequence[BuildRecord], labels: Collection[str]) -> BuildRecord | None:
    return next((record for record in records if any(label in labels for label, _ in record.actions)), None)


def _since(
    event: ActionFinished, record: BuildRecord, older: Sequence[BuildRecord], made: Mapping[ActionId, Made]
) -> Made | None:
    id_ = event.label, event.action
    found = made.get(id_)
    if found is not None and found.build < record.number:
        return found
    # A build after the one asked about has made another; what was valid then stands in the records before it.
    for one in older:
        before = one.actions.get(id_)
        if before is not None and before.status in MADE:
            return Made(*id_, one.number, int(one.time), before.seconds)
    return None
