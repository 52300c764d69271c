"""The scratch folder of an action: declared inputs in, declared outputs out, nothing shared.

Inputs appear under the name of their role (`in/<role>`, the members of a list as `in/<role>.0000`): what a source
is called stands in nobody's key, so no stage may see it. Only the files of a tree keep their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from axbuild.dataclass import dataclass
from axbuild.errors import AxError
from axbuild.store.blobs import Blobs
from axbuild.store.digests import digest_of_file
from axbuild.store.faults import told_as_store_errors
from axbuild.store.names import is_inside
from axbuild.store.reflink import clone_or_copy
from axbuild.store.statcache import StatCache
from axbuild.workspace.stage import Stage


class InputChanged(AxError):
    code = "AX560"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} changed while the build ran", hint="build again when it has come to rest")


class NameLeavesFolder(AxError):
    """The last wall: whoever made the name should have refused it."""

    code = "AX505"

    def __init__(self, name: str) -> None:
        super().__init__(f"a tree holds a file called {name!a}, which is no path inside a folder")


@dataclass(frozen=True)
class FileInput:
    """A file by its SHA-256: the blob, or the workspace's file `source` that had this content."""

    digest: str
    source: Path | str | None = None


@dataclass(frozen=True)
class TreeInput:
    """A folder: relative name -> file."""

    files: Mapping[str, FileInput]


Input = FileInput | TreeInput


def prepare(
    scratch: Path, inputs: Mapping[str, Input | Sequence[Input]], blobs: Blobs, stat: StatCache
) -> dict[str, str | list[str]]:
    """Lay the inputs out below `scratch`, each a copy of its own; raises InputChanged, BlobLost and DiskFull."""
    with told_as_store_errors(scratch):
        return {role: _lay_role(f"{scratch}/in/{role}", value, blobs, stat) for role, value in inputs.items()}


def collect(scratch: Path, stage: Stage, blobs: Blobs) -> dict[str, str | dict[str, str]]:
    """Move the outputs into the store: name -> SHA-256, for a tree {file: SHA-256} sorted by name."""
    out = f"{scratch}/out"
    return {
        name: _take_tree(Path(out, name), blobs) if name.endswith("/") else blobs.add_file(f"{out}/{name}")
        for name in stage.writes
    }


def _lay_role(target: str, value: Input | Sequence[Input], blobs: Blobs, stat: StatCache) -> str | list[str]:
    if isinstance(value, FileInput | TreeInput):
        _lay(target, value, blobs, stat)
        return target
    members = [f"{target}.{number:04}" for number in range(len(value))]
    for member, one in zip(members, value, strict=True):
        _lay(member, one, blobs, stat)
    return members


def _lay(target: str, value: Input, blobs: Blobs, stat: StatCache) -> None:
    if isinstance(value, FileInput):
        _lay_file(target, value, blobs, stat)
        return
    Path(target).mkdir()
    for name, file in value.files.items():
        if not is_inside(name):
            raise NameLeavesFolder(name)
        place = Path(target, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        _lay_file(str(place), file, blobs, stat)


def _lay_file(target: str, file: FileInput, blobs: Blobs, stat: StatCache) -> None:
    if file.source is None:
        blobs.materialise(file.digest, target)
        return
    try:
        clone_or_copy(file.source, target)
    except FileNotFoundError:
        raise InputChanged(Path(file.source)) from None
    # Unchanged after the copy means unchanged during it; a file too young to tell is judged by the copy's bytes.
    if stat.surely(file.source, file.digest):
        return
    if not stat.unchanged(file.source, file.digest) or digest_of_file(target) != file.digest:
        raise InputChanged(Path(file.source))


def _take_tree(folder: Path, blobs: Blobs) -> dict[str, str]:
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if not path.is_dir())
    return {name: blobs.add_file(path) for name, path in files}
