"""A user's file, read where it is one: a pipe would be waited for, and a device may never end."""

from __future__ import annotations

from errno import EINVAL
from pathlib import Path


def read_plain(path: Path, most: int = -1) -> bytes:
    """At most so many bytes of a file, -1 for all; raises OSError, of a pipe, a socket or a device too."""
    if not path.is_file() and not path.is_dir() and path.exists():
        raise OSError(EINVAL, "it is a pipe, a socket or a device, and no plain file")
    with path.open("rb") as file:
        return file.read(most)


def is_there(path: Path) -> bool:
    """Whether a path leads to something; one that no file system takes leads to nothing."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True
