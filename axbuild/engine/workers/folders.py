"""Folders that mostly are there already: a look is cheaper than the error of making one."""

from __future__ import annotations

import os


def make_folders(*paths: str) -> None:
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112  # text, since each action does this
            os.mkdir(path)  # noqa: PTH102  # as above
