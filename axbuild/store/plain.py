"""The one door to files of our own bookkeeping: plain files, whatever somebody has put in their places.

A FIFO would block whoever opens it for ever, a device never ends, a link leads to somebody else's file. All of ours
can be made again, so what is none of ours counts as absent when it is read, and goes when it is written.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG


class NotPlain(FileNotFoundError):
    """Something stands at the path, and it is no plain file."""


def read_plain(path: Path | str) -> bytes:
    """The bytes of a plain file; raises OSError, of which NotPlain is one."""
    # Without O_NONBLOCK the opening itself would wait for a FIFO's other end.
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ELOOP):  # a socket, or a link to itself
            raise NotPlain(f"{path} is no plain file") from None
        raise
    try:
        found = os.fstat(file)
        if not S_ISREG(found.st_mode):
            raise NotPlain(f"{path} is no plain file")
        parts = []
        while part := os.read(file, max(found.st_size, 1 << 16)):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(file)


def open_to_append(path: Path | str) -> int:
    """A descriptor at the end of a plain file, made where there is none; raises OSError."""
    clear_the_way(path)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)


def clear_the_way(path: Path | str) -> None:
    """Remove what is neither a plain file nor a folder; raises OSError."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not S_ISREG(mode) and not S_ISDIR(mode):
        Path(path).unlink(missing_ok=True)
