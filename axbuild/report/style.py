"""How things are written: colour where the stream is a terminal and NO_COLOR is not set, durations, dates."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_COLOUR = re.compile("\033\\[[0-9]*m")
UNBROKEN = "\u00a0"
"""a space at which no line is broken"""


def wants_colour(out: TextIO) -> bool:
    """https://no-color.org: any value but an empty one turns colour off; so does a dumb terminal."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Style:
    """`style("red", text)`: the text, in that colour where `out` takes colour."""

    def __init__(self, out: TextIO) -> None:
        self._on = wants_colour(out)
        self._is_terminal = out.isatty()

    def __call__(self, name: str, text: str) -> str:
        return f"\033[{_CODES[name]}m{text}\033[0m" if self._on and text else text

    def at_words(self, text: str) -> str:
        """On a terminal, lines that are too long for it go on below at a word, further in; not elsewhere."""
        if not self._is_terminal:
            return text.replace(UNBROKEN, " ")
        width = shutil.get_terminal_size().columns
        parts = (part for line in text.split("\n") for part in _wrapped(line, width))
        return "\n".join(parts).replace(UNBROKEN, " ")


def _wrapped(line: str, width: int) -> list[str]:
    """Parts of at most so many columns, broken at spaces; a word that is longer, as a path may be, stays whole."""
    first, *words = line.lstrip().split(" ")
    indent = len(line) - len(line.lstrip())
    parts = [" " * indent + first]
    for word in words:
        longer = f"{parts[-1]} {word}"
        if len(_COLOUR.sub("", longer)) <= width:
            parts[-1] = longer
        else:
            parts.append(" " * (indent + 4) + word)
    return parts


def duration(seconds: float) -> str:
    """3 ms, 4.2 s, 2 min 5 s."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def transferred(done: int, total: int) -> str:
    """12.3 of 45.6 MB, 0.5 of 10.2 kB; 12.3 MB where the total is not known."""
    one, unit = (1e6, "MB") if max(done, total) >= 1e6 else (1e3, "kB")
    return f"{done / one:.1f} of {total / one:.1f} {unit}" if total else f"{done / one:.1f} {unit}"


def clock(seconds: float) -> str:
    """Local date and time of seconds since 1970."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


@contextmanager
def quiet_pipes() -> Iterator[None]:
    """Whoever read our output has gone (`axbuild build ... | head`): say no more, and go on with the work."""
    try:
        yield
    except BrokenPipeError:
        silent = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(silent, stream.fileno())
