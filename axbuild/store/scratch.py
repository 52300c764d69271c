"""The scratch folders of a build, of which those that are left as they were made serve again.

To make and remove folders is what costs a file system most of all that an action needs: three of them are as dear as a
fork, and where freed blocks are reported to the disk (ext4 with `discard`) each one removed takes milliseconds.
"""

from __future__ import annotations

import os
import stat
from itertools import count
from pathlib import Path

from axbuild.store.faults import told_as_store_errors

PARTS = ("in", "out", "tmp")
"""what every scratch folder holds from the beginning, empty"""


class Scratches:
    """Those below `folder`, which is removed with all of them when the build ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = count()
        self._spare: list[str] = []

    def new(self, name: str) -> Path:
        """A folder that is empty but for empty PARTS; no two have one path."""
        folder = self._folder / f"{name}-{next(self._names)}"
        with told_as_store_errors(folder):
            if self._spare:
                os.rename(self._spare.pop(), folder)  # noqa: PTH104  # text, since each action does this
            else:
                folder.mkdir()
                for part in PARTS:
                    (folder / part).mkdir()
        return folder

    def give_back(self, folder: Path) -> None:
        """Empty a folder whose action is over, and keep it for another if nothing about it has changed."""
        try:
            kept = _emptied(str(folder), _mode_of(self._folder))
        except OSError:
            kept = False
        if kept:
            self._spare.append(str(folder))
        else:
            remove_tree(folder)


def _emptied(folder: str, mode: int) -> bool:
    """Whether it and its PARTS are empty now, and of the mode that they were made with."""
    as_made = 0
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.name in PARTS and entry.is_dir(follow_symlinks=False):
                as_made += stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) == mode
                _empty(entry.path)
            else:
                _remove(entry)
    return as_made == len(PARTS) and _mode_of(folder) == mode


def _mode_of(folder: Path | str) -> int:
    return stat.S_IMODE(os.stat(folder).st_mode)  # noqa: PTH116  # as above


def _empty(folder: str) -> None:
    with os.scandir(folder) as entries:
        for entry in list(entries):
            _remove(entry)


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        _empty(entry.path)
        os.rmdir(entry.path)  # noqa: PTH106  # text, since each action does this
    else:
        os.unlink(entry.path)  # noqa: PTH108  # as above


def remove_tree(folder: Path) -> None:
    """As far as that can be done."""
    try:
        _empty(str(folder))
        folder.rmdir()
    except OSError:
        import shutil  # 5 ms, for what goes in no simple way

        shutil.rmtree(folder, ignore_errors=True)
