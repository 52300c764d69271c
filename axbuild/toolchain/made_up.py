"""Values made up for a tensor that nobody has data for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from axbuild.toolchain.graph import Array


def made_up(rng: np.random.Generator, dtype: DTypeLike, shape: Sequence[int], below: int | None = None) -> Array:
    """Reals from the standard normal distribution; truth values; whole numbers from 0 up to and without `below`. Where
    that is None, of 8 and 16 bits every value of the type, and of wider ones 0 or 1, which ids, masks and positions all
    take."""
    kind = np.dtype(dtype)
    if kind == np.float32:
        return rng.standard_normal(shape, dtype=np.float32)
    if kind.kind == "f":
        return rng.standard_normal(shape).astype(kind)
    if kind.kind == "b":
        return rng.integers(2, size=shape, dtype=np.int8).astype(kind)
    if below is None and kind.itemsize <= 2:
        info = np.iinfo(kind)
        return rng.integers(info.min, info.max, shape, kind, endpoint=True)
    return rng.integers(2 if below is None else below, size=shape, dtype=kind)
