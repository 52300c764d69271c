"""What actions produced: results by key, and the last key of every action of a workspace.

Both outlive the blobs they name, so that `why` can compare with a result whose bytes were collected.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from axbuild.store.digests import digest_of_value, is_digest
from axbuild.store.faults import RefusedRow, Report
from axbuild.store.result import ActionResult, result_of

if TYPE_CHECKING:
    from axbuild.store.database import Database
    from axbuild.store.rows import Identity, Rows

LOST_ROW = "AX904"
NOTHING_BEYOND = "AX909"

Found = TypeVar("Found")


class Results:
    """The database in `folder`, opened at the first question; damaged rows are misses, reported.

    beyond: the same of a cache to read from; a result that only that has is written down here when it is taken.
    """

    def __init__(self, folder: Path, report: Report, beyond: Path | None = None) -> None:
        self._folder = folder
        self._report = report
        self._database: Database | None = None
        self._beyond_folder = beyond
        self._beyond: Rows | None = None
        self._kept_code: set[str] = set()

    def get(self, key: str, declared: Collection[str] | None = None) -> ActionResult | None:
        """The result of a key; `declared`: the outputs of its stage, since a row with others is refused."""
        found = self._read(f"result/{key}", lambda value: _made_of(value, declared))
        return self._take_over(key, declared) if found is None else found

    def put(
        self, key: str, result: ActionResult, code: Mapping[str, str] | None, whose: tuple[str, str, str] | None = None
    ) -> None:
        """Write a result down, and first the map of code that its key names, where that is known. whose: workspace,
        label and action that have it from now on."""
        if code is not None and (digest := result.key_record["code"]) not in self._kept_code:
            self._write({f"code/{digest}": dict(code)})
            self._kept_code.add(digest)
        self._write({f"result/{key}": vars(result)} | ({_last(*whose): key} if whose else {}))

    def code(self, digest: str) -> dict[str, str] | None:
        """Module or data file -> SHA-256: the code behind a digest in a key record."""
        return self._read(f"code/{digest}", lambda value: _code_of(value, digest))

    def last_key(self, workspace_id: str, label: str, action: str) -> str | None:
        """The key under which the action last had a result in that workspace, as far as a cache remembers it."""
        name = _last(workspace_id, label, action)
        found = self._read(name, _key_of)
        return self._read_beyond(name, _key_of) if found is None else found

    def set_last(self, workspace_id: str, label: str, action: str, key: str) -> None:
        self._write({_last(workspace_id, label, action): key})

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Many writes as one: all of them are there after it, or none; an error inside undoes them."""
        with self._opened().transaction():
            yield

    def rows(self) -> Rows:
        """All rows as they lie, for reading; raises NoRows."""
        from axbuild.store.rows import Rows

        return Rows(self._folder, foreign=not os.access(self._folder, os.W_OK))

    def forget(self, rows: Iterable[Identity]) -> None:
        """Delete rows, save those that were written anew since they were read."""
        self._opened().delete_rows(rows)

    def put_aside(self, why: str) -> None:
        """Begin anew, and keep the damaged database beside the new one."""
        self._start_anew(why)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._beyond is not None:
            self._beyond.close()
            self._beyond = None

    def _take_over(self, key: str, declared: Collection[str] | None) -> ActionResult | None:
        """A result of the cache to read from, with the map of code that its key names."""
        found = self._read_beyond(f"result/{key}", lambda value: _made_of(value, declared))
        if found is not None:
            digest = found.key_record["code"]
            self.put(key, found, self._read_beyond(f"code/{digest}", lambda value: _code_of(value, digest)))
        return found

    def _read_beyond(self, name: str, believed: Callable[[Any], Found | None]) -> Found | None:
        """As `_read`, of the cache to read from; what cannot be read there is a miss, and nothing of it is repaired."""
        if self._beyond_folder is None:
            return None
        from axbuild.store.rows import NoRows, Rows

        try:
            if self._beyond is None:
                self._beyond = Rows(self._beyond_folder, foreign=True)
            return believed(self._beyond.get(name))
        except RefusedRow as refused:
            self._report(LOST_ROW, f"a row of the cache to read from was refused ({refused}); its action runs")
        except NoRows as error:
            self._beyond_folder = None
            self._report(NOTHING_BEYOND, f"the cache to read from has no results that can be read: {error}")
        return None

    def _read(self, name: str, believed: Callable[[Any], Found | None]) -> Found | None:
        """What `believed` makes of the row; a row that it or the database refuses is reported, removed, and a miss."""
        from axbuild.store.database import Damaged

        try:
            try:
                return believed(self._opened().get(name))
            except RefusedRow as refused:
                self._report(LOST_ROW, f"a row of the result cache was refused ({refused}); its action runs again")
                self._opened().delete(name)
        except Damaged as damaged:
            self._start_anew(str(damaged))
        return None

    def _write(self, rows: Mapping[str, Any]) -> None:
        from axbuild.store.database import Damaged

        try:
            self._opened().set(rows)
        except Damaged as damaged:
            self._start_anew(str(damaged))
            self._opened().set(rows)

    def _start_anew(self, damaged: str) -> None:
        """What sqlite cannot read is put aside as a whole: every result in it can be made again."""
        self.close()
        self._kept_code.clear()
        aside = _free_name(self._folder)
        self._folder.rename(aside)
        self._report(LOST_ROW, f"the result cache is damaged ({damaged}); it was put aside as {aside.name}")

    def _opened(self) -> Database:
        from axbuild.store.database import Damaged, Database

        if self._database is None:
            try:
                self._database = Database(self._folder)
            except Damaged as damaged:
                self._start_anew(str(damaged))
                self._database = Database(self._folder)
        return self._database


def _made_of(record: Any, declared: Collection[str] | None) -> ActionResult | None:
    result = result_of(record)
    if result is not None and declared is not None and result.outputs.keys() != set(declared):
        raise RefusedRow("its outputs are not those that its stage declares")
    return result


def _code_of(record: Any, digest: str) -> dict[str, str] | None:
    if record is None:
        return None
    if not isinstance(record, dict) or digest_of_value(record) != digest or not all(map(is_digest, record.values())):
        raise RefusedRow("it is no map of code with that digest")
    return record


def _key_of(record: Any) -> str | None:
    if record is not None and not is_digest(record):
        raise RefusedRow("it is no key")
    return None if record is None else str(record)


def _last(workspace_id: str, label: str, action: str) -> str:
    return f"last/{workspace_id}/{label}\n{action}"


def _free_name(folder: Path) -> Path:
    number = 1
    while (free := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    return free
