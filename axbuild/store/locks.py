"""Locks between processes, held by the kernel for an open file: who dies lets go, so none is ever stale.

A lock's file is removed by its holder before he lets go. Whoever then gets the lock of a removed file notices
that the path leads elsewhere, and tries again with the new file.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from axbuild.store.faults import told_as_store_errors
from axbuild.store.plain import clear_the_way, read_plain

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FileLock:
    """An exclusive lock on `path`, between processes and between objects of one process; not re-entrant."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)  # text, since every action has a lock
        self._file = -1

    @property
    def path(self) -> Path:
        return Path(self._path)

    def acquire(self, block: bool = True) -> bool:
        """Take the lock; without `block`, False at once when another holds it."""
        flags = fcntl.LOCK_EX if block else fcntl.LOCK_EX | fcntl.LOCK_NB
        while True:
            file = self._open()
            try:
                fcntl.flock(file, flags)
            except BlockingIOError:
                os.close(file)
                return False
            except BaseException:
                os.close(file)
                raise
            if self._is_at_path(file):
                self._file = file
                return True
            os.close(file)

    def release(self) -> None:
        """Let go; a second time, as after an interrupt in the middle of it, finishes what is left to do."""
        if not self.held:
            return
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108  # as above
        finally:
            file, self._file = self._file, -1
            os.close(file)

    def say(self, who: Mapping[str, Any]) -> None:
        """Write down who holds it, for those who wait; a disk that refuses leaves them without the answer."""
        text = json.dumps(who).encode()
        with suppress(OSError):
            # Cut only after: a file that was empty for a moment is what ext4 writes to the disk before it is closed.
            os.pwrite(self._file, text, 0)
            os.truncate(self._file, len(text))

    def said(self) -> dict[str, Any]:
        """What its holder wrote down; nothing where that cannot be read."""
        try:
            found = json.loads(read_plain(self._path))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def held(self) -> bool:
        return self._file >= 0

    def _open(self) -> int:
        folder = self._path.rpartition("/")[0]
        with told_as_store_errors(folder):
            clear_the_way(self._path)
            try:
                return os.open(self._path, _FLAGS, 0o644)
            except FileNotFoundError:
                Path(folder).mkdir(parents=True, exist_ok=True)
                return os.open(self._path, _FLAGS, 0o644)

    def _is_at_path(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), os.stat(self._path))  # noqa: PTH116  # as above
        except FileNotFoundError:
            return False

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
