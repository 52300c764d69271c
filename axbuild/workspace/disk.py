"""The one door to the files of a workspace, with a twin in memory for tests.

Everything that decides what a build is (which folders hold packages, which files a glob finds) is
read here, once a process, and remembered: `folders` and `files` are what an unchanged build must
find unchanged. Paths are relative to the workspace root with "/" ("" is the root itself).
"""

from __future__ import annotations

import os
from typing import BinaryIO, Protocol

FILE, FOLDER, LINKED_FOLDER = "file", "folder", "linked folder"


class Disk(Protocol):
    def listing(self, folder: str) -> dict[str, str]:
        """Names of a folder's entries -> FILE, FOLDER or LINKED_FOLDER; empty where there is no such folder."""
        ...

    def read(self, path: str) -> bytes:
        """A file's bytes; OSError where it cannot be read."""
        ...

    def open(self, path: str) -> BinaryIO:
        """A file to read from in parts; OSError where it cannot be read."""
        ...


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def kind(disk: Disk, path: str) -> str | None:
    """FILE, FOLDER, LINKED_FOLDER, or None where nothing is there."""
    if not path:
        return FOLDER
    folder, _, name = path.rpartition("/")
    return disk.listing(folder).get(name)


class RealDisk:
    """The file system below one folder; remembers what it read and listed."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: set[str] = set()
        self.folders: dict[str, dict[str, str]] = {}

    def listing(self, folder: str) -> dict[str, str]:
        known = self.folders.get(folder)
        if known is None:
            known = self.folders[folder] = self._scan(folder)
        return known

    def _scan(self, folder: str) -> dict[str, str]:
        try:
            with os.scandir(f"{self.root}/{folder}") as entries:
                return {entry.name: found for entry in entries if (found := _kind_of(entry))}
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def read(self, path: str) -> bytes:
        self.files.add(path)
        with open(f"{self.root}/{path}", "rb") as file:  # noqa: PTH123 - thousands of reads a build
            return file.read()

    def open(self, path: str) -> BinaryIO:
        self.files.add(path)
        return open(f"{self.root}/{path}", "rb")  # noqa: PTH123 - the caller closes it


def _kind_of(entry: os.DirEntry[str]) -> str | None:
    if entry.is_symlink():
        if entry.is_dir():
            return LINKED_FOLDER
        return FILE if entry.is_file() else None
    if entry.is_dir():
        return FOLDER
    return FILE if entry.is_file() else None


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
            raise FileNotFoundError(path)
        return self.contents[path]

    def open(self, path: str) -> BinaryIO:
        from io import BytesIO

        return BytesIO(self.read(path))
