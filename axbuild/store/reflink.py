"""Copies that share blocks where the file system can (btrfs, XFS, bcachefs), and never an inode."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FICLONE = 0x40049409
_CANNOT = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}
_COPY_BYTES = 1 << 30
WRITABLE = 0o644


def clone_or_copy(source: Path | str, target: Path | str) -> None:
    """Make `target` (which must not exist) a file of its own with the bytes of `source`."""
    with open(source, "rb", buffering=0) as reader, _new(target) as writer:  # noqa: PTH123  # text, for every input
        if not _clone(reader.fileno(), writer):
            _copy(reader.fileno(), writer)


def write_new(target: Path | str, data: bytes) -> None:
    """Make `target` (which must not exist) a file of these bytes."""
    with _new(target) as writer:
        while data:
            data = data[os.write(writer, data) :]


@contextmanager
def _new(target: Path | str) -> Iterator[int]:
    writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, WRITABLE)
    try:
        yield writer
    except BaseException:
        os.unlink(target)  # noqa: PTH108  # as above
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
