"""What a tensor's file is called: its name belongs to whoever made the model, and no path may be made of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 100
"""characters of a name that a file keeps"""


def file_name(tensor: str) -> str:
    """What the file of a tensor is called, without its suffix: "_" for each character but letters, digits, "_" and
    "-"."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", tensor)


def file_names(tensors: Iterable[str]) -> dict[str, str]:
    """The same of several in one folder, cut where it is long and with a number behind it where another tensor is
    called alike, upper and lower case counting as the same."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for tensor in dict.fromkeys(tensors):
        stem = name = file_name(tensor)[:LONGEST] or "_"
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        names[tensor] = name
    return names
