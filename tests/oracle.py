"""The third witness: every kind in plain Python integers, slow, straight from the integer semantics.

Nothing here is shared with the bodies or with the simulator's kernels: loops over elements, `//` and `>>`.
"""

from __future__ import annotations

import itertools
import struct
from functools import singledispatch

import numpy as np

from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.binary import Add
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.reduce import GlobalAveragePool
from axbuild.toolchain.kinds.table import ChannelTable, Softmax


def requantised(acc: int, multiplier: float, kind) -> int:
    """clamp(y_zero + ((acc m + 2^(t-1)) >> t)) with m 2^-t taken from the float's own exact ratio."""
    numerator, denominator = float(multiplier).as_integer_ratio()
    return clamp(kind.y_zero + (2 * acc * numerator + denominator) // (2 * denominator), kind.lo, kind.hi)


def clamp(value: int, lo: int = 0, hi: int = 255) -> int:
    return max(lo, min(hi, value))


def float32(value: float) -> float:
    """Nearest float32; one operation on float32 values in float64, then this, rounds once (53 >= 2 x 24 + 2)."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def positions(shape):
    return itertools.product(*(range(size) for size in shape))


@singledispatch
def oracle(kind: Kind, *inputs: np.ndarray) -> np.ndarray:
    """The output of a kind for its activations, in ONNX order."""
    raise NotImplementedError(type(kind).__name__)


def _each(kind, function, *inputs):
    """Output of the kind's own shape, element by element: function(position)."""
    y = np.zeros(kind.output_shape(*(x.shape for x in inputs)), kind.output_dtype)
    for at in positions(y.shape):
        y[at] = function(at)
    return y


def _taps(kernel, strides, pads, dilations, row, column, height, width):
    """(tap row, tap column, input row, input column) of the taps that lie inside the input."""
    for i, j in positions(kernel):
        y = row * strides[0] - pads[0] + i * dilations[0]
        x = column * strides[1] - pads[1] + j * dilations[1]
        if 0 <= y < height and 0 <= x < width:
            yield i, j, y, x


@oracle.register
def _(kind: Conv, x):
    co, depth, kh, kw = kind.weight.shape
    height, width = x.shape[2:]

    def value(at):
        n, c, row, column = at
        base = c // (co // kind.group) * depth
        acc = int(kind.bias[c])
        for i, j, y, z in _taps((kh, kw), kind.strides, kind.pads, kind.dilations, row, column, height, width):
            for k in range(depth):
                acc += int(kind.weight[c, k, i, j]) * (int(x[n, base + k, y, z]) - kind.x_zero)
        return requantised(acc, kind.multiplier[c], kind)

    return _each(kind, value, x)


@oracle.register
def _(kind: FullyConnected, x):
    def value(at):
        row = x[at[:-1]].tolist()
        products = (w * (code - kind.x_zero) for w, code in zip(kind.weight[at[-1]].tolist(), row, strict=True))
        return requantised(sum(products) + int(kind.bias[at[-1]]), kind.multiplier[at[-1]], kind)

    return _each(kind, value, x)


@oracle.register
def _(kind: MatMul, a, b):
    shape = kind.output_shape(a.shape, b.shape)
    left = np.broadcast_to(a, (*shape[:-2], *a.shape[-2:]))
    right = np.broadcast_to(b, (*shape[:-2], *b.shape[-2:]))

    def value(at):
        row, column = left[at[:-1]].tolist(), right[(*at[:-2], slice(None), at[-1])].tolist()
        acc = sum((p - kind.a_zero) * (q - kind.b_zero) for p, q in zip(row, column, strict=True))
        return requantised(acc, kind.multiplier, kind)

    return _each(kind, value, a, b)


@oracle.register
def _(kind: Add, a, b):
    shape = kind.output_shape(a.shape, b.shape)
    a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)

    def value(at):
        total = (int(a[at]) - kind.a_zero) * kind.a_multiplier + (int(b[at]) - kind.b_zero) * kind.b_multiplier
        return clamp(kind.y_zero + ((total + (1 << (kind.shift - 1))) >> kind.shift), kind.lo, kind.hi)

    return _each(kind, value, a, b)


