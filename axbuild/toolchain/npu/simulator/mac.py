"""Multiply-accumulates: exact integers carried in floating point, and requantised in float64.

In 8 bits products are summed in float32, exactly, in any order, while sum |w| max|x - zero| < 2^24; where a channel's
real weights do not prove that, the reduction is cut into parts that hold for any weights and the parts are added in
float64. With a 16-bit operand all is float64: lowering proved that every accumulator stays below 2^52. Work proceeds
in blocks of output rows small enough for the cache, because the requantisation is bound by memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.mac import INT4, ConvAttr, MatMulAttr, WeightedAttr
from axbuild.toolchain.npu.simulator.base import KeepingKernel, Kept, Kernel
from axbuild.toolchain.npu.simulator.requantise import multipliers, requantise
from axbuild.toolchain.npu.simulator.window import PixelLines, centred, windows

EXACT_FLOAT32 = 1 << 24
LARGEST = 1 << 8
"""magnitude that no weight of 8 bits has, less its zero or not"""
SAFE_PRODUCTS = EXACT_FLOAT32 // (LARGEST << 8)
"""of such a weight and a centred code, which sum exactly in float32 whatever they are"""
BLOCK_ELEMENTS = 1 << 19
FUSED_SHIFT = 43


def peak_of(x: Array, zero: int) -> int:
    """Largest |code - zero| of x's type."""
    codes = np.iinfo(x.dtype)
    return max(zero - int(codes.min), int(codes.max) - zero)


@dataclass(frozen=True)
class Weights:
    """One job's constants beside codes whose largest distance from their zero is `peak`.

    values: [co, products of an output], float32 where operands have 8 bits, else float64; bias, scale: [co] as packed.
    """

    values: Array
    bias: Array
    scale: Array
    peak: int

    @classmethod
    def unpack(cls, blocks: Array, channels: int, depth: int, x: Array, attr: WeightedAttr) -> Weights:
        """blocks: uint8 [n, bytes of a block]; channels <= n attr.block; x: the codes."""
        packed = blocks.view(attr.block_type(depth)).reshape(-1)
        work = np.float32 if x.itemsize == packed["weight"].itemsize == 1 else np.float64
        codes = packed["weight"].reshape(len(packed) * attr.block, -1)[:channels]
        values = (whole(codes, depth) if attr.weight == INT4 else codes).astype(work)
        if attr.zero:
            values -= packed["zero"].reshape(-1, 1)[:channels]
        bias, scale = (packed[name].reshape(-1)[:channels] for name in ("bias", "scale"))
        return cls(values, bias, scale, peak_of(x, attr.x_zero))

    @property
    def part(self) -> int:
        """Products that are summed at once."""
        depth = int(self.values.shape[1])
        if self.values.dtype == np.float64 or depth * LARGEST * self.peak < EXACT_FLOAT32:
            return depth
        largest = np.abs(self.values).sum(axis=1, dtype=np.float64).max()
        return depth if largest * self.peak < EXACT_FLOAT32 else SAFE_PRODUCTS


def whole(halves: Array, depth: int) -> Array:
    """int8 [n, depth] of codes of 4 bits, two a byte, the first in the low half."""
    codes = np.stack([halves << 4, halves & 0xF0], axis=2).reshape(len(halves), -1)[:, :depth]
    signed: Array = codes.view(np.int8) >> 4
    return signed


