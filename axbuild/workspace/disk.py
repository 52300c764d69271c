"""The one door to the files of a workspace, with a twin in memory for tests.

Everything that decides what a build is (which folders hold packages, which files a glob finds) is
read here, once a process, and remembered: `folders` and `files` are what an unchanged build must
find unchanged. Paths are relative to the workspace root with "/" ("" is the root itself).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from errno import EINVAL
from hashlib import sha256
from stat import S_ISREG
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from axbuild.errors import AxError, Place

if TYPE_CHECKING:
    from axbuild.workspace.answers import Answers

FILE, FOLDER, LINKED_FOLDER, BROKEN_LINK = "file", "folder", "linked folder", "broken link"
SPECIAL = "pipe, socket or device"

BUILD_FILE = "BUILD.toml"
"""what makes a folder a package"""


class Unreadable(AxError):
    code = "AX117"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot be read: {reason}", place=Place(path or "."))


Question = Callable[[BinaryIO], list[str]]


class Disk(Protocol):
    """The files of a workspace; Unreadable where the system refuses one."""

    def listing(self, folder: str) -> dict[str, str]:
        """Names of a folder's entries -> their kind, such as FILE; empty where there is no such folder."""
        ...

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        ...

    def ask(self, path: str, question: Question) -> list[str]:
        """What `question` reads out of a file, part by part; asked once for each content where answers are kept."""
        ...

    def real(self, folder: str) -> str:
        """Where a folder is behind all links, the same for two ways to one; absolute outside the root, "/" above."""
        ...


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def kind(disk: Disk, path: str) -> str | None:
    """FILE, FOLDER, LINKED_FOLDER, BROKEN_LINK, SPECIAL, or None where nothing is there."""
    if not path:
        return FOLDER
    folder, _, name = path.rpartition("/")
    return disk.listing(folder).get(name)


_HIDDEN_THAT_COUNT = (".axbuildignore",)
OWN_FOLDERS = ("axbuild-out", "cache")
"""in a workspace's root: what axbuild itself writes"""


def counts(name: str) -> bool:
    """Whether walks, listings, the search for packages and snapshots see a name: not a hidden one, and not bytecode,
    which Python keeps beside code as it likes. A file that is named by itself stands for itself."""
    return name[0] != "." and name != "__pycache__" and not name.endswith(".pyc")


class Seen(NamedTuple):
    """What was looked at, so that an unchanged one can be told: signature before the look (None: nothing was there),
    its time, and the SHA-256 of the bytes or of the listing (None: not all of it was read)."""

    signature: tuple[int, int, int, int] | None
    taken_ns: int
    digest: bytes | None


def look(path: str) -> tuple[int, int, int, int] | None:
    """The signature of what the path leads to: mtime_ns, size, inode, ctime_ns."""
    try:
        found = os.stat(path)  # noqa: PTH116 - thousands of times a build
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def scan(folder: str) -> dict[str, str]:
    """Names of a folder's entries -> their kind; empty where there is no such folder."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name: _kind_of(entry) for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def digest_of_listing(names: Mapping[str, str], root: bool = False) -> bytes:
    """SHA-256 of the names that count, with their kinds."""
    unseen = OWN_FOLDERS if root else ()
    seen = [name for name in sorted(names) if (counts(name) or name in _HIDDEN_THAT_COUNT) and name not in unseen]
    lines = [f"{name}\0{names[name]}\n" for name in seen]
    return sha256(os.fsencode("".join(lines))).digest()


class RealDisk:
    """The file system below one folder; remembers what it read and listed."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: dict[str, Seen] = {}
        self.folders: dict[str, dict[str, str]] = {}
        self.asked: set[str] = set()
        """folders and files that somebody asked for since this set was put here, remembered ones too"""
        self.answers: Answers | None = None
        self._listed: dict[str, tuple[tuple[int, int, int, int] | None, int]] = {}

    def listing(self, folder: str) -> dict[str, str]:
        self.asked.add(folder)
        known = self.folders.get(folder)
        if known is None:
            full = f"{self.root}/{folder}"
            self._listed[folder] = look(full), time.time_ns()
            try:
                known = self.folders[folder] = scan(full)
            except OSError as error:
                raise _unreadable(folder, error) from error
        return known

    def listings(self) -> dict[str, Seen]:
        """Every folder listed so far, as it was then."""
        return {
            folder: Seen(*self._listed[folder], digest_of_listing(names, not folder))
            for folder, names in self.folders.items()
        }

    def read(self, path: str) -> bytes:
        self.asked.add(path)
        full = f"{self.root}/{path}"
        signature, taken_ns = look(full), time.time_ns()
        try:
            with _opened(full) as file:
                data = file.read()
        except OSError as error:
            self.files[path] = Seen(signature, taken_ns, None)
            raise _unreadable(path, error) from error
        self.files[path] = Seen(signature, taken_ns, sha256(data).digest())
        return data

    def ask(self, path: str, question: Question) -> list[str]:
        self.asked.add(path)
        full = f"{self.root}/{path}"
        signature, taken_ns = look(full), time.time_ns()
        self.files.setdefault(path, Seen(signature, taken_ns, None))
        known = self.answers.get(path, signature) if self.answers and signature else None
        if known is None:
            try:
                with _opened(full) as file:
                    known = question(file)
            except OSError as error:
                raise _unreadable(path, error) from error
            if self.answers and signature:
                self.answers.put(path, signature, taken_ns, known)
        return known

    def real(self, folder: str) -> str:
        found, root = os.path.realpath(f"{self.root}/{folder}"), os.path.realpath(self.root)
        if found == root:
            return ""
        return "/" if f"{root}/".startswith(f"{found}/") else found.removeprefix(f"{root}/")


def _opened(full: str) -> BinaryIO:
    """A plain file to be read; a pipe would be waited for, and a device may never end."""
    file = open(full, "rb", opener=_at_once)  # noqa: SIM115 - thousands a build; the caller closes it
    if S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(EINVAL, "it is a pipe, a socket or a device, and no plain file")


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _unreadable(path: str, error: OSError) -> Unreadable:
    return Unreadable(path, (error.strerror or str(error)).lower())


def _kind_of(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        try:
            return LINKED_FOLDER if entry.is_dir() else FILE if entry.is_file() else BROKEN_LINK
        except OSError:  # a link that leads to itself, or through a folder that is closed to us
            return BROKEN_LINK
    if entry.is_dir():
        return FOLDER
    return FILE if entry.is_file() else SPECIAL


class MemoryDisk:
    """Files held in a dict; folders are what their paths imply."""

    def __init__(self, contents: dict[str, bytes | str]) -> None:
        self.contents = {path: text.encode() if isinstance(text, str) else text for path, text in contents.items()}

    def listing(self, folder: str) -> dict[str, str]:
        prefix = f"{folder}/" if folder else ""
        found: dict[str, str] = {}
        for path in self.contents:
            if path.startswith(prefix):
                name, below, _ = path[len(prefix) :].partition("/")
                found[name] = FOLDER if below else FILE
        return found

    def read(self, path: str) -> bytes:
        if path not in self.contents:
            raise Unreadable(path, "no such file or directory")
        return self.contents[path]

    def ask(self, path: str, question: Question) -> list[str]:
        from io import BytesIO

        return question(BytesIO(self.read(path)))

    def real(self, folder: str) -> str:
        return folder
