"""Digests of workspace files by their stat signature: a file that did not change is not read again.

A record holds mtime_ns, size, inode and ctime_ns, taken before the file was read. Time stamps are as coarse as
the file system makes them, so a file whose stamps are as young as its record may have changed once more under
the same stamps: it counts as unknown, and is read again until it has come of age (git's rule for its index).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from struct import Struct

from axbuild.errors import AxError
from axbuild.store.digests import digest_of_file
from axbuild.store.records import read_record, write_record

VERSION = 2
YOUNG_NS = 2_000_000_000
"""Two seconds: the coarsest time stamps in use (FAT)."""

_ATTEMPTS = 3
# mtime_ns, size, inode, ctime_ns, time taken, SHA-256: one string a file is read three times as fast as a list.
_RECORD = Struct("<5q32s")

Signature = tuple[int, int, int, int]


class FileKeepsChanging(AxError):
    code = "AX906"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} changes while it is read", hint="wait until its writer is done, then build again")


def signature_of(path: Path | str) -> Signature:
    """(mtime_ns, size, inode, ctime_ns) of what the path leads to."""
    found = os.stat(path)  # noqa: PTH116  # asked of thousands of paths, and half the time of Path.stat
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def has_settled(signature: Signature, taken_ns: int) -> bool:
    """Whether a signature taken at that time can no longer stand for two contents."""
    return max(signature[0], signature[3]) < taken_ns - YOUNG_NS


class StatCache:
    """The records of one workspace, kept in `file`; write them back with `save`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._records: dict[str, bytes] = read_record(file, VERSION) or {}
        self._changed = False

    def digest_of(self, path: Path | str) -> str:
        """SHA-256 of the file's bytes; raises OSError as `open` does, and FileKeepsChanging."""
        known = self._known(path)
        return known if known is not None else self._read(path)

    def unchanged(self, path: Path | str, digest: str) -> bool:
        """Whether the file still (or again) has that digest; False when it is gone."""
        try:
            return self.digest_of(path) == digest
        except FileNotFoundError:
            return False

    def record(self, path: Path | str) -> tuple[Signature, int, str] | None:
        """(signature, when it was taken, SHA-256) as last read, None for a file that was never asked about."""
        found = self._records.get(str(path))
        if found is None:
            return None
        mtime, size, inode, ctime, taken_ns, digest = _RECORD.unpack(found)
        return (mtime, size, inode, ctime), taken_ns, digest.hex()

    def surely(self, path: Path | str, digest: str) -> bool:
        """Whether the file has that digest, and no other content could have the signature by which that is known."""
        return self._known(path) == digest

    def save(self) -> None:
        if self._changed:
            write_record(self._file, VERSION, self._records)
            self._changed = False

    def _known(self, path: Path | str) -> str | None:
        record = self.record(path)
        if record is None:
            return None
        signature, taken_ns, digest = record
        try:
            return digest if signature_of(path) == signature and has_settled(signature, taken_ns) else None
        except FileNotFoundError:
            return None

    def _read(self, path: Path | str) -> str:
        for _ in range(_ATTEMPTS):
            taken_ns = time.time_ns()
            before = signature_of(path)
            digest = digest_of_file(path)
            if signature_of(path) == before:
                self._records[str(path)] = _RECORD.pack(*before, taken_ns, bytes.fromhex(digest))
                self._changed = True
                return digest
        raise FileKeepsChanging(Path(path))
