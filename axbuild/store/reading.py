"""Reading a cache that a build has open, or had: nothing is locked, marked as used, moved or repaired."""

from __future__ import annotations

from pathlib import Path

from axbuild.store.digests import digest_of_bytes, is_digest
from axbuild.store.faults import BlobLost
from axbuild.store.plain import read_plain
from axbuild.store.store import BLOBS


class StoreReader:
    """The blobs of the cache in `directory`, which need not be there yet, and of `read_from` behind it."""

    def __init__(self, directory: Path, read_from: Path | None = None) -> None:
        self._folders = [one / BLOBS for one in (directory, read_from) if one is not None]

    def read(self, digest: str) -> bytes:
        """The bytes of that SHA-256; raises BlobLost where no cache has them whole."""
        if not is_digest(digest):
            raise ValueError(f"not a SHA-256: {digest!r}")
        for folder in self._folders:
            try:
                data = read_plain(folder / digest[:2] / digest)
            except OSError:
                continue
            if digest_of_bytes(data) == digest:
                return data
        raise BlobLost(digest, "is missing")
