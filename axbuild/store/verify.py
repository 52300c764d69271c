"""Reads everything in a cache and says what is damaged; with `repair`, removes that and nothing else.

A build needs none of this: it checks what it reads, and makes again what it finds damaged. This finds the rest, before
it is needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from axbuild.dataclass import dataclass, field
from axbuild.errors import AxError
from axbuild.store.digests import fast_of_bytes, fingerprint_of_file, is_digest
from axbuild.store.faults import RefusedRow
from axbuild.store.gc import KEYS_MAGIC
from axbuild.store.result import digests_of, result_of
from axbuild.store.rows import Identity, NoRows, NothingThere
from axbuild.store.store import Store

FINGERPRINTS = "fingerprints"
_CHECKSUM_BYTES = 16


class CacheDamaged(AxError):
    code = "AX907"

    def __init__(self, number: int, folder: str) -> None:
        what = "one thing is damaged" if number == 1 else f"{number} things are damaged"
        super().__init__(
            f"{what} in the cache in {folder}",
            hint="builds make again what they need of it; `axbuild cache verify --repair` removes it now",
        )


@dataclass(frozen=True)
class Damage:
    """kind: blob, fingerprint, row, database, state or stray. name: a file in the cache, or a row's name.

    makers: who would make a blob again, as "label action".
    """

    kind: str
    name: str
    what: str
    repair: str
    makers: tuple[str, ...] = ()


@dataclass
class Verification:
    """collected: results, still known for `why`, whose blobs were removed in good order."""

    blobs: int = 0
    bytes: int = 0
    results: int = 0
    collected: int = 0
    findings: list[Damage] = field(default_factory=list)


def verify(store: Store, repair: bool = False) -> Verification:
    """Check every blob by SHA-256, every row and every state file."""
    verdict = Verification()
    makers, refused = _rows(store, verdict)
    for path in sorted(store.blobs.folder.glob("*/*")):
        _blob(store, path, verdict, makers, repair)
    for folder in sorted((store.directory / "workspaces").iterdir()):
        _state(store, folder, verdict, repair)
    if repair and any(finding.kind == "database" for finding in verdict.findings):
        store.results.put_aside("found by cache verify")
    elif repair and refused:
        store.results.forget(refused)
    return verdict


def _rows(store: Store, verdict: Verification) -> tuple[dict[str, list[str]], list[Identity]]:
    """Digest -> the outputs it stands for, as far as some workspace has them now; and the refused rows."""
    try:
        rows = store.results.rows()
    except NothingThere:
        return {}, []
    except NoRows as error:
        verdict.findings.append(_database(str(error)))
        return {}, []
    refused: list[Identity] = []
    keys: dict[str, tuple[str, ...]] = {}
    lasts: list[tuple[str, str]] = []
    try:
        damage = rows.damage()
        if damage:
            verdict.findings.append(_database(damage))
        for row in rows.all():
            try:
                if row.name is None:
                    raise RefusedRow(row.text)
                value = row.value()
                kind, _, rest = row.name.partition("/")
                result = result_of(value) if kind == "result" else None
            except RefusedRow as error:
                refused.append(row.identity)
                name = " ".join((row.name or f"row {row.identity[0]}").split("\n"))
                verdict.findings.append(Damage("row", name, str(error), "removed; its action runs again"))
                continue
            if result is not None:
                keys[rest] = tuple(digests_of(result.outputs))
            elif kind == "last" and isinstance(value, str):
                lasts.append((rest.partition("/")[2].replace("\n", " "), value))
    except NoRows as error:
        if not any(finding.kind == "database" for finding in verdict.findings):
            verdict.findings.append(_database(str(error)))
    finally:
        rows.close()
    verdict.results = len(keys)
    verdict.collected = sum(any(not store.blobs.path(d).exists() for d in digests) for digests in keys.values())
    makers: dict[str, list[str]] = {}
    for who, key in lasts:
        for digest in keys.get(key, ()):
            makers.setdefault(digest, []).append(who)
    return makers, refused


def _database(what: str) -> Damage:
    return Damage("database", "results", what, "put aside; every action runs again")


def _blob(store: Store, path: Path, verdict: Verification, makers: dict[str, list[str]], repair: bool) -> None:
    name = path.relative_to(store.directory).as_posix()
    if path.name == FINGERPRINTS:
        return
    if not is_digest(path.name) or path.parent.name != path.name[:2] or path.is_symlink() or not path.is_file():
        verdict.findings.append(Damage("stray", name, "is no blob", "left alone"))
        return
    try:
        found = fingerprint_of_file(path)
    except FileNotFoundError:
        return  # collected meanwhile
    except OSError as error:
        found = None
        what = f"cannot be read: {error.strerror}"
    else:
        what = "its bytes are not those of its SHA-256"
    verdict.blobs += 1
    if found is not None and found.digest == path.name:
        verdict.bytes += found.size
        if store.blobs.fingerprint_is_wrong(found):
            verdict.findings.append(Damage("fingerprint", name, "its fast fingerprint is wrong", "written anew"))
            if repair:
                store.blobs.note(found)
        return
    who = tuple(sorted(set(makers.get(path.name, ()))))
    verdict.findings.append(Damage("blob", name, what, "removed; it is made again when it is needed", who))
    if repair:
        path.unlink(missing_ok=True)


def _state(store: Store, folder: Path, verdict: Verification, repair: bool) -> None:
    for path, what in _damaged_state(folder):
        name = path.relative_to(store.directory).as_posix()
        verdict.findings.append(Damage("state", name, what, "removed; the next build finds out anew"))
        if repair:
            path.unlink(missing_ok=True)


def _damaged_state(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.glob("*.msgpack")):
        data = path.read_bytes()
        if fast_of_bytes(data[_CHECKSUM_BYTES:]) != data[:_CHECKSUM_BYTES]:
            yield path, "its checksum does not fit"
    for path in sorted(folder.glob("snapshots/*.keys")):
        lines = path.read_bytes().split(b"\n")
        keys = [os.fsdecode(line) for line in lines[2:] if line]
        if lines[0] != KEYS_MAGIC.encode() or not all(map(is_digest, keys)):
            yield path, "it is no list of keys"
    for path in sorted(folder.glob("builds/*.jsonl")):
        # The last line of a build that was killed may be cut short.
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                json.loads(line)
            except ValueError:
                yield path, "a line of it is no event"
                break
