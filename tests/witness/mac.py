"""Multiply-accumulates, for the three witnesses."""

import itertools
import math
from dataclasses import replace

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.arithmetic import multipliers_of
from axbuild.toolchain.kinds.codes import (
    CODES,
    FP32,
    S4,
    S8,
    S16,
    U8,
    U16,
    WEIGHTS,
    Edge,
    ElementType,
    Grid,
    type_of,
    wide,
)
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul, bias_type
from witness.base import Case, each, float32, grid, oracle, pairs, requantised
from witness.window import taps


def finished(kind, acc: int, multiplier: float, bias, wide_operand: bool):
    """The accumulator with its bias as an element of the output."""
    if kind.y == FP32:
        return float32(float32(float(acc) * float(multiplier)) + float(bias))
    if isinstance(bias, np.floating):
        steps = math.floor(float(acc) * float(multiplier) + float(bias) / kind.y.scale + 0.5)
        return min(kind.hi, max(kind.lo, steps + kind.y.zero))
    broad = wide_operand or wide(kind.y)
    return requantised(acc + int(bias), multiplier, kind.y, kind.lo, kind.hi, broad)


def zero_of(kind: Conv | FullyConnected, channel: int) -> int:
    """What is taken from the codes of a channel's weights."""
    return kind.w_zero[channel] if kind.w_zero else 0


def convolved(kind: Conv, x, at) -> int:
    """The sum of products at one place of the output."""
    n, c, row, column = at
    co, depth = kind.weight.shape[:2]
    base = c // (co // kind.group) * depth
    return sum(
        (int(kind.weight[c, k, i, j]) - zero_of(kind, c)) * (int(x[n, base + k, y, z]) - kind.x.zero)
        for i, j, y, z in taps(kind.window, row, column, *x.shape[2:])
        for k in range(depth)
    )


def connected(kind: FullyConnected, x, at) -> int:
    """The same."""
    row = zip(kind.weight[at[-1]].tolist(), x[at[:-1]].tolist(), strict=True)
    return sum((w - zero_of(kind, at[-1])) * (code - kind.x.zero) for w, code in row)


@oracle.register
def _(kind: Conv, x):
    def value(at):
        acc = convolved(kind, x, at)
        return finished(kind, acc, kind.multiplier[at[1]], kind.bias[at[1]], wide(kind.x, kind.w))

    return each(kind, value, x)


@oracle.register
def _(kind: FullyConnected, x):
    def value(at):
        acc = connected(kind, x, at)
        return finished(kind, acc, kind.multiplier[at[-1]], kind.bias[at[-1]], wide(kind.x, kind.w))

    return each(kind, value, x)


@oracle.register
def _(kind: MatMul, a, b):
    shape = kind.output_shape(a.shape, b.shape)
    left = np.broadcast_to(a, (*shape[:-2], *a.shape[-2:]))
    right = np.broadcast_to(b, (*shape[:-2], *b.shape[-2:]))

    def value(at):
        row, column = left[at[:-1]].tolist(), right[(*at[:-2], slice(None), at[-1])].tolist()
        acc = sum((p - kind.a.zero) * (q - kind.b.zero) for p, q in zip(row, column, strict=True))
        return finished(kind, acc, kind.multiplier, 0, wide(kind.a, kind.b))

    return each(kind, value, a, b)


def clamp_of(y: Edge) -> tuple[int, int]:
    return (y.type.lo, y.type.hi) if isinstance(y, Grid) else (0, 0)


X, Y = grid(1.0, 117), grid(1.0, 101)


