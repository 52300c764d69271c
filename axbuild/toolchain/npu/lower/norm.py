"""Normalisation as jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.norm import LayerNorm, OverLastAxes
from axbuild.toolchain.npu.lower.attr import KernelAttr, mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Part, Work, little_endian, onnx_order, sources


@dataclass(frozen=True)
class NormAttr(KernelAttr):
    """Of the last `axes` axes in ONNX order. subtract_mean, exact: 0 or 1; m 2^-t: what is added to the variance;
    x_zero, y_zero: codes of 0.0; lo, hi: the clamp."""

    axes: int
    subtract_mean: int
    exact: int
    m: int
    t: int
    x_zero: int
    y_zero: int
    lo: int
    hi: int


def _norm(kind: LayerNorm, geometry: Geometry, out: Box) -> list[Work]:
    how = kind.axes, int(kind.subtract_mean), int(kind.exact)
    attr = NormAttr(*how, *mantissa(kind.epsilon), kind.x.zero, kind.y.zero, kind.lo, kind.hi)
    target = Part(out, onnx_order(geometry.output))
    return [Work("norm", kind.job, sources(kind, geometry, out, ordered=True), target, True, attr)]


def pack_norm(kind: OverLastAxes, block: int, rank: int) -> Pack:
    """float64 [2, ...]: gains, then biases, as they broadcast to the last axes."""
    return Pack(little_endian(np.stack([kind.gain, kind.bias])), (-1,) * (kind.axes + 1))


NORM = Lowering(_norm, pack_norm)
