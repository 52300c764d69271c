"""What actions produced: results by key, and the last key of every action of a workspace.

Both outlive the blobs they name, so that `why` can compare with a result whose bytes were collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axbuild.store.faults import Report

if TYPE_CHECKING:
    from axbuild.store.database import Damaged, Database

LOST_ROW = "AX904"


@dataclass(frozen=True)
class ActionResult:
    """key_record: the parts of the action's key. outputs: name -> SHA-256, or file -> SHA-256 for a tree.

    diagnostics: {"code", "sentence"} in the order they were given. platform: the float platform that made it.
    """

    key_record: dict[str, Any]
    outputs: dict[str, str | dict[str, str]]
    diagnostics: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    platform: Any = None


_FIELDS = {field.name for field in fields(ActionResult)}


class Results:
    """The database in `folder`, opened at the first question; damaged rows are misses, reported."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder
        self._report = report
        self._database: Database | None = None

    def get(self, key: str) -> ActionResult | None:
        record = self._read(f"result/{key}")
        if not isinstance(record, dict) or set(record) != _FIELDS:
            return None  # nothing, or written by another version of axbuild
        return ActionResult(**{**record, "diagnostics": tuple(record["diagnostics"])})

    def put(self, key: str, result: ActionResult) -> None:
        self._write(f"result/{key}", asdict(result))

    def last_key(self, workspace_id: str, label: str, action: str) -> str | None:
        """The key under which the action last had a result in that workspace."""
        key = self._read(_last(workspace_id, label, action))
        return key if isinstance(key, str) else None

    def set_last(self, workspace_id: str, label: str, action: str, key: str) -> None:
        self._write(_last(workspace_id, label, action), key)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Many writes as one: all of them are there after it, or none; an error inside undoes them."""
        with self._opened().transaction():
            yield

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _read(self, name: str) -> Any:
        from axbuild.store.database import Damaged, RefusedRow

        try:
            try:
                return self._opened().get(name)
            except RefusedRow as refused:
                self._report(LOST_ROW, f"a row of the result cache was refused ({refused}); its action runs again")
                self._opened().delete(name)
        except Damaged as damaged:
            self._start_anew(damaged)
        return None

    def _write(self, name: str, value: Any) -> None:
        from axbuild.store.database import Damaged

        try:
            self._opened().set(name, value)
        except Damaged as damaged:
            self._start_anew(damaged)
            self._opened().set(name, value)

    def _start_anew(self, damaged: Damaged) -> None:
        """What sqlite cannot read is put aside as a whole: every result in it can be made again."""
        self.close()
        aside = _free_name(self._folder)
        self._folder.rename(aside)
        self._report(LOST_ROW, f"the result cache is damaged ({damaged}); it was put aside as {aside.name}")

    def _opened(self) -> Database:
        from axbuild.store.database import Damaged, Database

        if self._database is None:
            try:
                self._database = Database(self._folder)
            except Damaged as damaged:
                self._start_anew(damaged)
                self._database = Database(self._folder)
        return self._database


def _last(workspace_id: str, label: str, action: str) -> str:
    return f"last/{workspace_id}/{label}\n{action}"


def _free_name(folder: Path) -> Path:
    number = 1
    while (free := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    return free