def conv(
    weight: Shape,
    group: int = 1,
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    x: Grid = X,
    w: ElementType = S8,
    y: Edge = Y,
    clamp: tuple[int, int] | None = None,
    fill: int | None = None,
    gain: float = 1.0,
    zeros: bool = False,
) -> Conv:
    """A Conv whose outputs spread over the codes; `fill` gives all weights one value, `zeros` each channel its own."""
    rng = np.random.default_rng(sum(weight) + x.zero % 1000)
    codes = rng.integers(-w.hi, w.hi + 1, weight) if fill is None else np.full(weight, fill)
    spread = w.hi * x.type.span * float(np.sqrt(np.prod(weight[1:]))) / 6
    steps = y.type.span / 4 if isinstance(y, Grid) else 30.0
    bias, own = rng.uniform(-0.5, 0.5, weight[0]), bias_type(x.type, w, type_of(y))
    return Conv(
        x,
        w,
        y,
        codes.astype(w.dtype),
        (bias * (steps if own == FP32 else spread)).astype(own.dtype),
        multipliers_of(gain * rng.uniform(0.5, 1.5, weight[0]) * steps / spread, x, w, y),
        *(clamp or clamp_of(y)),
        strides,
        pads,
        dilations,
        group,
        w_zero=tuple(rng.integers(w.lo, w.hi + 1, weight[0]).tolist()) if zeros else (),
    )


def fully_connected(co: int, k: int, **options) -> FullyConnected:
    c = conv((co, k, 1, 1), **options)
    return FullyConnected(c.x, c.w, c.y, c.weight[:, :, 0, 0], c.bias, c.multiplier, c.lo, c.hi, w_zero=c.w_zero)


def telling(name: str, kind: Conv | FullyConnected, shape: Shape) -> Case:
    """With a multiplier of 1 and biases that bring the first sum of each channel to channel + 9 steps: there a single
    lost bit of a sum shows."""
    (x,) = Case(name, kind, (shape,)).inputs()
    ones = np.ones(kind.bias.size)
    if isinstance(kind, Conv):
        sums = [convolved(kind, x, (0, c, 0, 0)) for c in range(kind.bias.size)]
    else:
        sums = [connected(kind, x, (0, c)) for c in range(kind.bias.size)]
    biases = np.array([9 + c - acc for c, acc in enumerate(sums)], kind.bias.dtype)
    return Case(name, replace(kind, bias=biases, multiplier=ones), (shape,))


def near_limit(k: int, bias: int, w: ElementType = S8, x: ElementType = U8, y: ElementType = U8) -> FullyConnected:
    """One channel of the highest weights: with zero at the lowest code the sum reaches w.hi x.span k + bias."""
    of = grid(1.0, x.lo, x)
    weight = np.full((1, k), w.hi, w.dtype)
    ratio = np.array([0.8 * y.span / (w.hi * x.span * k + abs(bias))])
    biases = np.array([bias], bias_type(x, w, y).dtype)
    return FullyConnected(of, w, grid(1.0, y.lo, y), weight, biases, multipliers_of(ratio, of, w, y), y.lo, y.hi)


def matmul(a: ElementType, b: ElementType, y: Edge, depth: int) -> MatMul:
    """Scales with which products of `depth` spread over the codes."""
    steps = type_of(y).span / 4 if isinstance(y, Grid) else 30.0
    ratio = float(np.sqrt(6 * steps / (a.span * b.span * np.sqrt(depth))))
    return MatMul.of(grid(ratio, kind=a), grid(ratio, kind=b), y, *clamp_of(y))


def at_zero(zero: int, kind: ElementType = U8) -> Grid:
    return grid(1.0, zero, kind)


IMAGE = (2, 3, 5, 6)
SAME = (1, 1, 1, 1)
RESULTS = (*(grid(1.0, kind=y) for y in CODES), FP32)
OPERANDS = list(itertools.product(CODES, WEIGHTS))
DEEP = {"w": S16, "x": at_zero(0, U16), "y": grid(1.0, kind=S16)}

