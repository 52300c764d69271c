"""What is written of a snapshot: its file, the stored graph beside it, and the list of the keys that they cover.

Each is replaced at once. The list comes first, so that nobody collects what a snapshot covers, and the snapshot last:
it names its graph by checksum, so that one which a killed build left of another is not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from axbuild.engine.noop.snapshot import YOUNG, Found, Snapshot

if TYPE_CHECKING:
    from axbuild.engine.noop.stored import StoredGraph

KEYS_FORMAT = "axbuild-snapshot-keys/1"
KEPT = 50
"""Requests that are remembered, a snapshot each."""
ENDING = ".graph"
"""of the file beside a snapshot"""


def keep(path: str, snapshot: Snapshot, graph: StoredGraph) -> bool:
    """Write a snapshot with this graph; False where the disk refuses the list of its keys, or the graph."""
    if not write_keys(Path(os.fsdecode(snapshot.texts["keys"])), path, graph.keys):
        return False
    checksum = graph.write(path)
    if checksum is None:
        return False
    snapshot.graph = checksum
    write(path, snapshot)
    return True


def write_keys(file: Path, path: str, keys: bytes | memoryview) -> bool:
    """Say which keys the snapshot at `path` covers, a line each. False where the cache cannot be written: there must
    be no snapshot then, since nothing would protect what it covers from collection."""
    return replace(file, [os.fsencode(f"{KEYS_FORMAT}\n{path}\n"), keys])


def write(path: str, snapshot: Snapshot) -> None:
    """A disk that refuses leaves the next build without what is new, and that is all."""
    replace(Path(path), snapshot.encode())


def replace(file: Path, pieces: Iterable[bytes | bytearray | memoryview]) -> bool:
    """Write a file and put it in its place at once; whether the disk took it."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as out:
            out.writelines(pieces)
        beside.replace(file)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        return False
    return True


def renew(found: Found, snapshot: Snapshot) -> None:
    """Write down the signatures that have come of age, so that the next look has no digest to make."""
    freshen(found, snapshot)
    write(found.file, snapshot)


def freshen(found: Found, snapshot: Snapshot) -> None:
    """Put the signatures of now in place of those that changed without their content."""
    aged = set(found.aged)
    for number, signature in found.fresh.items():
        flags = snapshot.flags[number] & ~YOUNG | (0 if number in aged else YOUNG)
        snapshot.put(number, flags, signature, snapshot.digest(number))


def prune(snapshots: Path, keys: Path) -> None:
    """Keep the newest snapshots, and the graphs and lists of keys of those alone."""
    with suppress(OSError):  # another build prunes as well
        found = [file for file in snapshots.iterdir() if not file.suffix]
        files = sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[KEPT:]:
            file.unlink()
        kept = {file.name for file in files[:KEPT]}
        for file in (*keys.glob("*.keys"), *snapshots.glob(f"*{ENDING}")):
            if file.stem not in kept:
                file.unlink()
