"""Plain values as bytes and back; paths are bytes, and those that are no UTF-8 keep theirs."""

from __future__ import annotations

from typing import Any

import msgpack

_PATHS = "surrogateescape"


def pack(value: object) -> bytes:
    return bytes(msgpack.packb(value, unicode_errors=_PATHS))


def unpack(data: bytes | memoryview, *, lists: bool = True) -> Any:
    """Tuples come back as lists, or lists as tuples."""
    return msgpack.unpackb(data, unicode_errors=_PATHS, strict_map_key=False, use_list=lists)
