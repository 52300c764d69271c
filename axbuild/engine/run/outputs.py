"""`axbuild-out/<package>/<target>/`: what a requested target hands over, as files of the user's own.

Each file is a reflink or copy put there by a rename; a file that already has the right bytes is left alone. What
an earlier build put there and this one does not is removed: the list of it stands in `axbuild-out/.axbuild/`, so
that a file of the user's own, or one of a target in a sub-package, is never taken for stale.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from stat import S_ISLNK, S_ISREG

from axbuild.engine.run.claims import FOLDER, OWN, listed, manifest_of, owner_of, owners_below
from axbuild.engine.run.content import Content, File
from axbuild.errors import AxError
from axbuild.store.blobs import Blobs
from axbuild.store.faults import CacheNotWritable, DiskFull
from axbuild.store.names import is_inside
from axbuild.store.reflink import clone_or_copy, write_new
from axbuild.store.statcache import StatCache, signature_of
from axbuild.workspace.disk import Seen
from axbuild.workspace.label import split

_ABANDONED_SECONDS = 10.0


class BadOutputPath(AxError):
    code = "AX507"

    def __init__(self, label: str, path: str, why: str) -> None:
        super().__init__(f"{label} hands over '{path}': {why}")


class OutputsNotWritable(AxError):
    code = "AX950"

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"the outputs in {folder} cannot be written: {reason}")


class OutputFolders:
    """The output folders of the workspace at `root`."""

    def __init__(self, root: Path, blobs: Blobs, stat: StatCache) -> None:
        self._root, self._blobs, self._stat = root, blobs, stat
        self._own = root / FOLDER / OWN
        self._names = count()
        self._swept = False
        self._whose: dict[str, str] = {}
        self.seen: dict[str, Seen] = {}
        """every file in place, by its path from the root, with a signature that stands for its bytes"""

    def place(self, label: str, contents: Mapping[str, Content]) -> list[str]:
        """Make the target's folder hold exactly these; paths relative to the root. Raises BlobLost."""
        files = dict(_flat(label, contents))
        package, name = split(label)
        # Text, not Path: a build of everything asks this of every output, mostly to find it as it should be.
        own = "/".join(part for part in (FOLDER, package, name) if part)
        folder = f"{self._root}/{own}"
        manifest = manifest_of(self._root, label)
        with _told(folder):
            before = listed(manifest)
            if stale := before - files.keys():
                kept = [path for path in sorted(stale) if not owner_of(self._root, self._below(own, path), label)]
                _remove(Path(folder), kept)
            for path, file in files.items():
                full = f"{folder}/{path}"
                if (other := self._whose.setdefault(full, label)) != label:
                    raise BadOutputPath(label, path, f"{other} hands over the same file; rename one of the two")
                if not self._right(full, file.digest):
                    self._make_way(label, path, self._below(own, path))
                    self._put(full, file)
                self.seen[f"{own}/{path}"] = self._look(full, file.digest)
            if files.keys() != before:
                self._write(manifest, json.dumps(sorted(files)))
        return [f"{own}/{path}" for path in files]

    def _right(self, path: str, digest: str) -> bool:
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        # A hard link to something else would change under our feet.
        return S_ISREG(found.st_mode) and found.st_nlink == 1 and self._stat.unchanged(path, digest)

    def _look(self, path: str, digest: str) -> Seen:
        record = self._stat.record(path)
        if record is None or record[2] != digest:
            # Put there just now: far too young to be told from a later content by its signature alone.
            record = signature_of(path), time.time_ns(), digest
        return Seen(record[0], record[1], bytes.fromhex(digest))

    @staticmethod
    def _below(own: str, path: str) -> str:
        return f"{own}/{path}".removeprefix(f"{FOLDER}/")

    def _make_way(self, label: str, path: str, place: str) -> None:
        """A folder where the file goes, or a file where its folder goes, is removed unless another target's is lost."""
        target = f"{self._root}/{FOLDER}/{place}"
        if os.path.isdir(target) and not os.path.islink(target):  # noqa: PTH112, PTH114  # text, as above
            for other in owners_below(self._root, place, label):
                raise BadOutputPath(
                    label, path, f"{other} has its files in a folder of that name; rename one of the two"
                )
            shutil.rmtree(target)
        for parent in _parents(place):
            here = f"{self._root}/{FOLDER}/{parent}"
            with suppress(FileNotFoundError, NotADirectoryError):
                mode = os.lstat(here).st_mode
                if S_ISREG(mode) and (other := owner_of(self._root, parent, label)):
                    raise BadOutputPath(label, path, f"{other} hands over the file {parent}; rename one of the two")
                if S_ISREG(mode) or S_ISLNK(mode):  # somebody's folder is behind a link, and nothing is written there
                    os.unlink(here)  # noqa: PTH108  # text, as above

    def _put(self, target: str, file: File) -> None:
        fresh = self._fresh()
        if file.source:
            clone_or_copy(f"{self._root}/{file.source}", fresh)
        else:
            self._materialise(file.digest, fresh)
        self._move(fresh, target)

    def _materialise(self, digest: str, fresh: str) -> None:
        """Outputs may stand on another disk than the cache: it is that one which is full, or cannot be written."""
        try:
            self._blobs.materialise(digest, fresh)
        except (DiskFull, CacheNotWritable) as error:
            if error.folder != self._own:
                raise
            reason = error.reason if isinstance(error, CacheNotWritable) else "no space left"
            raise OutputsNotWritable(self._root / FOLDER, reason) from error

    def _write(self, target: str, text: str) -> None:
        fresh = self._fresh()
        write_new(fresh, text.encode())
        self._move(fresh, target)

    def _move(self, fresh: str, target: str) -> None:
        try:
            try:
                os.replace(fresh, target)  # noqa: PTH105  # text, as above
            except FileNotFoundError:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                os.replace(fresh, target)  # noqa: PTH105  # as above
        except BaseException:
            os.unlink(fresh)  # noqa: PTH108  # as above
            raise

    def _fresh(self) -> str:
        if not self._swept:
            self._own.mkdir(parents=True, exist_ok=True)
            _sweep(self._own)
            self._swept = True
        return f"{self._own}/new-{os.getpid()}-{next(self._names)}"


