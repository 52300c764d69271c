"""Small files of our own state: msgpack behind a checksum, replaced as a whole.

What cannot be read back exactly as it was written (another version, a flipped bit, a torn file) is as good as
absent: every such file is a cache of something that can be found again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from axbuild.store.digests import fast_of_bytes
from axbuild.store.faults import told_as_store_errors
from axbuild.store.packed import pack, unpack
from axbuild.store.plain import read_plain

_CHECKSUM_BYTES = 16


def read_record(path: Path, version: int) -> Any | None:
    """The object in `path`, or None when there is none of this version, whole and undamaged."""
    try:
        data = read_plain(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    body = data[_CHECKSUM_BYTES:]
    if not body or fast_of_bytes(body) != data[:_CHECKSUM_BYTES]:
        return None
    try:
        found_version, value = unpack(body)
    except Exception:  # whatever msgpack raises for bytes that we did not write
        return None
    return value if found_version == version else None


def write_record(path: Path, version: int, value: Any) -> None:
    """Replace `path` at once; raises DiskFull or CacheNotWritable and leaves the old file then."""
    body = pack((version, value))
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with told_as_store_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(fast_of_bytes(body) + body)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
