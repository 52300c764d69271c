"""Content-addressed files: `cas/ab/<sha256>`, read-only, written beside and renamed in.

A blob's name is its SHA-256. Beside it, `cas/ab/fingerprints` holds one record a blob (digest, XXH3-128, size):
whoever reads a blob through this class checks it against the fast fingerprint, at memory speed, and against
SHA-256 only when that differs or is not known. So a damaged fingerprint costs time and never a blob, and a
damaged blob is never handed out: it is removed, reported, and raised as BlobLost, which callers treat as a miss.
`has` asks for the file alone; bytes are checked when somebody reads them.

Nothing is fsynced: a blob that a power cut left short or empty fails its check and is made again, which is
cheaper than a flush for each blob. The modification time of a blob is its last use, to ten minutes: collection
counts on that (see `gc`).

Behind it there may be a second cache that is read and never written (`beyond`): what only that has counts as there,
and is taken over, checked by SHA-256, when its bytes are asked for.
"""

from __future__ import annotations

import errno
import os
import stat as stat_bits
import time
from itertools import count
from pathlib import Path

from axbuild.store.digests import (
    Fingerprint,
    digest_of_bytes,
    digest_of_file,
    fast_of_bytes,
    fast_of_file,
    fingerprint_of_bytes,
    fingerprint_of_file,
    is_digest,
)
from axbuild.store.faults import BlobLost, CacheUnreadable, Report, told_as_store_errors
from axbuild.store.plain import NotPlain, open_to_append, read_plain
from axbuild.store.reflink import clone_or_copy, write_new

READ_ONLY = 0o444
USED_EVERY_SECONDS = 600
_SMALL_BYTES = 1 << 16
"""what is read and written in one piece, as blocks of that size are not worth sharing"""
_RECORD_BYTES = 32 + 16 + 8


