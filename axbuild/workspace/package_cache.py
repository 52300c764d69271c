"""Parsed packages kept between builds, valid only for the same file, rules, defaults and code.

One file: a checksum of the rest (a damaged cache is made anew, never believed), then in msgpack what
everything depends on (a fingerprint) and for each package the fingerprint of its BUILD.toml and its
rows, packed apart so that a build of one label unpacks one package, with the fingerprints of the files beside it that
its tables were made of.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import msgpack
from xxhash import xxh3_128_digest

from axbuild.dataclass import dataclass
from axbuild.store.plain import read_plain
from axbuild.workspace.disk import Disk, Unreadable

Row = list[Any]
"""rule, header (`packages.Header`), name, values, number of own values, labels"""


@dataclass(frozen=True)
class KeptPackage:
    """What a package came to. texts: path of each file beside it that counts -> digest of its bytes; told: target ->
    (code, sentence) of each warning that is told with it."""

    rows: list[Row]
    texts: dict[str, bytes]
    told: dict[str, list[list[str]]]


def _code_fingerprint() -> bytes:
    folder = Path(__file__).parent
    return b"".join(xxh3_128_digest(path.read_bytes()) for path in sorted(folder.glob("*.py")))


class PackageCache:
    """get and put rows by package; `save` writes them back if anything changed."""

    def __init__(self, path: Path, rules_digest: str, defaults: dict[str, Any]) -> None:
        self._path = path
        settled = json.dumps(defaults, sort_keys=True, default=str)
        self._fingerprint = xxh3_128_digest(_code_fingerprint() + rules_digest.encode() + settled.encode())
        self._packages: dict[str, list[Any]] = self._read()
        self._changed = False

    def _read(self) -> dict[str, list[Any]]:
        try:
            stored = read_plain(self._path)
        except OSError:
            return {}
        checksum, packed = stored[:16], stored[16:]
        if checksum != xxh3_128_digest(packed):
            return {}
        fingerprint, packages = msgpack.unpackb(packed)
        return packages if fingerprint == self._fingerprint else {}

    def get(self, package: str, text: bytes, disk: Disk) -> KeptPackage | None:
        """What the package came to, if it was kept for this BUILD file and for the files beside it as they are now."""
        entry = self._packages.get(package)
        if entry is None or entry[0] != xxh3_128_digest(text):
            return None
        texts: dict[str, bytes] = entry[2]
        try:
            if any(xxh3_128_digest(disk.read(path)) != digest for path, digest in texts.items()):
                return None
        except Unreadable:
            return None
        return KeptPackage(msgpack.unpackb(entry[1]), texts, entry[3])

    def put(self, package: str, text: bytes, kept: KeptPackage) -> None:
        self._packages[package] = [xxh3_128_digest(text), msgpack.packb(kept.rows), kept.texts, kept.told]
        self._changed = True

    def save(self) -> None:
        """Write the cache for the next build; where the disk refuses, that build parses again."""
        if not self._changed:
            return
        packed = msgpack.packb([self._fingerprint, self._packages])
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                beside.write_bytes(xxh3_128_digest(packed) + packed)
                beside.replace(self._path)
            finally:
                beside.unlink(missing_ok=True)
            self._changed = False
