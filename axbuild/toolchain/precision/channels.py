"""How alike two tensors are channel by channel, over any number of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.likeness import cosine_from


class ChannelSums:
    """Sums of a a, b b and a b of each channel of an output.

    Channels are axis 1 of rank 4 (NCHW), elsewhere the last axis; an output of rank 0 or 1, or with channels whose
    number depends on data, is one.
    """

    def __init__(self, shape: Sequence[int | str | None]) -> None:
        axis = 1 if len(shape) == 4 else len(shape) - 1
        self.axis = axis if len(shape) > 1 and isinstance(shape[axis], int) else None
        self.sums: Array = np.zeros((3, 1))

    def add(self, a: Array, b: Array) -> None:
        """One more sample."""
        x, y = (self._rows(array.astype(np.float64)) for array in (a, b))
        self.sums = self.sums + np.stack([(x * x).sum(axis=1), (y * y).sum(axis=1), (x * y).sum(axis=1)])

    def _rows(self, array: Array) -> Array:
        """[c, n]"""
        if self.axis is None:
            return array.reshape(1, -1)
        channels = np.moveaxis(array, self.axis, 0)
        return channels.reshape(len(channels), -1)

    def cosines(self) -> list[float]:
        """One a channel; -1 where a value was not finite."""
        rows = (tuple(map(float, row)) for row in self.sums.T)
        return [round(cosine_from(*row), 9) if np.isfinite(row).all() else -1.0 for row in rows]