class Finish:
    """From the accumulators of one job to its output, each step exact or in the written order.

    To codes: clamp(zero + floor((acc + bias) M + 0.5)), or with a bias in steps of the output, float64,
    clamp(zero + floor(acc M + bias + 0.5)). To float32: f32(f64(acc) M), plus the bias.
    """

    def __init__(self, weights: Weights, attr: WeightedAttr, y: Array, pixels: int = 1) -> None:
        """pixels: side by side in a line of accumulators, where each has the channels' constants of its own."""
        self.attr, self.dtype = attr, y.dtype
        self.bias, self.multiplier = weights.bias, multipliers(weights.scale)
        self.in_order = np.flatnonzero(~_fuses(weights))
        self.line = np.tile(self.multiplier, pixels)
        self.offset = np.tile(self.bias * self.multiplier + (0.5 + attr.y_zero), pixels)

    def __call__(self, acc: Array) -> Array:
        """acc: [.., pixels of a line * co]."""
        if self.dtype == np.float32:
            return self._reals(acc)
        real = acc.astype(np.float64)
        real *= self.line
        real += self.offset
        if self.in_order.size:
            channels = (-1, len(self.bias))
            real.reshape(channels)[:, self.in_order] = self._in_order(acc.reshape(channels)[:, self.in_order])
        np.clip(real, self.attr.lo, self.attr.hi, out=real)
        if self.attr.lo < 0:
            np.floor(real, out=real)  # elsewhere the cast does
        codes: Array = real.astype(self.dtype)
        return codes

    def _in_order(self, acc: Array) -> Array:
        """Those channels whose steps round."""
        real, bias, multiplier = acc.astype(np.float64), self.bias[self.in_order], self.multiplier[self.in_order]
        if bias.dtype == np.float64:
            real *= multiplier
            real += bias
        else:
            real += bias
            real *= multiplier
        real += 0.5
        np.floor(real, out=real)
        real += self.attr.y_zero
        return real

    def _reals(self, acc: Array) -> Array:
        real = np.add(acc, 0.0, dtype=np.float64)  # an accumulator of -0.0 is 0.0
        real *= self.line
        pixels = real.reshape(-1, len(self.bias)).astype(np.float32) + self.bias
        return pixels.reshape(acc.shape)


def _fuses(weights: Weights) -> Array:
    """Channel by channel, whether acc M + (bias M + 0.5 + zero) rounds nowhere, so that the order does not matter.

    With M = m 2^-t all terms are multiples of 2^-t, and their sum stays below 2^53 of these: m <= 2^22, |acc| < 2^29
    over 2^13 products, |bias| < 2^29, |zero| < 2^8. Near-dead channels have a larger t.
    """
    if weights.scale.dtype != np.uint32 or weights.bias.dtype.kind == "f" or weights.values.shape[1] > 1 << 13:
        return np.zeros(len(weights.bias), np.bool)
    small = np.abs(weights.bias.astype(np.int64)) < 1 << 29
    return small & (weights.scale >> 24 <= FUSED_SHIFT)


Constants = tuple[Array, Finish, int]
"""weights as the products take them, what follows the products, and how many products are summed at once"""


def held(values: Array, finish: Finish, weights: Weights) -> tuple[Constants, int]:
    """Constants, and their bytes."""
    return (values, finish, weights.part), values.nbytes + 2 * finish.line.nbytes


def conv(sources: list[Array], targets: list[Array], attr: ConvAttr, kept: Kept[Constants]) -> None:
    """x codes [n, h, w, ci], blocks -> [n, ho, wo, co]; pads: this job's own."""
    x, blocks = sources
    y = targets[0]
    ci, co = x.shape[3] // attr.groups, y.shape[3] // attr.groups
    depth = ci * attr.kernel[0] * attr.kernel[1]

    def constants() -> tuple[Constants, int]:
        weights = Weights.unpack(blocks, y.shape[3], depth, x, attr)
        matrices = np.ascontiguousarray(weights.values.reshape(attr.groups, co, depth).transpose(0, 2, 1))
        return held(matrices, Finish(weights, attr, y, y.shape[2]), weights)

    matrices, finish, part = kept.of(blocks, constants)
    work = matrices.dtype.type
    maps = x if attr.kernel == (1, 1) and not any(attr.pads) else centred(x, attr, attr.x_zero, work)
    for n, top, bottom in row_blocks(y.shape, depth * attr.groups):
        acc = []
        for g, matrix in enumerate(matrices):
            columns = _columns(maps[n, :, :, g * ci : (g + 1) * ci], top, bottom, y.shape[2], attr, work)
            acc.append(_product(columns, matrix, part))
        sums = acc[0] if attr.groups == 1 else np.concatenate(acc, axis=1)
        y[n, top:bottom] = finish(sums.reshape(bottom - top, -1)).reshape(bottom - top, *y.shape[2:])


