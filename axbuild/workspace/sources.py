"""Paths, folders and globs of a BUILD file -> the files they mean now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from unicodedata import normalize

from axbuild.errors import AxError
from axbuild.workspace.artifact import SourceFiles
from axbuild.workspace.attributes import Companions, did_you_mean
from axbuild.workspace.disk import (
    BROKEN_LINK,
    BUILD_FILE,
    FILE,
    FOLDER,
    LINKED_FOLDER,
    SPECIAL,
    Disk,
    join,
    kind,
    parent,
)
from axbuild.workspace.glob import glob_regex
from axbuild.workspace.ignore import OUTPUTS, Ignore

_GLOB = re.compile(r"[*?\[]")


class MissingSource(AxError):
    code = "AX109"


class BrokenLink(MissingSource):
    def __init__(self, path: str) -> None:
        hint = "fetch what it should lead to, remove it, or list it in .axbuildignore"
        super().__init__(f"the link '{path}' leads to no file", hint=hint)


class ForbiddenSource(AxError):
    code = "AX110"


class NoFiles(AxError):
    code = "AX111"


def find_sources(
    disk: Disk, ignore: Ignore, package: str, items: list[str], one_file: bool, companions: Companions | None
) -> SourceFiles:
    """The artifact that paths and globs of a package mean.

    One path of a file is a single file; all else is a tree, its names counted from the deepest folder
    that every item shares (so that moving the files together renames nothing).
    """
    found: dict[str, None] = {}
    bases = []
    for item in items:
        base, paths = _item(disk, ignore, package, item, one_file)
        bases.append(base)
        found.update(dict.fromkeys(paths))
    paths = list(found)
    _check_names(paths)
    beside = [path for own in paths for path in companions(disk, own)] if companions else []
    if not beside and len(items) == 1 and kind(disk, _inside(package, items[0])) == FILE:
        return SourceFiles(((paths[0].rpartition("/")[2], paths[0]),))
    base = _shared(bases)
    start = len(base) + 1 if base else 0
    return SourceFiles(tuple(sorted((path[start:], path) for path in {*paths, *beside})), tree=True)


def _check_names(paths: list[str]) -> None:
    """Names go into keys and records, which are UTF-8."""
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ForbiddenSource(f"the name of the file {path!a} is not UTF-8") from None


def _item(disk: Disk, ignore: Ignore, package: str, item: str, one_file: bool) -> tuple[str, list[str]]:
    """(folder that names are counted from, paths) of one path or glob."""
    path = _inside(package, item)
    what = kind(disk, path)
    _check_package(disk, package, item, path if what in (FOLDER, LINKED_FOLDER) else parent(path))
    if what == FILE:
        return parent(path), [path]
    if what == BROKEN_LINK:
        raise BrokenLink(path)
    if what == SPECIAL:
        raise MissingSource(f"'{item}' is a pipe, a socket or a device, and a source is a plain file")
    if one_file:
        raise _missing(disk, package, item, path) if what is None else NoFiles(f"'{item}' is a folder, not a file")
    if what is None and not _GLOB.search(item):
        raise _missing(disk, package, item, path)
    base = path if what else _literal_folder(disk, path)
    pattern = None if what else re.compile(re.escape(base) + glob_regex(path[len(base) :]))
    paths = [found for found in walk(disk, ignore, base) if pattern is None or pattern.fullmatch(found)]
    for found in paths:
        if kind(disk, found) == BROKEN_LINK:
            raise BrokenLink(found)
    if not paths:
        raise NoFiles(f"the folder '{item}' holds no file" if what else f"no file matches '{item}'")
    return base, paths


def walk(disk: Disk, ignore: Ignore, folder: str) -> list[str]:
    """Every file and broken link below a folder that is neither ignored nor in a package below, sorted.

    Links to folders are followed; one that leads back to where it lies, or to what builds write, is an error.
    """
    found: list[str] = []
    todo: list[tuple[str, tuple[str, ...]]] = [(folder, ())]
    while todo:
        here, behind = todo.pop()
        listing = disk.listing(here)
        if here != folder and listing.get(BUILD_FILE) == FILE:
            continue
        for name, what in listing.items():
            path = join(here, name)
            if what == FOLDER and not ignore.folder(path):
                todo.append((path, behind))
            elif what == LINKED_FOLDER and not ignore.folder(path):
                passed = (*behind, disk.real(here))
                check_link(disk, ignore, path, passed)
                todo.append((path, passed))
            elif what in (FILE, BROKEN_LINK) and not ignore.file(path):
                found.append(path)
    return sorted(found)


def check_link(disk: Disk, ignore: Ignore, path: str, passed: Iterable[str]) -> None:
    """Refuse a link that walks may not follow. passed: the real folders in which it and those before it lie."""
    target = disk.real(path)
    hint = "remove it, or list it in .axbuildignore"
    if target in ("", "/") or any(f"{folder}/".startswith(f"{target}/") for folder in passed):
        raise ForbiddenSource(f"the link '{path}' leads back to a folder that it lies in", hint=hint)
    if ignore.is_own(target):
        raise ForbiddenSource(f"the link '{path}' leads to what builds write, {target}", hint=hint)


def _inside(package: str, item: str) -> str:
    if item.startswith(("/", "~")) or "\\" in item or "\0" in item:
        raise ForbiddenSource(f"'{item}' is not a path inside the package")
    path = os.path.normpath(join(package, item))
    path = "" if path == "." else path
    if path.startswith("..") or (package and path != package and not path.startswith(f"{package}/")):
        hint = "declare a filegroup in that folder's package and name its label"
        raise ForbiddenSource(f"'{item}' leaves the package //{package}", hint=hint)
    if path == OUTPUTS or path.startswith(f"{OUTPUTS}/"):
        raise ForbiddenSource(f"'{item}' is an output of a build", hint="name the label of the target that makes it")
    return path


def _check_package(disk: Disk, package: str, item: str, folder: str) -> None:
    """A path may not lead into a package below: its files are that package's to offer."""
    while folder != package and folder:
        if disk.listing(folder).get(BUILD_FILE) == FILE:
            hint = f"declare a filegroup in //{folder} and name its label"
            raise ForbiddenSource(f"'{item}' belongs to the package //{folder}", hint=hint)
        folder = parent(folder)


def _missing(disk: Disk, package: str, item: str, path: str) -> MissingSource:
    folder, _, name = path.rpartition("/")
    twins = [other for other in disk.listing(folder) if normalize("NFC", other) == normalize("NFC", name)]
    if twins:
        hint = f"'{twins[0]}' looks the same and is written with other characters (Unicode NFC and NFD); rename it"
    else:
        hint = did_you_mean(name, disk.listing(folder))
    where = f"//{package}" if package else "the workspace's root package"
    return MissingSource(f"there is no '{item}' in {where}", hint=hint)


def _literal_folder(disk: Disk, pattern: str) -> str:
    """The part of a glob before the first component that matches more than one name; a folder that is called so is
    meant itself, whatever brackets are in its name."""
    base = ""
    for part in pattern.split("/")[:-1]:
        here = join(base, part)
        if _GLOB.search(part) and kind(disk, here) not in (FOLDER, LINKED_FOLDER):
            break
        base = here
    return base


def _shared(folders: list[str]) -> str:
    shared = folders[0].split("/") if folders[0] else []
    for folder in folders[1:]:
        parts = folder.split("/") if folder else []
        same = 0
        while same < min(len(parts), len(shared)) and parts[same] == shared[same]:
            same += 1
        shared = shared[:same]
    return "/".join(shared)