@oracle.register
def _(kind: MaxPool, x):
    def value(at):
        n, c, row, column = at
        taps = _taps(kind.kernel, kind.strides, kind.pads, kind.dilations, row, column, *x.shape[2:])
        return clamp(max((int(x[n, c, y, z]) for _, _, y, z in taps), default=0), kind.lo, kind.hi)

    return _each(kind, value, x)


@oracle.register
def _(kind: AveragePool, x):
    def value(at):
        n, c, row, column = at
        taps = _taps(kind.kernel, kind.strides, kind.pads, (1, 1), row, column, *x.shape[2:])
        return requantised(sum(int(x[n, c, y, z]) - kind.x_zero for _, _, y, z in taps), kind.multiplier[at[2:]], kind)

    return _each(kind, value, x)


@oracle.register
def _(kind: GlobalAveragePool, x):
    def value(at):
        codes = x[at[0], at[1]].ravel().tolist()
        return requantised(sum(codes) - len(codes) * kind.x_zero, kind.multiplier, kind)

    return _each(kind, value, x)


@oracle.register
def _(kind: ChannelTable, x):
    return _each(kind, lambda at: kind.table[at[kind.axis], x[at]], x)


@oracle.register
def _(kind: Softmax, x):
    def value(at):
        line = x[tuple(slice(None) if axis == kind.axis else i for axis, i in enumerate(at))].tolist()
        e = [int(kind.table[max(line) - code]) for code in line]
        return (2 * 255 * e[at[kind.axis]] + sum(e)) // (2 * sum(e))

    return _each(kind, value, x)


@oracle.register
def _(kind: Quantize, x):
    def value(at):
        real = float(x[at])
        if real != real:
            return kind.zero
        ratio = real / kind.scale + 0.5
        if abs(ratio) > 1e6:
            return 255 if ratio > 0 else 0
        return clamp(int(ratio // 1) + kind.zero)

    return _each(kind, value, x)


@oracle.register
def _(kind: Dequantize, x):
    return _each(kind, lambda at: float32((int(x[at]) - kind.zero) * kind.scale), x)


@oracle.register
def _(kind: Requantize, x):
    return _each(kind, lambda at: requantised(int(x[at]) - kind.x_zero, kind.multiplier, kind), x)


@oracle.register
def _(kind: Normalize, x):
    def value(at):
        c = at[kind.axis]
        return float32(float32(float(x[at]) - float(kind.mean[c])) / float(kind.std[c]))

    return _each(kind, value, x)


@oracle.register
def _(kind: Reshape, x):
    return np.array(x.ravel().tolist(), x.dtype).reshape(kind.output_shape(x.shape))


@oracle.register
def _(kind: Transpose, x):
    return _each(kind, lambda at: x[tuple(at[kind.perm.index(axis)] for axis in range(x.ndim))], x)


@oracle.register
def _(kind: Pad, x):
    def source(i, size):
        if kind.mode == "edge":
            return max(0, min(size - 1, i))
        while kind.mode == "reflect" and not 0 <= i < size:
            i = -i if i < 0 else 2 * (size - 1) - i
        return i

    def value(at):
        places = [source(i - kind.pads[axis], x.shape[axis]) for axis, i in enumerate(at)]
        inside = all(0 <= i < size for i, size in zip(places, x.shape, strict=True))
        return x[tuple(places)] if inside else kind.value

    return _each(kind, value, x)


@oracle.register
def _(kind: Concat, *inputs):
    def value(at):
        i, offset = 0, at[kind.axis]
        while offset >= inputs[i].shape[kind.axis]:
            offset -= inputs[i].shape[kind.axis]
            i += 1
        return inputs[i][(*at[: kind.axis], offset, *at[kind.axis + 1 :])]

    return _each(kind, value, *inputs)
