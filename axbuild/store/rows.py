"""The rows of a results database, read without diskcache: for collection, accounting and caches of others.

Each row is JSON text behind a checksum (see `database`); whatever else stands in one is refused, never interpreted.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from axbuild.dataclass import dataclass
from axbuild.store.digests import fast_of_bytes
from axbuild.store.faults import RefusedRow

MODE_RAW = 1
FILE = "cache.db"
CHECKSUM_CHARACTERS = 32
_WAIT_SECONDS = 10.0


class NoRows(Exception):
    """There is no database, or it cannot be read as a whole."""


class NothingThere(NoRows):
    """No database, or one in which nobody has come to write: its maker was killed, or found no space."""


def checksum(text: str) -> str:
    return fast_of_bytes(text.encode("utf-8", "surrogatepass")).hex()


def text_of(mode: Any, filename: Any, value: Any) -> str:
    """The JSON text of a row's value; raises RefusedRow."""
    if mode != MODE_RAW or filename is not None or not isinstance(value, str):
        raise RefusedRow("it is not JSON text")
    found, text = value[:CHECKSUM_CHARACTERS], value[CHECKSUM_CHARACTERS:]
    if found != checksum(text):
        raise RefusedRow("its checksum does not fit")
    return text


def value_of(name: str, text: str) -> Any:
    """What was stored under `name`; raises RefusedRow where the text was stored under another one."""
    try:
        pair = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedRow("it is no JSON that can be read") from None
    if not isinstance(pair, list) or len(pair) != 2 or pair[0] != name:
        raise RefusedRow("it belongs to another name")
    return pair[1]


Identity = tuple[int, Any]


@dataclass(frozen=True)
class Row:
    """name: None where the row is refused, and `text` then says why. identity: rowid and time of writing, by which
    `forget` knows that nobody has written it anew."""

    identity: Identity
    name: str | None
    text: str

    @property
    def stored(self) -> float:
        """When it was written, seconds since 1970."""
        return self.identity[1] if isinstance(self.identity[1], int | float) else 0.0

    def value(self) -> Any:
        assert self.name is not None
        return value_of(self.name, self.text)


class Rows:
    """The database in `folder`, opened for reading only; raises NoRows.

    foreign: somebody else's, where not a file may be made. One that nobody has open is then read as it lies; what a
    writer that comes meanwhile does to that, or has left in a journal, is a miss at worst.
    """

    def __init__(self, folder: Path, foreign: bool = False) -> None:
        self.folder = folder
        file = folder / FILE
        if not file.is_file():
            raise NothingThere("there is none")
        in_use = all((folder / f"{FILE}-{journal}").exists() for journal in ("wal", "shm"))
        how = "immutable=1" if foreign and not in_use else "mode=ro"
        try:
            self._database = sqlite3.connect(f"file:{quote(os.fsencode(file))}?{how}", uri=True, timeout=_WAIT_SECONDS)
            # Bytes that are no UTF-8 must fail their own row's checksum, and not end the reading of all others.
            self._database.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            made = self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'Cache'").fetchone()
        except sqlite3.Error as error:
            raise NoRows(str(error)) from error
        if made is None:
            raise NothingThere("it is empty")

    def get(self, name: str) -> Any:
        """The value under a name, None where there is none; raises RefusedRow and NoRows."""
        try:
            with closing(
                self._database.execute("SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1", (name,))
            ) as found:
                row = found.fetchone()
        except sqlite3.Error as error:
            raise NoRows(str(error)) from error
        return None if row is None else value_of(name, text_of(*row))

    def all(self) -> Iterator[Row]:
        """Every row, refused ones too; raises NoRows where the database breaks off."""
        query = "SELECT rowid, key, raw, mode, filename, value, store_time FROM Cache"
        try:
            with closing(self._database.execute(query)) as found:
                for number, key, raw, mode, filename, value, stored in found:
                    yield _row(number, key, raw, mode, filename, value, stored)
        except sqlite3.Error as error:
            raise NoRows(str(error)) from error

    def damage(self) -> str:
        """What sqlite's own check finds wrong, "" where nothing is."""
        try:
            [(said,)] = self._database.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.Error as error:
            return str(error)
        return "" if said == "ok" else str(said)

    def close(self) -> None:
        self._database.close()


def _row(number: int, key: Any, raw: Any, mode: Any, filename: Any, value: Any, stored: Any) -> Row:
    if raw != 1 or not isinstance(key, str):
        return Row((number, stored), None, "its key is not text")
    try:
        return Row((number, stored), key, text_of(mode, filename, value))
    except RefusedRow as refused:
        return Row((number, stored), None, str(refused))
