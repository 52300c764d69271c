"""What can go wrong with the store, and the one place where the system's errors become sentences."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from axbuild.errors import AxError

Report = Callable[[str, str], None]
"""Takes (code, sentence) of something lost or corrupt that the store went on without."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ELOOP, errno.ENOTEMPTY}


class DiskFull(AxError):
    code = "AX901"

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"no space left while writing to the cache in {folder}; everything that had finished is kept",
            hint="free some space, or move the cache with `dir` under [cache] in axbuild.toml",
        )
        self.folder = folder


class CacheNotWritable(AxError):
    code = "AX902"

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"the cache in {folder} cannot be written: {reason}",
            hint="change its permissions, or take another `dir` under [cache] in axbuild.toml and this as `read_from`",
        )
        self.folder, self.reason = folder, reason


class InTheWay(AxError):
    code = "AX911"

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(
            f"{path} stands where the cache keeps a file or folder of its own: {reason}",
            hint="remove it, or take another `dir` under [cache] in axbuild.toml",
        )


class BlobLost(AxError):
    """A blob that is missing or corrupt: a miss. Its file is gone when this is raised; its producer must run again."""

    code = "AX903"

    def __init__(self, digest: str, what: str) -> None:
        super().__init__(f"blob {digest[:16]} of the cache {what}")
        self.digest = digest
        self.state = "corrupt" if "corrupt" in what else "missing"


class RefusedRow(Exception):
    """A row that axbuild did not write, or that was damaged since."""


class CacheUnreadable(AxError):
    code = "AX905"

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"the cache in {folder} cannot be read: {reason}", hint="check the disk and the permissions")


@contextmanager
def told_as_store_errors(where: Path | str) -> Iterator[None]:
    """Turn a full disk, a read-only folder and a failing disk below a folder into errors a user can act on."""
    try:
        yield
    except OSError as error:
        folder = Path(where)
        if error.errno in _FULL:
            raise DiskFull(folder) from error
        if error.errno in _REFUSED:
            raise CacheNotWritable(folder, error.strerror or str(error)) from error
        if error.errno in _IN_THE_WAY:
            raise InTheWay(error.filename2 or error.filename or folder, (error.strerror or "").lower()) from error
        if error.errno in (errno.EIO, errno.ESTALE):
            raise CacheUnreadable(folder, error.strerror or str(error)) from error
        raise
