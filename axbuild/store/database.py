"""`diskcache` with a Disk that knows JSON text and nothing else.

The stock Disk unpickles what a row says is a pickle, and the stock JSONDisk still unpickles keys. A cache may be
shared, restored or tampered with, so nothing in it may choose how it is read: a row of any other mode is refused,
values are always in the row (a planted file name is neither read nor removed), every text carries a checksum, and
every value the name it was stored under, so that a damaged index cannot hand out another's.
Only the client opens the database. Import this module lazily: sqlite3 and diskcache take 40 ms.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import diskcache  # type: ignore[import-untyped]  # it has neither types nor stubs

from axbuild.store.faults import CacheNotWritable, CacheUnreadable, DiskFull, RefusedRow
from axbuild.store.rows import FILE, MODE_RAW, Identity, checksum, text_of, value_of

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH}
_WAIT_SECONDS = 60.0
_REFUSED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH}


class Damaged(Exception):
    """The database as a whole cannot be read."""


class JsonDisk(diskcache.Disk):  # type: ignore[misc]  # the base class is untyped
    """Keys are text, values are JSON text behind its XXH3-128; every other mode of a row is refused."""

    def __init__(self, directory: str, **_settings: Any) -> None:
        super().__init__(directory)

    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError(f"keys are text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        if not raw or not isinstance(key, str):
            raise RefusedRow("its key is not text")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, str]:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        return len(text), MODE_RAW, None, checksum(text) + text

    def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> Any:
        return text_of(mode, filename, value)

    def remove(self, file_path: Any) -> None:
        """No value of ours has a file; a file name in a row is planted, and what it names is not ours to remove."""


SETTINGS = {
    **diskcache.DEFAULT_SETTINGS,
    **{"eviction_policy": "none", "cull_limit": 0, "statistics": 0, "tag_index": 0},
}
_COUNTS = ("count", "size", "hits", "misses")


class _Cache(diskcache.Cache):  # type: ignore[misc]  # as above
    """Takes no setting out of the database.

    The base class sets an attribute, of itself or of its Disk, or a pragma for every row of the Settings table, which
    is as foreign as all others: `disk_get` would replace the method above. Ours are given when it is opened.
    """

    def reset(self, key: str, value: Any = diskcache.core.ENOVAL, update: bool = True) -> Any:
        if key in _COUNTS:  # read by nobody here
            return None
        return super().reset(key, SETTINGS[key], update) if key in SETTINGS else None


class Database:
    """Text -> JSON in `folder`; never evicts (collection is ours). Raises the store's errors, Damaged, RefusedRow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._told():
            _refuse_strange(folder)
            folder.mkdir(parents=True, exist_ok=True)
            self._cache = _Cache(str(folder), disk=JsonDisk, **SETTINGS)

    def get(self, name: str) -> Any:
        """The value, or None when there is none; raises RefusedRow."""
        with self._told():
            text = self._cache.get(name, retry=True)
        return None if text is None else value_of(name, text)

    def set(self, rows: Mapping[str, Any]) -> None:
        """All of them or none."""
        with self._told(), self._cache.transact(retry=True) if len(rows) > 1 else nullcontext():
            for name, value in rows.items():
                self._cache.set(name, [name, value], retry=True)

    def delete(self, name: str) -> None:
        try:
            with self._told():
                self._cache.delete(name, retry=True)
        except RefusedRow as refused:
            raise Damaged(str(refused)) from refused

    def delete_rows(self, identities: Iterable[Identity]) -> None:
        """Delete rows by number, whatever stands in them (a refused key can be named no other way), save those that
        were written anew since they were read."""
        file = self._folder / FILE
        with self._told(), closing(sqlite3.connect(file, timeout=_WAIT_SECONDS)) as connection, connection:
            connection.executemany("DELETE FROM Cache WHERE rowid = ? AND store_time IS ?", identities)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._told(), self._cache.transact(retry=True):
            yield

    def close(self) -> None:
        self._cache.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._meaning(error) from error
        except diskcache.Timeout as error:
            raise CacheUnreadable(self._folder, "another process keeps its database locked") from error
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise CacheNotWritable(self._folder, error.strerror or str(error)) from error
            raise

    def _meaning(self, error: sqlite3.DatabaseError) -> Exception:
        if not hasattr(error, "sqlite_errorcode"):
            return RefusedRow("it is not UTF-8 text")  # the one error that Python's own layer finds in a row
        code = error.sqlite_errorcode & 0xFF
        # A full disk is an I/O error when it is the shared-memory file that finds no room.
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and not _free_bytes(self._folder)):
            return DiskFull(self._folder)
        if code in _REFUSED:
            return CacheNotWritable(self._folder, str(error))
        return Damaged(str(error)) if code in _DAMAGED else CacheUnreadable(self._folder, str(error))


def _refuse_strange(folder: Path) -> None:
    """sqlite would wait for a FIFO, and follow a link; raises Damaged, so that it is put aside as a whole."""
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
        raise Damaged("it is no folder")
    for file in (folder / f"{FILE}{end}" for end in ("", "-wal", "-shm", "-journal")):
        if os.path.lexists(file) and (file.is_symlink() or not file.is_file()):
            raise Damaged(f"{file.name} is no plain file")


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
