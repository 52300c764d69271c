"""A tensor made up: the same bytes for the same key, every time and everywhere."""

from __future__ import annotations

import hashlib

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor


def generator(key: str) -> np.random.Generator:
    """A source of random numbers that is the key's own."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:8]))


def random_array(tensor: BoundaryTensor, count: int, key: str) -> Array:
    """Reals from the standard normal distribution; of 8 and 16 bits every value of the type; wider integers 0 or 1,
    which ids, masks and positions all take. A size that the model leaves open is 1."""
    rng = generator(key)
    shape = tuple(1 if size == FROM_DATA else size for size in tensor.at_batch(count))
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b" or dtype.itemsize > 2:
        return rng.integers(0, 2, shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
