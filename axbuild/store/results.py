"""What actions produced: results by key, and the last key of every action of a workspace.

Both outlive the blobs they name, so that `why` can compare with a result whose bytes were collected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axbuild.store.digests import digest_of_value, is_digest
from axbuild.store.faults import Report

if TYPE_CHECKING:
    from axbuild.store.database import Database
    from axbuild.store.rows import Identity, Rows

LOST_ROW = "AX904"
NOTHING_BEYOND = "AX909"


@dataclass(frozen=True)
class ActionResult:
    """key_record: the parts of the action's key; `code` in it is the digest of a map that is kept once for all.
    outputs: name -> SHA-256, or file -> SHA-256 for a tree.

    diagnostics: {"code", "sentence"} in the order they were given. platform: the float platform that made it.
    intermediate: its outputs are cheap to make again and go first when the cache is full.
    """

    key_record: dict[str, Any]
    outputs: dict[str, str | dict[str, str]]
    diagnostics: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    platform: Any = None
    intermediate: bool = False


_FIELDS = {field.name for field in fields(ActionResult)}


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

    def get(self, key: str) -> ActionResult | None:
        found = result_of(self._read(f"result/{key}"))
        if found is None and self._beyond_folder is not None:
            found = self._get_beyond(key)
        return found

    def put(self, key: str, result: ActionResult, code: Mapping[str, str] | None) -> None:
        """Write a result down, and first the map of code that its key names, where that is known."""
        if code is not None and (digest := result.key_record["code"]) not in self._kept_code:
            self._write(f"code/{digest}", dict(code))
            self._kept_code.add(digest)
        self._write(f"result/{key}", asdict(result))

    def code(self, digest: str) -> dict[str, str] | None:
        """Module or data file -> SHA-256: the code behind a digest in a key record."""
        return _code_of(self._read(f"code/{digest}"), digest)

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

    def rows(self) -> Rows:
        """All rows as they lie, for reading; raises NoRows."""
        from axbuild.store.rows import Rows

        return Rows(self._folder)

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

    def _get_beyond(self, key: str) -> ActionResult | None:
        """A result of the cache to read from; what cannot be read there is a miss, and nothing of it is repaired."""
        from axbuild.store.rows import NoRows, RefusedRow, Rows

        assert self._beyond_folder is not None
        try:
            if self._beyond is None:
                self._beyond = Rows(self._beyond_folder, foreign=True)
            found = result_of(self._beyond.get(f"result/{key}"))
            if found is not None:
                digest = found.key_record["code"]
                self.put(key, found, _code_of(self._beyond.get(f"code/{digest}"), digest))
            return found
        except RefusedRow as refused:
            self._report(LOST_ROW, f"a row of the cache to read from was refused ({refused}); its action runs")
        except NoRows as error:
            self._beyond_folder = None
            self._report(NOTHING_BEYOND, f"the cache to read from has no results that can be read: {error}")
        return None

    def _read(self, name: str) -> Any:
        from axbuild.store.database import Damaged
        from axbuild.store.rows import RefusedRow

        try:
            try:
                return self._opened().get(name)
            except RefusedRow as refused:
                self._report(LOST_ROW, f"a row of the result cache was refused ({refused}); its action runs again")
                self._opened().delete(name)
        except Damaged as damaged:
            self._start_anew(str(damaged))
        return None

    def _write(self, name: str, value: Any) -> None:
        from axbuild.store.database import Damaged

        try:
            self._opened().set(name, value)
        except Damaged as damaged:
            self._start_anew(str(damaged))
            self._opened().set(name, value)

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


def result_of(record: Any) -> ActionResult | None:
    """The result in a row's value; None for nothing, or what another version of axbuild wrote."""
    if not isinstance(record, dict) or set(record) != _FIELDS or not is_digest(record["key_record"].get("code")):
        return None
    return ActionResult(**{**record, "diagnostics": tuple(record["diagnostics"])})


def _code_of(record: Any, digest: str) -> dict[str, str] | None:
    return record if isinstance(record, dict) and digest_of_value(record) == digest else None


def files_of(outputs: Mapping[str, str | Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """(name, SHA-256) of every file in outputs; a tree's name, which ends in "/", goes before those of its files."""
    for name, shape in outputs.items():
        if isinstance(shape, str):
            yield name, shape
        else:
            yield from ((f"{name}{file}", digest) for file, digest in shape.items())


def digests_of(outputs: Mapping[str, str | Mapping[str, str]]) -> Iterator[str]:
    """Every blob that outputs name."""
    return (digest for _, digest in files_of(outputs))


def _last(workspace_id: str, label: str, action: str) -> str:
    return f"last/{workspace_id}/{label}\n{action}"


def _free_name(folder: Path) -> Path:
    number = 1
    while (free := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    return free
