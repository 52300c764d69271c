"""What a running stage says of how far it is: from its process to the one it was forked from, and on to the client.

The process writes its latest word over the one before, into the file of its report: a fixed number of bytes, so that
nobody waits for a reader, nothing piles up, and a reader that comes in between finds a whole one or none.
"""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any

from axbuild.dataclass import dataclass

BYTES = 256
EVERY_SECONDS = 0.25
"""how often it is written and looked at"""
MOST_TEXT, MOST_NUMBERS, MOST_COUNT = 40, 3, 1 << 53


@dataclass(frozen=True)
class Progress:
    """`done` of `total` of what is counted, such as samples; numbers: of that moment, such as a loss."""

    what: str
    done: int
    total: int
    numbers: dict[str, float]


class Teller:
    """Writes into `file`, not more often than it is looked at."""

    def __init__(self, file: int) -> None:
        self._file, self._due = file, 0.0

    def __call__(self, what: str, done: int, total: int, numbers: dict[str, float]) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + EVERY_SECONDS
            line = json.dumps([what, done, total, numbers]).encode()
            os.pwrite(self._file, line[:BYTES].ljust(BYTES), 0)


def told_in(file: int) -> Any:
    """What stands in the file, as JSON; None where nothing was told, or not in words of ours."""
    try:
        found = json.loads(os.pread(file, BYTES, 0))
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def progress_of(record: Any) -> Progress | None:
    """The record of a stage, whose code may be anybody's, as what is shown of it; None where it is no such record."""
    if not isinstance(record, list) or len(record) != 4:
        return None
    what, done, total, numbers = record
    counts = all(type(count) is int and 0 <= count < MOST_COUNT for count in (done, total))
    if not (counts and _is_name(what) and isinstance(numbers, dict) and len(numbers) <= MOST_NUMBERS):
        return None
    if not all(_is_name(name) and _is_finite(number) for name, number in numbers.items()):
        return None
    return Progress(what, done, total, numbers)


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= MOST_TEXT


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
