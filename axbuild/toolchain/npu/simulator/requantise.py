"""From exact sums to codes."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array


def multipliers(packed: Array) -> Array:
    """float64 of packed multipliers: uint32 words m + t 2^24 stand for m 2^-t, float64 for itself."""
    if packed.dtype != np.uint32:
        return packed
    return np.ldexp((packed & 0xFFFFFF).astype(np.float64), -(packed >> 24).astype(np.int64))


def requantise(acc: Array, multiplier: Array | float, zero: int, lo: int, hi: int, target: Array) -> None:
    """target = clamp(zero + floor(f64(acc) multiplier + 0.5)); acc: any dtype whose values float64 holds."""
    real = np.multiply(acc, multiplier, dtype=np.float64)
    real += 0.5
    np.floor(real, out=real)
    real += zero
    np.clip(real, lo, hi, out=real)
    target[...] = real
