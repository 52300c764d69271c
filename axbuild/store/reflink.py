"""Copies that share blocks where the file system can (btrfs, XFS, bcachefs), and never an inode."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

FICLONE = 0x40049409
_CANNOT = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}
_COPY_BYTES = 1 << 30
WRITABLE = 0o644


def clone_or_copy(source: Path, target: Path, mode: int = WRITABLE) -> None:
    """Make `target` (which must not exist) a file of its own with the bytes of `source`."""
    with source.open("rb", buffering=0) as reader:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            if not _clone(reader.fileno(), writer):
                _copy(reader.fileno(), writer)
        except BaseException:
            target.unlink()
            raise
        finally:
            os.close(writer)


def _clone(reader: int, writer: int) -> bool:
    try:
        fcntl.ioctl(writer, FICLONE, reader)
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True


def _copy(reader: int, writer: int) -> None:
    offset = 0
    while sent := os.sendfile(writer, reader, offset, _COPY_BYTES):
        offset += sent