TYPES = [
    *(
        Case("types", conv((3, 2, 2, 3), pads=(1, 0, 0, 1), x=grid(1.0, kind=x), w=w, y=y), ((2, 2, 3, 4),))
        for (x, w), y in itertools.product(OPERANDS, RESULTS)
    ),
    *(
        Case("types", fully_connected(3, 9, x=grid(1.0, kind=x), w=w, y=RESULTS[(i + j) % 5]), ((4, 9),))
        for i, (x, w) in enumerate(OPERANDS)
        for j in (0, 2)
    ),
    *(
        Case("types", matmul(a, b, RESULTS[(i + j) % 5], 6), ((3, 6), (6, 4)))
        for i, (a, b) in enumerate(pairs())
        for j in (0, 3)
    ),
]

CONVS = [
    Case("1x1", conv((5, 4, 1, 1)), ((2, 4, 3, 5),)),
    Case("3x3 same", conv((4, 3, 3, 3), pads=SAME), (IMAGE,)),
    Case("stride 2, asymmetric pads", conv((4, 3, 3, 3), strides=(2, 2), pads=(0, 0, 1, 1)), ((1, 3, 8, 8),)),
    Case("1x1 stride 2", conv((4, 3, 1, 1), strides=(2, 2)), ((1, 3, 5, 5),)),
    Case("all pads differ", conv((2, 3, 3, 2), strides=(1, 2), pads=(2, 0, 1, 1)), (IMAGE,)),
    Case("pads as wide as the window", conv((2, 3, 1, 2), pads=(2, 0, 1, 1)), (IMAGE,)),
    Case("dilated", conv((2, 3, 3, 3), dilations=(2, 1), pads=(2, 1, 2, 1)), (IMAGE,)),
    Case("groups", conv((6, 2, 3, 3), group=2, pads=SAME), ((2, 4, 4, 4),)),
    Case("depthwise", conv((6, 1, 3, 3), group=6, pads=SAME), ((2, 6, 5, 5),)),
    Case("depthwise stride 2", conv((6, 1, 3, 3), group=6, strides=(2, 2), pads=(0, 0, 1, 1)), ((1, 6, 8, 8),)),
    Case("depthwise multiplier 2", conv((6, 1, 3, 3), group=3, pads=SAME), ((2, 3, 4, 4),)),
    Case("depthwise, signed", conv((6, 1, 3, 3), group=6, pads=SAME, x=at_zero(-5, S8)), ((2, 6, 5, 5),)),
    Case("depthwise, 16 bits", conv((6, 1, 3, 3), group=6, pads=SAME, **DEEP), ((2, 6, 5, 5),)),
    Case("depthwise to reals", conv((6, 1, 3, 3), group=6, pads=SAME, y=FP32), ((2, 6, 5, 5),)),
    Case("groups, 16 bits", conv((6, 2, 3, 3), group=2, pads=SAME, **DEEP), ((2, 4, 4, 4),)),
    Case("zeros at 0", conv((4, 3, 3, 3), x=at_zero(0), y=at_zero(0), pads=SAME), (IMAGE,)),
    Case("zeros at 255", conv((4, 3, 3, 3), x=at_zero(255), y=at_zero(255), pads=SAME), (IMAGE,)),
    Case("lowest zeros", conv((4, 3, 3, 3), x=at_zero(-128, S8), y=at_zero(-32768, S16), pads=SAME), (IMAGE,)),
    Case("highest zeros", conv((4, 3, 3, 3), x=at_zero(65535, U16), y=at_zero(32767, S16), pads=SAME), (IMAGE,)),
    Case("clamped", conv((4, 3, 3, 3), clamp=(101, 180), pads=SAME), (IMAGE,)),
    Case("clamped below zero", conv((4, 3, 3, 3), y=at_zero(-40, S8), clamp=(-40, 19), pads=SAME), (IMAGE,)),
    Case("saturating", conv((4, 3, 3, 3), gain=50.0), (IMAGE,)),
    Case("saturating, 16 bits", conv((4, 3, 3, 3), gain=50.0, **DEEP), (IMAGE,)),
    Case("all one code", conv((4, 3, 1, 1), gain=1e-6), (IMAGE,)),
    Case("near-dead channels", conv((4, 3, 1, 1), gain=1e-8, y=at_zero(-1, S8)), (IMAGE,)),
    Case("lowest weights", conv((2, 3, 3, 3), fill=-128), (IMAGE,)),
]

