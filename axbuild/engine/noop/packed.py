"""The plain values of a snapshot as bytes; names of files that are no UTF-8 keep theirs."""

from __future__ import annotations

from typing import Any

import msgpack

_PATHS = "surrogateescape"


def pack(value: object) -> bytes:
    return bytes(msgpack.packb(value, unicode_errors=_PATHS))


def unpack(data: bytes) -> Any:
    return msgpack.unpackb(data, unicode_errors=_PATHS, strict_map_key=False)
