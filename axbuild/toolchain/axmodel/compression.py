"""`enable_data_soft_compression`: parameters and programs as zstd frames, opened when the file is read.

Every size is stated beside the frames and held against them, so that a file takes no more memory than it says, and
never more than one without compression could.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import zstandard

from axbuild.errors import AxError

LEVEL = 9
"""higher ones take ten times as long for weights, which are nearly noise, and save less than 1 % of them"""
LIMIT = 2**31 - 1
"""bytes of all contents together: protobuf's own limit for a file that holds them as they are"""


class CompressionError(AxError):
    """AX480: compressed contents that are not what the file says of them."""

    code = "AX480"


def compressed(content: bytes) -> bytes:
    """One frame; the same content is the same frame, for one version of the library."""
    return bytes(zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(content))


def opened(blobs: Mapping[str, bytes], sizes: Any) -> dict[str, bytes]:
    """The blobs with those of `sizes` (name -> bytes, from the file) decompressed; raises CompressionError."""
    if not isinstance(sizes, dict) or not all(type(size) is int and 0 <= size <= LIMIT for size in sizes.values()):
        raise CompressionError("the sizes of its compressed contents are no sizes")
    if sum(sizes.values()) > LIMIT:
        raise CompressionError(f"its compressed contents are {sum(sizes.values()):,} bytes, more than any file holds")
    if stray := sorted(sizes.keys() - blobs.keys()):
        raise CompressionError(f"the compressed '{stray[0]:.60}' is not there")
    return {name: _opened(name, blob, sizes[name]) if name in sizes else blob for name, blob in blobs.items()}


def _opened(name: str, frame: bytes, size: int) -> bytes:
    try:
        if zstandard.frame_content_size(frame) != size:
            raise CompressionError(f"the compressed '{name}' does not hold the {size:,} bytes that are stated")
        content = bytes(zstandard.ZstdDecompressor().decompress(frame, max_output_size=size, allow_extra_data=False))
    except zstandard.ZstdError:
        raise CompressionError(f"the compressed '{name}' is damaged") from None
    return content
