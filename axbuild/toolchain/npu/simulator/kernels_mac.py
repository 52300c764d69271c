"""The simulator's multiply-accumulates: exact integers carried in float32, requantised in float64.

A float32 sum is exact, in any order, while sum |w| max|x - x_zero| < 2^24; where a channel's real weights do not
prove that, the reduction is cut into parts that hold for any weights and the parts are added in float64. Work
proceeds in blocks of output rows small enough for the cache, because the requantisation is bound by memory.

Parameter blocks (`pack.mac_blob`), one for `block` output channels, zero-filled at the end:
weights int8 [block, kh, kw, ci / groups], bias int32 [block], scale uint32 [block] = m + t 2^24.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array

Attr = dict[str, Any]

EXACT_FLOAT32 = 1 << 24
BLOCK_ELEMENTS = 1 << 16
SAFE_DEPTH = EXACT_FLOAT32 // (128 * 255)
"""Products of an 8-bit weight and a centred code that sum exactly in float32, whatever they are."""


@dataclass(frozen=True)
class Weights:
    """values: float32 [co, kh * kw * ci / groups]; bias, multiplier = m 2^-t: float64 [co]; shift = t: int [co]."""

    values: Array
    bias: Array
    multiplier: Array
    shift: Array

    def fits_float32(self, x_zero: int) -> bool:
        depth, peak = self.values.shape[1], max(x_zero, 255 - x_zero)
        if depth * 128 * peak < EXACT_FLOAT32:
            return True
        return bool(np.abs(self.values).sum(axis=1, dtype=np.float64).max() * peak < EXACT_FLOAT32)


def unpack(blocks: Array, channels: int, block: int) -> Weights:
    """blocks: uint8 [n, bytes of a block]; channels <= n * block."""
    count = (blocks.shape[1] - 8 * block) // block
    values = blocks[:, : count * block].view(np.int8).astype(np.float32).reshape(-1, count)
    bias = np.ascontiguousarray(blocks[:, count * block : count * block + 4 * block]).view(np.int32).reshape(-1)
    scale = np.ascontiguousarray(blocks[:, count * block + 4 * block :]).view(np.uint32).reshape(-1)
    shift = (scale >> 24).astype(np.int64)
    multiplier = np.ldexp((scale & 0xFFFFFF).astype(np.float64), -shift)
    return Weights(values[:channels], bias[:channels].astype(np.float64), multiplier[:channels], shift[:channels])


class Finish:
    """clamp(y_zero + floor((acc + bias) M + 0.5)), the requantisation of one job, exact in float64.

    One multiply and one add suffice where acc m, bias m and (y_zero + 1) 2^t together stay below 2^53 units of
    2^-t: then no step rounds. Elsewhere (near-dead channels with a large shift) the written order is kept.
    """

    def __init__(self, weights: Weights, attr: Attr) -> None:
        self.zero, self.lo, self.hi = attr["y_zero"], attr["lo"], attr["hi"]
        self.bias, self.multiplier = weights.bias, weights.multiplier
        depth = weights.values.shape[1]
        self.fused = bool(depth <= 1 << 14 and np.abs(self.bias).max() < 1 << 29 and weights.shift.max() <= 43)
        self.offset = self.bias * self.multiplier + (0.5 + self.zero)

    def __call__(self, acc: Array) -> Array:
        if self.fused:
            real = np.multiply(acc, self.multiplier, dtype=np.float64)
            real += self.offset
        else:
            real = (acc + self.bias) * self.multiplier
            real += 0.5
            np.floor(real, out=real)
            real += self.zero
        np.maximum(real, self.lo, out=real)
        np.minimum(real, self.hi, out=real)
        return real.astype(np.uint8)


def requantise(acc: Array, m: int, t: int, attr: Attr) -> Array:
    """One multiplier for all: clamp(y_zero + floor(acc m 2^-t + 0.5)); acc: integers in float64, |acc| < 2^31."""
    real = np.floor(acc * np.ldexp(float(m), -t) + 0.5)
    real += attr["y_zero"]
    codes: Array = np.clip(real, attr["lo"], attr["hi"]).astype(np.uint8)
    return codes


def conv(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """x uint8 [n, h, w, ci], blocks -> uint8 [n, ho, wo, co]; pads: this job's own (top, left, bottom, right)."""
    x, blocks = sources
    y = targets[0]
    weights = unpack(blocks, y.shape[3], attr["block"])
    groups: int = attr["groups"]
    finish, exact = Finish(weights, attr), weights.fits_float32(attr["x_zero"])
    ci, co = x.shape[3] // groups, y.shape[3] // groups
    matrices = [weights.values[g * co : (g + 1) * co].T for g in range(groups)]
    padded = centre(x, attr) if attr["kernel"] != (1, 1) or any(attr["pads"]) else x
    for n, top, bottom in row_blocks(y.shape, weights.values.shape[1] * groups):
        columns = [
            _columns(padded[n, :, :, g * ci : (g + 1) * ci], top, bottom, y.shape[2], attr) for g in range(groups)
        ]
        acc = [_product(c, m, exact) for c, m in zip(columns, matrices, strict=True)]
        rows = acc[0] if groups == 1 else np.concatenate(acc, axis=1)
        y[n, top:bottom] = finish(rows).reshape(bottom - top, y.shape[2], y.shape[3])