def dwconv(sources: list[Array], targets: list[Array], attr: ConvAttr, kept: Kept[Constants]) -> None:
    """As `conv`, with one input channel for each output channel: products of shifted lines."""
    x, blocks = sources
    y = targets[0]
    depth = attr.kernel[0] * attr.kernel[1]

    def constants() -> tuple[Constants, int]:
        weights = Weights.unpack(blocks, y.shape[3], depth, x, attr)
        taps = np.tile(weights.values.T, y.shape[2]).reshape(*attr.kernel, -1)
        return held(taps, Finish(weights, attr, y, y.shape[2]), weights)

    taps, finish, part = kept.of(blocks, constants)
    total = taps.dtype if part == depth else np.float64
    lines = PixelLines(centred(x, attr, attr.x_zero, taps.dtype.type), y.shape[2], attr)
    for n, top, bottom in row_blocks(y.shape, y.shape[3]):
        acc = lines.products(n, top, bottom, taps, total)
        y[n, top:bottom] = finish(acc).reshape(bottom - top, *y.shape[2:])


def fc(sources: list[Array], targets: list[Array], attr: WeightedAttr, kept: Kept[Constants]) -> None:
    """x codes [.., k], blocks -> [.., co]."""
    x, blocks = sources
    y = targets[0]

    def constants() -> tuple[Constants, int]:
        weights = Weights.unpack(blocks, y.shape[-1], x.shape[-1], x, attr)
        return held(np.ascontiguousarray(weights.values.T), Finish(weights, attr, y), weights)

    values, finish, part = kept.of(blocks, constants)
    rows = _centred(x.reshape(-1, x.shape[-1]), attr.x_zero, values.dtype.type)
    y[...] = finish(_product(rows, values, part)).reshape(y.shape)


def matmul(sources: list[Array], targets: list[Array], attr: MatMulAttr) -> None:
    """a, b codes, numpy's matmul shapes; in 8 bits in parts whose sums are exact in float32 whatever the codes."""
    zeros = (attr.a_zero, attr.b_zero)
    narrow = all(x.itemsize == 1 for x in sources)
    a, b = (_centred(x, zero, np.float32 if narrow else np.float64) for x, zero in zip(sources, zeros, strict=True))
    part = EXACT_FLOAT32 // (1 << 16) if narrow else max(1, a.shape[-1])
    acc = np.zeros(targets[0].shape, np.float64)
    for start in range(0, a.shape[-1], part):
        acc += a[..., start : start + part] @ b[..., start : start + part, :]
    multiplier = scaled(attr.m, attr.t)
    if targets[0].dtype == np.float32:
        targets[0][...] = acc * multiplier
    else:
        requantise(acc, multiplier, attr.y_zero, attr.lo, attr.hi, targets[0])


def row_blocks(shape: tuple[int, ...], depth: int) -> Iterator[tuple[int, int, int]]:
    """(n, first row, last row + 1) over an output [n, ho, wo, co] in blocks that keep the working set in cache."""
    n, height, width, channels = shape
    rows = max(1, BLOCK_ELEMENTS // (width * max(channels, depth)))
    for image in range(n):
        for top in range(0, height, rows):
            yield image, top, min(height, top + rows)


def _centred(x: Array, zero: int, work: type[np.floating[Any]]) -> Array:
    return np.subtract(x, work(zero), dtype=work) if zero else x.astype(work)


def _columns(image: Array, top: int, bottom: int, width: int, attr: ConvAttr, work: type[np.floating[Any]]) -> Array:
    """[pixels, kh * kw * ci] of centred codes; an image still in codes is one that needs no padding."""
    taps = list(windows(image, top, bottom, width, attr))
    if image.dtype != work:
        return _centred(taps[0], attr.x_zero, work).reshape(-1, image.shape[2])
    columns = np.empty((bottom - top, width, len(taps), image.shape[2]), work)
    for i, tap in enumerate(taps):
        columns[:, :, i] = tap
    return columns.reshape((bottom - top) * width, -1)


def _product(columns: Array, matrix: Array, part: int) -> Array:
    """columns @ matrix, exact: at once, or `part` products at a time, added in float64."""
    if part == matrix.shape[0]:
        product: Array = columns @ matrix
        return product
    acc = np.zeros((columns.shape[0], matrix.shape[1]), np.float64)
    for start in range(0, matrix.shape[0], part):
        acc += columns[:, start : start + part] @ matrix[start : start + part]
    return acc


CONV = KeepingKernel(conv, 2, ConvAttr)
DWCONV = KeepingKernel(dwconv, 2, ConvAttr)
FC = KeepingKernel(fc, 2, WeightedAttr)
MATMUL = Kernel(matmul, 2, MatMulAttr)
