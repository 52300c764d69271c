"""`.axbuildignore`: what walks (patterns, globs, folder sources) leave out.

One pattern a line, "#" begins a comment. A pattern without "/" matches a file or folder of that name
anywhere; one with "/" is a path from the workspace root. `*` and `?` stay within a name, `**` does
not; a "/" at the end matches folders only. The cache, axbuild-out, hidden names and bytecode are always left out.
"""

from __future__ import annotations

import re

from axbuild.errors import AxError, Place
from axbuild.workspace.disk import OWN_FOLDERS, Disk, counts
from axbuild.workspace.glob import glob_regex

FILE_NAME = ".axbuildignore"
OUTPUTS = OWN_FOLDERS[0]


class BadIgnoreLine(AxError):
    code = "AX116"

    def __init__(self, line: int, text: str) -> None:
        sentence = "a pattern cannot take back what another one ignores"
        super().__init__(sentence, place=Place(FILE_NAME, line, text), hint="drop the '!' and name less above")


class Ignore:
    """Answers whether a path, relative to the root, is left out of walks."""

    def __init__(self, always: tuple[str, ...] = (), lines: tuple[str, ...] = ()) -> None:
        self._always = frozenset(always) | {OUTPUTS}
        folders: list[str] = []
        files: list[str] = []
        for number, line in enumerate(lines, 1):
            pattern = line.strip()
            if not pattern or pattern.startswith("#"):
                continue
            if pattern.startswith("!"):
                raise BadIgnoreLine(number, line)
            (folders if pattern.endswith("/") else files).append(_regex(pattern.rstrip("/")))
        self._folders = re.compile("|".join(folders + files)) if folders or files else None
        self._files = re.compile("|".join(files)) if files else None

    def folder(self, path: str) -> bool:
        return self._name(path) or path in self._always or bool(self._folders and self._folders.fullmatch(path))

    def is_own(self, path: str) -> bool:
        """Whether a path lies in what axbuild itself writes."""
        return any(f"{path}/".startswith(f"{own}/") for own in self._always)

    def file(self, path: str) -> bool:
        return self._name(path) or bool(self._files and self._files.fullmatch(path))

    @staticmethod
    def _name(path: str) -> bool:
        return not counts(path.rpartition("/")[2])


def read_ignore(disk: Disk, always: tuple[str, ...] = ()) -> Ignore:
    """The workspace's ignore rules; `always` are folders left out besides (the cache)."""
    if FILE_NAME not in disk.listing(""):
        return Ignore(always)
    return Ignore(always, tuple(disk.read(FILE_NAME).decode(errors="replace").splitlines()))


def _regex(pattern: str) -> str:
    body = glob_regex(pattern.removeprefix("/"))
    return body if "/" in pattern else f"(?:.*/)?{body}"