def dwconv(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """As `conv`, with one input channel for each output channel: sums of shifted maps."""
    x, blocks = sources
    y = targets[0]
    weights = unpack(blocks, y.shape[3], attr["block"])
    finish, exact = Finish(weights, attr), weights.fits_float32(attr["x_zero"])
    taps = np.ascontiguousarray(weights.values.T)
    padded = centre(x, attr)
    for n, top, bottom in row_blocks(y.shape, y.shape[3]):
        acc = np.zeros((bottom - top, y.shape[2], y.shape[3]), np.float32 if exact else np.float64)
        part = np.empty_like(acc)
        for tap, window in zip(taps, windows(padded[n], top, bottom, y.shape[2], attr), strict=True):
            np.multiply(window, tap, out=part)
            acc += part
        y[n, top:bottom] = finish(acc)


def fc(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """x uint8 [.., k], blocks -> uint8 [.., co]."""
    x, blocks = sources
    y = targets[0]
    weights = unpack(blocks, y.shape[-1], attr["block"])
    rows = x.reshape(-1, x.shape[-1]).astype(np.float32) - np.float32(attr["x_zero"])
    acc = _product(rows, weights.values.T, weights.fits_float32(attr["x_zero"]))
    y[...] = Finish(weights, attr)(acc).reshape(y.shape)


def matmul(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """a, b uint8, numpy's matmul shapes -> uint8; parts of 258 products of two centred codes are exact in float32."""
    a = sources[0].astype(np.float32) - np.float32(attr["a_zero"])
    b = sources[1].astype(np.float32) - np.float32(attr["b_zero"])
    part = EXACT_FLOAT32 // (255 * 255)
    acc = np.zeros(targets[0].shape, np.float64)
    for start in range(0, a.shape[-1], part):
        acc += (a[..., start : start + part] @ b[..., start : start + part, :]).astype(np.float64)
    targets[0][...] = requantise(acc, attr["m"], attr["t"], attr)


def centre(x: Array, attr: Attr) -> Array:
    """float32 codes less x_zero, padded with 0.0 as the job's pads say."""
    top, left, bottom, right = attr["pads"]
    n, h, w, c = x.shape
    if not (top or left or bottom or right):
        return np.subtract(x, np.float32(attr["x_zero"]), dtype=np.float32)
    padded = np.zeros((n, h + top + bottom, w + left + right, c), np.float32)
    np.subtract(x, np.float32(attr["x_zero"]), out=padded[:, top : top + h, left : left + w])
    return padded


def row_blocks(shape: tuple[int, ...], depth: int) -> Iterator[tuple[int, int, int]]:
    """(n, first row, last row + 1) over an output [n, ho, wo, co] in blocks that keep the working set in cache."""
    n, height, width, channels = shape
    rows = max(1, BLOCK_ELEMENTS // (width * max(channels, depth)))
    for image in range(n):
        for top in range(0, height, rows):
            yield image, top, min(height, top + rows)


def windows(image: Array, top: int, bottom: int, width: int, attr: Attr) -> Iterator[Array]:
    """One view [bottom - top, width, c] of a padded image [h, w, c] for each tap of the kernel, row-major."""
    (kh, kw), (sh, sw), (dh, dw) = attr["kernel"], attr["strides"], attr["dilations"]
    for dy in range(kh):
        first = top * sh + dy * dh
        for dx in range(kw):
            yield image[first : first + (bottom - top - 1) * sh + 1 : sh, dx * dw : dx * dw + (width - 1) * sw + 1 : sw]


def _columns(image: Array, top: int, bottom: int, width: int, attr: Attr) -> Array:
    """float32 [pixels, kh * kw * ci] of centred codes; an image still in codes is one that needs no padding."""
    taps = list(windows(image, top, bottom, width, attr))
    if image.dtype == np.uint8:
        return np.subtract(taps[0], np.float32(attr["x_zero"]), dtype=np.float32).reshape(-1, image.shape[2])
    columns = np.empty((bottom - top, width, len(taps), image.shape[2]), np.float32)
    for i, tap in enumerate(taps):
        columns[:, :, i] = tap
    return columns.reshape((bottom - top) * width, -1)


def _product(columns: Array, matrix: Array, exact: bool) -> Array:
    """columns @ matrix, exact: float32 where that is proved, else float64 sums of parts that are."""
    if exact:
        product: Array = columns @ matrix
        return product
    acc = np.zeros((columns.shape[0], matrix.shape[1]), np.float64)
    for start in range(0, matrix.shape[0], SAFE_DEPTH):
        acc += columns[:, start : start + SAFE_DEPTH] @ matrix[start : start + SAFE_DEPTH]
    return acc
