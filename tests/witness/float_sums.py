"""Sums of reals, for the three witnesses."""

import math
from functools import cache

import numpy as np

from axbuild.toolchain.kinds.float_norm import FloatNorm
from axbuild.toolchain.kinds.float_pool import FloatAveragePool, FloatMaxPool
from axbuild.toolchain.kinds.float_reduce import FloatReduce
from witness.base import Case, each, oracle
from witness.float_function import Ordinary, narrowed

IMAGE = (2, 3, 5, 6)


def tree(values):
    """Of 2^k < n <= 2^(k+1) numbers those from 2^k on are added to the first ones; and again."""
    values = [float(value) for value in values]
    while len(values) > 1:
        half = 2 ** math.ceil(math.log2(len(values))) // 2
        values = [a + values[half + i] if half + i < len(values) else a for i, a in enumerate(values[:half])]
    return values[0]


def total(x, axes):
    """Each axis in turn."""
    for axis in axes:
        x = np.apply_along_axis(lambda line: np.array([tree(line)]), axis, x)
    return float(x.reshape(()))


def larger(line, sign):
    known = [float(v) for v in line.ravel() if not np.isnan(v)]
    return sign * max((sign * v for v in known), default=-math.inf)


@oracle.register
def _(kind: FloatReduce, x):
    def value(at):
        own = x[tuple(slice(None) if axis in kind.axes else slice(i, i + 1) for axis, i in enumerate(at))]
        own = own.astype(np.float64)
        match kind.op:
            case "max" | "min":
                return larger(own, 1 if kind.op == "max" else -1)
            case "l2":
                return narrowed(math.sqrt(total(own * own, kind.axes)))
            case "mean":
                return narrowed(total(own, kind.axes) / float(own.size))
        return narrowed(total(own, kind.axes))

    with np.errstate(all="ignore"):
        return each(kind, value, x)


@oracle.register
def _(kind: FloatNorm, x):
    kept, count = x.ndim - len(kind.sizes), float(math.prod(kind.sizes))
    weight, bias = (np.broadcast_to(array, kind.sizes) for array in (kind.weight, kind.bias))
    axes = range(len(kind.sizes))

    @cache
    def line(at):
        own = x[at].astype(np.float64)
        d = own - total(own, axes) / count if kind.subtract_mean else own
        return d, math.sqrt(total(d * d, axes) / count + float(kind.epsilon))

    def value(at):
        d, root = line(at[:kept])
        inner = at[kept:]
        return narrowed(float(d[inner]) / root * float(weight[inner]) + float(bias[inner]))

    with np.errstate(all="ignore"):
        return each(kind, value, x)


def windowed(kind, x, at, join):
    """The values of a window: its rows joined, column by column, then these; padding is None."""
    n, c, row, column = at
    window = kind.window
    lines = []
    for dx in range(window.kernel[1]):
        line = []
        for dy in range(window.kernel[0]):
            h = row * window.strides[0] - window.pads[0] + dy * window.dilations[0]
            w = column * window.strides[1] - window.pads[1] + dx * window.dilations[1]
            inside = 0 <= h < x.shape[2] and 0 <= w < x.shape[3]
            line.append(float(x[n, c, h, w]) if inside else None)
        lines.append(join(line))
    return join(lines)


@oracle.register
def _(kind: FloatMaxPool, x):
    def join(values):
        return max((v for v in values if v is not None and not math.isnan(v)), default=-math.inf)

    return each(kind, lambda at: windowed(kind, x, at, join), x)


@oracle.register
def _(kind: FloatAveragePool, x):
    def join(values):
        return tree([0.0 if v is None else v for v in values])

    return each(kind, lambda at: narrowed(windowed(kind, x, at, join) / float(kind.count[at[2:]])), x)


def norm(sizes, shape=None, epsilon=1e-5, mean=True):
    rng = np.random.default_rng(sum(sizes))
    weight, bias = rng.normal(1, 0.3, shape or sizes), rng.normal(0, 0.3, shape or sizes)
    return FloatNorm.of(sizes, weight, bias, epsilon, mean)


OPS = ("mean", "sum", "l2", "max", "min")
CASES = (
    [
        case
        for op in OPS
        for case in (
            Ordinary("over the map", FloatReduce.of(op, (2, 3), IMAGE), (IMAGE,)),
            Ordinary("channels", FloatReduce.of(op, (1,), IMAGE), (IMAGE,)),
            Ordinary("a line", FloatReduce.of(op, (1,), (4, 33)), ((4, 33),)),
            Ordinary("a power of two", FloatReduce.of(op, (1, 2), (3, 4, 8)), ((3, 4, 8),)),
            Ordinary("all of it", FloatReduce.of(op, (0, 1, 2), (2, 3, 5)), ((2, 3, 5),)),
            Case("one element", FloatReduce.of(op, (2,), (3, 4, 1)), ((3, 4, 1),)),
        )
    ]
    + [
        case
        for mean in (True, False)
        for case in (
            Ordinary("tokens", norm((24,), mean=mean), ((2, 5, 24),)),
            Ordinary("last two axes", norm((3, 7), mean=mean), ((2, 5, 3, 7),)),
            Ordinary("one value a channel", norm((3, 4, 5), (3, 1, 1), 0.25, mean), ((2, 3, 4, 5),)),
            Ordinary("one value", norm((32,), (1,), 1e-24, mean), ((5, 32),)),
        )
    ]
    + [
        Ordinary("3x3 stride 2", FloatMaxPool((3, 3), (2, 2), (1, 1, 1, 1), (1, 1)), ((2, 3, 7, 6),)),
        Ordinary("dilated", FloatMaxPool((2, 3), (1, 2), (1, 2, 0, 2), (2, 2)), ((2, 2, 6, 7),)),
        Ordinary("one element", FloatMaxPool((1, 1), (2, 1), (0, 0, 0, 0), (1, 1)), ((1, 2, 5, 5),)),
        Ordinary("2x2", FloatAveragePool(np.full((3, 3), 4.0), (2, 2), (2, 2), (0, 0, 0, 0)), ((2, 3, 6, 6),)),
        Ordinary(
            "padding not counted",
            FloatAveragePool(np.outer([2.0, 3.0, 2.0], [2.0, 3.0, 3.0, 3.0, 2.0]), (3, 3), (2, 1), (1, 1, 1, 1)),
            ((1, 3, 5, 5),),
        ),
        Ordinary("5x7", FloatAveragePool(np.full((2, 1), 35.0), (5, 7), (1, 1), (0, 0, 0, 0)), ((1, 2, 6, 7),)),
    ]
)