class Blobs:
    """The blobs below `folder`; `temporary` is a folder of this process on the same file system.

    used: digests that this process asked for or made. added_bytes: what it brought in. beyond: the folder of blobs of
    a cache to read from.
    """

    def __init__(self, folder: Path, temporary: Path, report: Report, beyond: Path | None = None) -> None:
        self.folder = folder
        self.used: set[str] = set()
        self.added_bytes = 0
        self._text = str(folder)  # and not Path, where every action asks
        self._beyond = beyond
        self._temporary = temporary
        self._device = temporary.stat().st_dev
        self._report = report
        self._names = count()
        self._fingerprints: dict[str, dict[bytes, bytes]] = {}

    def path(self, digest: str) -> Path:
        """Where the blob stands or would stand; whoever opens it directly reads unchecked bytes."""
        return Path(self._place(digest))

    def _place(self, digest: str) -> str:
        if not is_digest(digest):
            raise ValueError(f"not a SHA-256: {digest!r}")
        return f"{self._text}/{digest[:2]}/{digest}"

    def has(self, digest: str) -> bool:
        """Whether the file is there (its bytes are checked on reading); counts as a use."""
        found = self._used(digest)
        return self._is_beyond(digest) if found is None else stat_bits.S_ISREG(found.st_mode)

    def _used(self, digest: str) -> os.stat_result | None:
        """What stands at a blob's place, marked as used; None where nothing does."""
        place = self._place(digest)
        self.used.add(digest)
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            return None
        self._mark_used(place, found)
        return found

    def add_file(self, path: Path | str, move: bool = True) -> str:
        """Take a finished file in and return its SHA-256; with `move` the file itself is renamed where it can be."""
        with told_as_store_errors(self.folder):
            as_it_is = move and self._movable(path)
            ours = path if as_it_is else self._fresh_name()
            if not as_it_is:
                clone_or_copy(path, ours)
            try:
                fingerprint = fingerprint_of_file(ours)
                self._rename_in(ours, fingerprint)
            except BaseException:
                if not as_it_is:
                    Path(ours).unlink(missing_ok=True)
                raise
        if move and not as_it_is:
            Path(path).unlink()
        return fingerprint.digest

    def add_bytes(self, data: bytes) -> str:
        fingerprint = fingerprint_of_bytes(data)
        ours = self._fresh_name()
        with told_as_store_errors(self.folder):
            try:
                ours.write_bytes(data)
                self._rename_in(ours, fingerprint)
            except BaseException:
                ours.unlink(missing_ok=True)
                raise
        return fingerprint.digest

    def read_bytes(self, digest: str) -> bytes:
        """The verified bytes of a blob; raises BlobLost."""
        try:
            data = read_plain(self._place(digest))
        except NotPlain:
            raise self._corrupt(digest) from None
        except FileNotFoundError:
            if self._take_over(digest):
                return self.read_bytes(digest)
            raise self._lost(digest, "is missing") from None
        except OSError as error:
            raise self._unreadable(digest, error) from error
        if self._fast(digest) != _pack(fast_of_bytes(data), len(data)) and digest_of_bytes(data) != digest:
            raise self._corrupt(digest)
        return data

    def materialise(self, digest: str, target: Path | str) -> None:
        """Put a writable copy with an inode of its own at `target`, which must not exist; raises BlobLost."""
        found = self._used(digest)
        folder = str(target).rpartition("/")[0]
        if found is not None and found.st_size <= _SMALL_BYTES:
            data = self.read_bytes(digest)
            with told_as_store_errors(folder):
                write_new(target, data)
            return
        if not self.verify(digest):
            there = found is not None or self._is_beyond(digest)
            raise BlobLost(digest, "was corrupt and has been removed" if there else "is missing")
        with told_as_store_errors(folder):
            try:
                clone_or_copy(self.path(digest), target)
            except FileNotFoundError:
                if self.path(digest).exists():
                    raise
                raise self._lost(digest, "is missing") from None

    def verify(self, digest: str) -> bool:
        """Whether the blob is there and whole; a corrupt one is removed and reported, as is a missing one."""
        path = self.path(digest)
        try:
            if not stat_bits.S_ISREG(path.lstat().st_mode):
                self._corrupt(digest)
                return False
            fast = self._fast(digest)
            if fast and fast == _pack(fast_of_file(path), path.stat().st_size):
                return True
            if digest_of_file(path) == digest:
                self._remember(fingerprint_of_file(path))
                return True
        except FileNotFoundError:
            if self._take_over(digest):
                return True
            self._lost(digest, "is missing")
            return False
        except OSError as error:
            self._unreadable(digest, error)
            return False
        self._corrupt(digest)
        return False

    def _is_beyond(self, digest: str) -> bool:
        if self._beyond is None:
            return False
        try:
            return stat_bits.S_ISREG((self._beyond / digest[:2] / digest).lstat().st_mode)
        except OSError:
            return False

    def _take_over(self, digest: str) -> bool:
        """Copy a blob of the cache beyond into ours; whether ours has it now, whole."""
        if self._beyond is None:
            return False
        ours = self._fresh_name()
        with told_as_store_errors(self.folder):
            try:
                try:
                    clone_or_copy(self._beyond / digest[:2] / digest, ours)
                except FileNotFoundError:
                    return False
                except OSError as error:
                    if error.errno in (errno.EACCES, errno.EIO, errno.ESTALE):
                        return False  # what cannot be read there is made here
                    raise
                fingerprint = fingerprint_of_file(ours)
                if fingerprint.digest != digest:
                    self._report(BlobLost.code, f"blob {digest[:16]} of the cache to read from is corrupt; left alone")
                    return False
                self._rename_in(ours, fingerprint)
                return True
            finally:
                ours.unlink(missing_ok=True)

    def _movable(self, path: Path | str) -> bool:
        """A plain file of one name on our file system: renaming it shares no inode and moves no link."""
        found = os.lstat(path)
        return stat_bits.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_dev == self._device

    def _fresh_name(self) -> Path:
        return self._temporary / f"blob-{next(self._names)}"

    def _rename_in(self, ours: Path | str, fingerprint: Fingerprint) -> None:
        """Rename over whatever stands there: the bytes in hand are known to be right, the others are not."""
        target = self._place(fingerprint.digest)
        os.chmod(ours, READ_ONLY)  # noqa: PTH101  # as above
        os.utime(ours)
        try:
            os.rename(ours, target)  # noqa: PTH104  # as above
        except FileNotFoundError:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            os.rename(ours, target)  # noqa: PTH104  # as above
        self.used.add(fingerprint.digest)
        self.added_bytes += fingerprint.size
        self._remember(fingerprint)

    def _mark_used(self, path: str, found: os.stat_result) -> None:
        # A use in the future is a clock that was set back: it would outlast every other.
        if not -1 <= time.time() - found.st_mtime <= USED_EVERY_SECONDS:
            try:
                os.utime(path)
            except OSError:
                return  # the blob of another user of a shared cache, who marks it himself; or just collected

    def _lost(self, digest: str, what: str) -> BlobLost:
        lost = BlobLost(digest, what)
        self._report(lost.code, lost.sentence)
        return lost

    def _corrupt(self, digest: str) -> BlobLost:
        with told_as_store_errors(self.folder):
            self.path(digest).unlink(missing_ok=True)
        return self._lost(digest, "was corrupt and has been removed")

    def _unreadable(self, digest: str, error: OSError) -> BlobLost:
        """A bad sector loses one blob; any other failure to read is the whole cache's and goes up."""
        if error.errno != errno.EIO:
            raise CacheUnreadable(self.folder, error.strerror or str(error)) from error
        return self._corrupt(digest)

    def _fast(self, digest: str) -> bytes | None:
        """XXH3-128 and size as recorded when the blob came in; None when that is not known."""
        raw, name = bytes.fromhex(digest), digest[:2]
        if raw not in self._fingerprints.get(name, ()):
            self._fingerprints[name] = self._read_shard(name)
        return self._fingerprints[name].get(raw)

    def _read_shard(self, name: str) -> dict[bytes, bytes]:
        path = f"{self._text}/{name}/fingerprints"
        try:
            data = read_plain(path)
        except FileNotFoundError:
            return {}
        if len(data) % _RECORD_BYTES:
            Path(path).unlink(missing_ok=True)  # a write cut short by a full disk: what follows it would never line up
        records = (data[at : at + _RECORD_BYTES] for at in range(0, len(data), _RECORD_BYTES))
        return {record[:32]: record[32:] for record in records}

    def fingerprint_is_wrong(self, found: Fingerprint) -> bool:
        """Whether another fingerprint is on record for a blob than the one it has."""
        return self._fast(found.digest) not in (None, _pack(found.fast, found.size))

    def note(self, found: Fingerprint) -> None:
        """Record the fingerprint of a blob that was read and is right."""
        with told_as_store_errors(self.folder):
            self._remember(found)

    def tidy_fingerprints(self, name: str) -> None:
        """Drop the records of blobs that are gone. A record that another process adds meanwhile may be lost with
        them, which costs one reading of its blob."""
        there = {path.name for path in (self.folder / name).iterdir()}
        shard = self._fingerprints[name] = {
            raw: packed for raw, packed in self._read_shard(name).items() if raw.hex() in there
        }
        path = self.folder / name / "fingerprints"
        beside = self._fresh_name()
        with told_as_store_errors(self.folder):
            beside.write_bytes(b"".join(raw + packed for raw, packed in shard.items()))
            beside.replace(path)

    def _remember(self, fingerprint: Fingerprint) -> None:
        name, raw = fingerprint.digest[:2], bytes.fromhex(fingerprint.digest)
        packed = _pack(fingerprint.fast, fingerprint.size)
        if name not in self._fingerprints:
            self._fingerprints[name] = self._read_shard(name)
        shard = self._fingerprints[name]
        if shard.get(raw) == packed:
            return
        # One write of one record at the end of the file: processes never tear each other's.
        file = open_to_append(f"{self._text}/{name}/fingerprints")
        try:
            os.write(file, raw + packed)
        finally:
            os.close(file)
        shard[raw] = packed


def _pack(fast: bytes, size: int) -> bytes:
    return fast + size.to_bytes(8, "little")
