"""Multipliers among packed constants."""

from __future__ import annotations

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import by_ratio, splits
from axbuild.toolchain.kinds.codes import Edge
from axbuild.toolchain.npu.lower.base import little_endian


def multiplier_type(*edges: Edge) -> str:
    """numpy's name of the type in which multipliers between tensors of these types are packed."""
    return "float64" if by_ratio(*edges) else "uint32"


def packed_multipliers(multiplier: Array, *edges: Edge) -> Array:
    """Same shape: uint32 words m + t 2^24 between tensors of 8 bits (m has at most 23), float64 for all others."""
    if by_ratio(*edges):
        return little_endian(multiplier)
    m, t = splits(multiplier)
    words: Array = (m | t << 24).astype("<u4")
    return words