IMPORTED = [
    Case("zeros", conv((4, 3, 3, 3), pads=SAME, zeros=True), (IMAGE,)),
    Case("zeros, 4 bits", conv((4, 3, 3, 3), pads=SAME, w=S4, zeros=True), (IMAGE,)),
    Case("zeros, 16 bits", conv((4, 3, 3, 3), x=at_zero(9, U16), y=DEEP["y"], pads=SAME, zeros=True), (IMAGE,)),
    Case("zeros, depthwise", conv((6, 1, 3, 3), group=6, pads=SAME, zeros=True), ((2, 6, 5, 5),)),
    Case("zeros, groups", conv((6, 2, 3, 3), group=2, pads=SAME, zeros=True), ((2, 4, 4, 4),)),
    Case("zeros, to reals", conv((6, 2, 3, 3), group=2, pads=SAME, zeros=True, y=FP32), ((2, 4, 4, 4),)),
    telling("zeros, split", conv((2, 300, 1, 1), x=at_zero(255), fill=-128, zeros=True), (2, 300, 1, 2)),
    telling("zeros, large", conv((1, 1, 23, 23), x=at_zero(0), fill=127, zeros=True), (1, 1, 24, 23)),
    Case("zeros, fully connected", fully_connected(7, 21, zeros=True), ((3, 21),)),
    Case("zeros, fully connected, 16 bits", fully_connected(5, 9, x=at_zero(9, U16), zeros=True), ((2, 9),)),
    Case("lowest weights of 4 bits", conv((2, 3, 3, 3), w=S4, fill=-8), (IMAGE,)),
    Case("odd depth of 4 bits", conv((5, 3, 3, 3), w=S4, pads=SAME), (IMAGE,)),
    Case("depthwise of 4 bits", conv((6, 1, 3, 3), group=6, w=S4, pads=SAME), ((2, 6, 5, 5),)),
    telling("split, 4 bits", conv((2, 9500, 1, 1), x=at_zero(0), w=S4, fill=7), (1, 9500, 1, 2)),
    Case("fully connected of 4 bits", fully_connected(7, 21, w=S4), ((3, 21),)),
]

SPLITS = [
    telling("split in two", conv((2, 530, 1, 1), x=at_zero(0), fill=127), (1, 530, 2, 2)),
    telling("split unevenly", conv((2, 1100, 1, 1), x=at_zero(255), fill=-127), (2, 1100, 1, 2)),
    telling("split inside groups", conv((4, 60, 3, 3), group=2, x=at_zero(0), fill=127), (2, 120, 3, 4)),
    telling("split, 16 bits", conv((2, 520, 1, 1), fill=32639, **DEEP), (1, 520, 2, 1)),
    telling("split inside groups, 16 bits", conv((2, 300, 2, 1), group=2, fill=32639, **DEEP), (1, 600, 2, 1)),
    telling("kernel of 23 x 23", conv((2, 1, 23, 23), group=2, x=at_zero(0), fill=127), (2, 2, 24, 23)),
    telling("kernel of 24 x 24", conv((2, 2, 24, 24), x=at_zero(255), fill=-127, pads=(1, 0, 0, 1)), (1, 2, 24, 24)),
    telling("large and split", conv((1, 17, 23, 23), x=at_zero(0), fill=119), (1, 17, 23, 23)),
    telling("kernel of 100 x 100", conv((1, 1, 100, 100), x=at_zero(0), fill=126), (1, 1, 100, 101)),
    telling("large, 16 bits", conv((1, 1, 23, 24), fill=32639, **DEEP), (1, 1, 23, 24)),
    telling("fully connected", fully_connected(2, 1200, x=at_zero(0), fill=-127), (2, 1200)),
    telling("fully connected, 16 bits", fully_connected(2, 1200, fill=32639, **DEEP), (2, 1200)),
]

