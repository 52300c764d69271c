"""The store of a cache folder: blobs, results, locks, and the scratch space of running builds.

    cas/ab/<sha256>        blobs
    results/               the database of action results
    locks/<key>            one lock an action being made
    leases/<build>         one locked file a living build
    tmp/<build>/           what that build has under way: on the same file system, so that finishing is a rename
    workspaces/<id>/       the state of each workspace that uses this cache; `root` in it is its path
    collected              when the cache was last collected, and how large it is since

A build that was killed leaves its folder in tmp/; the next one finds its lease unlocked and clears it away.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from axbuild.dataclass import dataclass
from axbuild.errors import AxError
from axbuild.store.blobs import Blobs
from axbuild.store.digests import digest_of_bytes, is_digest
from axbuild.store.faults import CacheNotWritable, InTheWay, Report, told_as_store_errors
from axbuild.store.locks import FileLock
from axbuild.store.plain import clear_the_way, read_plain
from axbuild.store.results import Results
from axbuild.store.scratch import Scratches, remove_tree

ROOT = "root"
BLOBS = "cas"


class ReadsFromItself(AxError):
    code = "AX909"

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"read_from under [cache] names the cache itself, {folder}", hint="name another cache, or none"
        )


@dataclass(frozen=True)
class WorkspaceState:
    """Where a workspace keeps what is its own (stat cache, last builds) inside a cache it may share."""

    id: str
    folder: Path


class Store:
    """The cache in `directory`, made if need be; `report` hears of what was lost (default: kept in `reports`).

    read_from: another cache, whose results count as well; nothing is ever written there. only_read: there is nothing to
    keep, so a cache that may not be written will do.
    """

    def __init__(
        self, directory: Path, report: Report | None = None, read_from: Path | None = None, only_read: bool = False
    ) -> None:
        self.directory = directory.absolute()
        beyond = None if read_from is None else read_from.absolute()
        if beyond == self.directory:
            raise ReadsFromItself(beyond)
        self.reports: list[tuple[str, str]] = []
        said = report or (lambda code, sentence: self.reports.append((code, sentence)))
        name = f"{os.getpid()}-{os.urandom(4).hex()}"
        refuse_what_is_no_folder(self.directory)
        self._lease = FileLock(self.directory / "leases" / name)
        self._temporary = self.directory / "tmp"
        if not (only_read and is_read_only(self.directory)):
            self._move_in(name)
        self.scratches = Scratches(self._temporary)
        self.blobs = Blobs(self.directory / BLOBS, self._temporary, said, beyond and beyond / BLOBS)
        self.results = Results(self.directory / "results", said, beyond and beyond / "results")

    def _move_in(self, name: str) -> None:
        with told_as_store_errors(self.directory):
            for part in (BLOBS, "locks", "leases", "tmp", "workspaces"):
                _make(self.directory, part)
            self._lease.acquire()
            self._temporary = self.directory / "tmp" / name
            self._temporary.mkdir()
            self._sweep()

    def lock(self, key: str) -> FileLock:
        """The lock of an action's key: its holder makes the result, the others wait and take it."""
        if not is_digest(key):
            raise ValueError(f"not a key: {key!r}")
        return FileLock(f"{self.directory}/locks/{key}")

    def workspace(self, root: Path) -> WorkspaceState:
        """The state of the workspace at `root`; its id is of the path, so each work tree has its own."""
        name = digest_of_bytes(os.fsencode(root.resolve()))[:16]
        folder = self.directory / "workspaces" / name
        with told_as_store_errors(folder):
            path = os.fsencode(root.resolve())
            if _content(folder / ROOT) != path:
                folder.mkdir(exist_ok=True)
                clear_the_way(folder / ROOT)
                (folder / ROOT).write_bytes(path)
        return WorkspaceState(name, folder)

    def other_leases(self) -> list[Path]:
        return [path for path in (self.directory / "leases").iterdir() if path != self._lease.path]

    def others_began(self) -> float | None:
        """When the oldest other build that is under way opened the cache (seconds since 1970); None where none is."""
        began = None
        for path in self.other_leases():
            lease = FileLock(path)
            if lease.acquire(block=False):
                lease.release()
                continue
            try:
                opened = path.stat().st_mtime
            except FileNotFoundError:
                continue
            began = opened if began is None else min(began, opened)
        return began

    def scratch(self, name: str = "scratch") -> Path:
        """A folder for an action on the store's file system; what is left in it goes when the store closes."""
        return self.scratches.new(name)

    def close(self) -> None:
        self.results.close()
        if self._lease.held:
            remove_tree(self._temporary)
            self._lease.release()

    def _sweep(self) -> None:
        """Clear away what dead builds left; a lease or lock that can be taken has no living holder."""
        for folder in (self.directory / "tmp").iterdir():
            lease = FileLock(self.directory / "leases" / folder.name)
            if lease.acquire(block=False):
                remove_tree(folder)
                lease.release()
        for path in (*(self.directory / "leases").iterdir(), *(self.directory / "locks").iterdir()):
            lock = FileLock(path)
            if lock.acquire(block=False):
                lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def refuse_what_is_no_folder(directory: Path) -> None:
    """Raises InTheWay where something else stands in the cache's place, or in that of a folder above."""
    there = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise InTheWay(there, "it is no folder")


def is_read_only(directory: Path) -> bool:
    """Whether a cache is there, and nobody like us may write to it."""
    return (directory / "tmp").is_dir() and not os.access(directory / "tmp", os.W_OK)


def _make(directory: Path, part: str) -> None:
    try:
        (directory / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG, errno.EINVAL):
            raise
        # A place like /proc, where nobody can make a folder.
        raise CacheNotWritable(directory, error.strerror or str(error)) from error


def _content(file: Path) -> bytes:
    try:
        return read_plain(file)
    except FileNotFoundError:
        return b""
