"""What rules have read out of large files, kept between builds so that each content is read once.

An answer belongs to a file's signature (see `disk.look`), taken long enough after the last change to stand for one
content, and to the code that asked. Few and short ones only: whatever else is asked again.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from pathlib import Path

from axbuild.errors import AxError
from axbuild.store.records import read_record, write_record
from axbuild.store.statcache import has_settled

VERSION = 1
MOST = 10_000
LONGEST = 1_000

Signature = tuple[int, int, int, int]


class Answers:
    """Lists of text by path, in `file`. code: the digest of what asks."""

    def __init__(self, file: Path, code: str) -> None:
        self._file, self._code = file, code
        self._changed = False

    @cached_property
    def _kept(self) -> dict[str, list[object]]:
        match read_record(self._file, VERSION):
            case [code, dict(kept)] if code == self._code:
                return kept
        return {}

    def get(self, path: str, signature: Signature) -> list[str] | None:
        match self._kept.get(path):
            case [list(kept), int(taken_ns), list(answer)] if tuple(kept) == signature:
                return list(map(str, answer)) if has_settled(signature, taken_ns) else None
        return None

    def put(self, path: str, signature: Signature, taken_ns: int, answer: list[str]) -> None:
        self._kept.pop(path, None)
        if len(answer) <= LONGEST:
            self._kept[path] = [list(signature), taken_ns, answer]
            self._changed = True

    def save(self) -> None:
        """Write them for the next build; where the disk refuses, that one asks again."""
        if self._changed:
            latest = list(self._kept.items())[-MOST:]
            with suppress(AxError):
                write_record(self._file, VERSION, [self._code, dict(latest)])
            self._changed = False