CONNECTED = [
    Case("two-dimensional", fully_connected(7, 20), ((3, 20),)),
    Case("a vector", fully_connected(7, 20), ((20,),)),
    Case("rank 3", fully_connected(5, 9, x=at_zero(0)), ((2, 4, 9),)),
    Case("rank 4", fully_connected(5, 9, x=at_zero(255), y=at_zero(0)), ((2, 2, 3, 9),)),
    Case("rank 4, 16 bits", fully_connected(5, 9, **DEEP), ((2, 2, 3, 9),)),
    Case("sum just below 2^24", near_limit(518, 0), ((2, 518),)),
    Case("sum just above 2^24", near_limit(519, 0), ((2, 519),)),
    Case("accumulator just below 2^31", near_limit(600, 2**31 - 1 - 127 * 255 * 600), ((2, 600),)),
    Case("accumulator just above -2^31", near_limit(600, -(2**31) + 1 + 127 * 255 * 600), ((2, 600),)),
    Case("16-bit sum far above 2^31", near_limit(900, 7, S16, U16, U16), ((2, 900),)),
    Case("just below 2^52", near_limit(60, 2**52 - 1 - 32767 * 65535 * 60, S16, S16, S16), ((2, 60),)),
    Case("just above -2^52", near_limit(60, -(2**52) + 1 + 127 * 65535 * 60, S8, U16, S8), ((2, 60),)),
]

MATMULS = [
    Case("two matrices", MatMul.of(grid(0.04, 100), grid(0.05, 140), at_zero(128), 0, 255), ((4, 6), (6, 5))),
    Case("deep", MatMul.of(at_zero(0), grid(1e-5, 255), at_zero(255), 0, 255), ((2, 700), (700, 2))),
    Case("deep, 16 bits", matmul(U16, S16, RESULTS[2], 700), ((2, 700), (700, 2))),
    Case("batched", MatMul.of(grid(0.1, 3), grid(0.01, 250), at_zero(77), 5, 250), ((2, 3, 4, 6), (2, 3, 6, 5))),
    Case("broadcast", MatMul.of(grid(0.1, 3), grid(0.01, 250), at_zero(77), 5, 250), ((2, 3, 4, 6), (6, 5))),
]


def with_real_bias(kind: Conv | FullyConnected):
    """The same bias in reals."""
    steps = kind.bias.astype(np.float64) * kind.multiplier
    return replace(kind, bias=(steps * kind.y.scale).astype(np.float32))


REAL_BIAS = [
    Case(f"{name}, FP32 bias", with_real_bias(kind), (shape,))
    for name, kind, shape in (
        ("3x3 same", conv((4, 3, 3, 3), pads=SAME), IMAGE),
        ("depthwise", conv((6, 1, 3, 3), group=6, pads=SAME), (2, 6, 5, 5)),
        ("groups", conv((6, 2, 3, 3), group=2, pads=SAME, y=at_zero(-7, S8)), (2, 4, 4, 4)),
        ("16 bits", conv((4, 3, 3, 3), pads=SAME, **DEEP), IMAGE),
        ("to 16 bits", conv((4, 3, 1, 1), y=at_zero(9, U16)), IMAGE),
        ("clamped", conv((4, 3, 3, 3), clamp=(101, 180), pads=SAME), IMAGE),
        ("saturating", conv((4, 3, 3, 3), gain=50.0), IMAGE),
        ("near-dead channels", conv((4, 3, 1, 1), gain=1e-8, y=at_zero(-1, S8)), IMAGE),
        ("fully connected", fully_connected(5, 9), (2, 4, 9)),
        ("fully connected, 16 bits", fully_connected(5, 9, **DEEP), (2, 9)),
        ("split in two", conv((2, 530, 1, 1), x=at_zero(0), fill=127), (1, 530, 2, 2)),
    )
]

CASES = [*TYPES, *CONVS, *IMPORTED, *SPLITS, *CONNECTED, *MATMULS, *REAL_BIAS]
