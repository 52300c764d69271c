"""Which target put which file into `axbuild-out/`: a list a target, in `axbuild-out/.axbuild/`.

`//a:b` and every target of the package `//a/b` share the folder `axbuild-out/a/b/`, so a path alone does not tell
whose file it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from axbuild.store.plain import read_plain
from axbuild.workspace.label import split

FOLDER = "axbuild-out"
OWN = ".axbuild"


def manifest_of(root: Path, label: str) -> str:
    """Where the list of a target's files stands."""
    package, name = split(label)
    return "/".join(part for part in (str(root), FOLDER, OWN, package, f"{name}.json") if part)


def listed(manifest: str) -> set[str]:
    """The files of a list, relative to the target's folder; none where it is missing or damaged."""
    try:
        names = json.loads(read_plain(manifest))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def claimants(root: Path) -> list[str]:
    """The labels of all targets that have a list, sorted."""
    own = root / FOLDER / OWN
    paths = [path.relative_to(own).with_suffix("") for path in own.rglob("*.json")]
    return sorted(f"//{'' if path.parent == Path() else path.parent.as_posix()}:{path.name}" for path in paths)


def owner_of(root: Path, path: str, label: str) -> str:
    """Another target than `label` on whose list the file is, or ""; `path` is relative to the output folder."""
    parts = path.split("/")
    for at in range(len(parts) - 1):
        other = f"//{'/'.join(parts[:at])}:{parts[at]}"
        if other != label and "/".join(parts[at + 1 :]) in listed(manifest_of(root, other)):
            return other
    return ""


def owners_below(root: Path, folder: str, label: str) -> Iterator[str]:
    """Other targets that have files in a folder (relative to the output folder)."""
    for where, _, names in os.walk(root / FOLDER / folder):
        inside = Path(where).relative_to(root / FOLDER).as_posix()
        for name in names:
            if owner := owner_of(root, f"{inside}/{name}", label):
                yield owner
