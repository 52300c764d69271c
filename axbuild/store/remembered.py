"""What the rows of a cache say: results by their keys, and whose last result each was."""

from __future__ import annotations

from collections.abc import Iterator

from axbuild.dataclass import dataclass
from axbuild.store.faults import RefusedRow
from axbuild.store.result import ActionResult, result_of
from axbuild.store.rows import NoRows, Rows


@dataclass(frozen=True)
class Remembered:
    """The result under a key; stored: when, seconds since 1970."""

    key: str
    result: ActionResult
    stored: float


@dataclass(frozen=True)
class LastOf:
    """The key that an action of a label had last in a workspace."""

    workspace: str
    label: str
    action: str
    key: str


def remembered(rows: Rows) -> Iterator[Remembered | LastOf]:
    """All that can be read: rows that are refused count for nothing, and it ends where the database breaks off."""
    try:
        for row in rows.all():
            kind, _, rest = (row.name or "").partition("/")
            try:
                value = row.value() if row.name else None
                result = result_of(value) if kind == "result" else None
            except RefusedRow:
                continue
            if kind == "last" and isinstance(value, str):
                workspace, _, who = rest.partition("/")
                label, _, action = who.partition("\n")
                yield LastOf(workspace, label, action, value)
            if result is not None:
                yield Remembered(rest, result, row.stored)
    except NoRows:
        return