def _sweep(folder: Path) -> None:
    """Remove what killed builds were about to put in place; a file still being written, by a process of another
    machine too, is younger."""
    for path in folder.glob("new-*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS and not _lives(int(path.name.split("-")[1])):
                path.unlink()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def clean(root: Path) -> bool:
    """Remove every output; whether there was anything."""
    folder = root / FOLDER
    if not folder.exists():
        return False
    with _told(folder):
        if not folder.is_symlink():
            shutil.rmtree(folder)
            return True
        # Somebody keeps the outputs on another disk: they go, and the link to it stays.
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    return True


def clean_target(root: Path, label: str) -> None:
    """Remove what a target has put into its folder, and its list; a file on another's list stays."""
    package, name = split(label)
    folder = "/".join(part for part in (package, name) if part)
    with _told(root / FOLDER):
        files = listed(manifest_of(root, label))
        _remove(root / FOLDER, [path for own in files if not owner_of(root, path := f"{folder}/{own}", label)])
        _remove(root / FOLDER / OWN, [f"{folder}.json"])


def _flat(label: str, contents: Mapping[str, Content]) -> Iterator[tuple[str, File]]:
    seen: set[str] = set()
    folders: set[str] = set()
    for path, content in contents.items():
        prefix = path.rstrip("/")
        named = {prefix: content} if isinstance(content, File) else {_under(prefix, n): f for n, f in content.items()}
        for name, file in named.items():
            if not is_inside(name) or name.split("/")[0] == OWN:
                raise BadOutputPath(label, path, f"'{name}' is no path inside the target's folder")
            if name in seen or name in folders or any(parent in seen for parent in _parents(name)):
                raise BadOutputPath(label, path, f"another output stands at '{name}'")
            seen.add(name)
            folders.update(_parents(name))
            yield name, file


def _under(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name


def _remove(folder: Path, paths: list[str]) -> None:
    for path in paths:
        if ".." in path.split("/") or path.startswith("/"):
            continue
        if any((folder / parent).is_symlink() for parent in _parents(path)):
            continue
        (folder / path).unlink(missing_ok=True)
        for parent in _parents(path):
            with suppress(OSError):  # not empty, or gone already
                (folder / parent).rmdir()


@contextmanager
def _told(folder: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "no space left" if full else error.strerror or str(error)
        if error.errno in (errno.EISDIR, errno.ENOTDIR):
            reason += f" at {error.filename2 or error.filename}"
        raise OutputsNotWritable(Path(folder), reason) from error
