"""Which names may become paths below a folder: one answer for rows of a cache, expansions, scratch folders, outputs."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_PART_BYTES = 255
"""What Linux's file systems take."""


def is_inside(name: object) -> bool:
    """Whether a relative path stays below the folder it is put in, on every file system we write to."""
    if not isinstance(name, str) or "\0" in name or "\\" in name:
        return False
    try:
        parts = name.encode().split(b"/")
    except UnicodeEncodeError:  # half a surrogate pair: keys and records are UTF-8
        return False
    return all(part not in (b"", b".", b"..") and len(part) <= LONGEST_PART_BYTES for part in parts)


def clash(names: Iterable[str]) -> str:
    """A name that would be a file and a folder at once, or ""."""
    files = set(names)
    for name in files:
        folder = name.rpartition("/")[0]
        while folder:
            if folder in files:
                return folder
            folder = folder.rpartition("/")[0]
    return ""
