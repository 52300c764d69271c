"""A tensor made up: the same bytes for the same key, every time and everywhere."""

from __future__ import annotations

import hashlib

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.made_up import made_up
from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor


def generator(key: str) -> np.random.Generator:
    """A source of random numbers that is the key's own."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:8]))


def random_array(tensor: BoundaryTensor, count: int, key: str) -> Array:
    """As `made_up`; a size that the model leaves open is 1."""
    shape = tuple(1 if size == FROM_DATA else size for size in tensor.at_batch(count))
    return made_up(generator(key), tensor.dtype, shape)
