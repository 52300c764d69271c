"""Geometry of transposed convolutions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Array


@dataclass(frozen=True)
class Phases:
    """One axis of a transposed convolution as a convolution that makes `stride` elements at once.

    taps: of each of them. y[o] = sum over i of w[o + pad - stride i] x[i], and with o + pad = stride j + r this is
    sum over t of w[r + stride t] x[j - t]: phase r of output j. pads: begin and end, of the convolution over j.
    count: how many j there are; start: where the output begins in their elements.
    """

    stride: int
    taps: int
    pads: tuple[int, int]
    count: int
    start: int

    @classmethod
    def of(cls, kernel: int, stride: int, pad: int, size: int, out: int) -> Phases:
        taps = -(-kernel // stride)
        before = max(taps - 1 - pad // stride, 0)
        first, last = taps - 1 - before, (out - 1 + pad) // stride
        after = max(last + 1 - size, 0)
        return cls(stride, taps, (before, after), size + before + after - taps + 1, pad - stride * first)

    def apart(self, weight: Array, axis: int) -> Array:
        """The weight with [taps, stride] in the place of its kernel along an axis; taps run against the input."""
        kernel = weight.shape[axis]
        more = [(0, 0)] * weight.ndim
        more[axis] = (0, self.taps * self.stride - kernel)
        shape = (*weight.shape[:axis], self.taps, self.stride, *weight.shape[axis + 1 :])
        return np.flip(np.pad(weight, more).reshape(shape), axis)
