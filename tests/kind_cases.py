"""Cases of every kind, small enough for the oracle: what bodies, simulator and oracle must agree on."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.arithmetic import (
    add_multipliers,
    multiplier_of,
    multipliers_of,
    normalise_table,
    softmax_table,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.binary import Add
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.reduce import GlobalAveragePool
from axbuild.toolchain.kinds.table import ChannelTable, Softmax


@dataclass(frozen=True)
class Case:
    """A kind and the ONNX shapes (and dtype) of its activations."""

    name: str
    kind: Kind
    shapes: tuple[Shape, ...]
    dtype: str = "uint8"

    def inputs(self) -> list[np.ndarray]:
        """Activations that depend on nothing but the case's name."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        codes = [rng.integers(0, 256, shape).astype(np.uint8) for shape in self.shapes]
        return [code.astype(self.dtype) if self.dtype == "uint8" else reals(rng, code.shape) for code in codes]

    def __str__(self) -> str:
        return f"{type(self.kind).__name__} {self.name}"


def reals(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """float32 with ties, huge values, infinities and a NaN among ordinary ones."""
    x = rng.normal(0, 40, shape).astype(np.float32)
    flat = x.reshape(-1)
    special = np.array([np.nan, np.inf, -np.inf, 0.25, -0.25, 1e38, -1e38, 1e-40, -0.0, 31.875], np.float32)
    flat[: len(special)] = special[: flat.size]
    return x


def conv(
    weight: Shape,
    group: int = 1,
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    x_zero: int = 117,
    y_zero: int = 101,
    lo: int = 0,
    hi: int = 255,
    fill: int | None = None,
    gain: float = 1.0,
) -> Conv:
    """A Conv whose outputs spread over the codes; `fill` gives all weights one value."""
    rng = np.random.default_rng(sum(weight) + x_zero)
    w = np.full(weight, fill, np.int8) if fill is not None else rng.integers(-127, 128, weight).astype(np.int8)
    depth = float(np.prod(weight[1:]))
    ratio = gain * rng.uniform(0.5, 1.5, weight[0]) * 70 / (74 * 75 * np.sqrt(depth))
    bias = rng.integers(-3000, 3000, weight[0]).astype(np.int32)
    return Conv(w, bias, multipliers_of(ratio), x_zero, y_zero, lo, hi, strides, pads, dilations, group)


def fully_connected(co: int, k: int, x_zero: int = 90, y_zero: int = 120, fill: int | None = None) -> FullyConnected:
    c = conv((co, k, 1, 1), x_zero=x_zero, y_zero=y_zero, fill=fill)
    return FullyConnected(c.weight[:, :, 0, 0], c.bias, c.multiplier, x_zero, y_zero, 0, 255)


def near_limit(k: int, bias: int) -> FullyConnected:
    """One channel of weights 127: with zero 0 the sum reaches 127 255 k + bias."""
    weight = np.full((1, k), 127, np.int8)
    multiplier = multipliers_of(np.array([200 / (127 * 255 * k + abs(bias))]))
    return FullyConnected(weight, np.array([bias], np.int32), multiplier, 0, 10, 0, 255)


def average(shape: Shape, kernel, strides, pads, include_pad: bool, x_zero: int = 33) -> AveragePool:
    """multipliers by the true count of each window, as the quantiser makes them"""
    lines = []
    for i in (0, 1):
        size = shape[i + 2]
        out = (size + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1
        starts = np.arange(out) * strides[i] - pads[i]
        inside = np.minimum(starts + kernel[i], size) - np.maximum(starts, 0)
        lines.append(np.full(out, kernel[i]) if include_pad else inside)
    counts = lines[0][:, None] * lines[1][None, :]
    return AveragePool(multipliers_of(1.3 / counts), x_zero, 20, 0, 255, kernel, strides, pads)


MEAN, STD = np.array([103.939, 116.779, 123.68], np.float32), np.array([58.0, 57.5, 1.75], np.float32)
TABLE = np.stack([normalise_table(float(m), float(s), 0.031, 114) for m, s in zip(MEAN, STD, strict=True)])
IMAGE = (2, 3, 5, 6)

CASES = [
    Case("1x1", conv((5, 4, 1, 1)), ((2, 4, 3, 5),)),
    Case("3x3 same", conv((4, 3, 3, 3), pads=(1, 1, 1, 1)), (IMAGE,)),
    Case("stride 2, asymmetric pads", conv((4, 3, 3, 3), strides=(2, 2), pads=(0, 0, 1, 1)), ((1, 3, 8, 8),)),
    Case("all pads differ", conv((2, 3, 3, 2), strides=(1, 2), pads=(2, 0, 1, 1)), (IMAGE,)),
    Case("dilated", conv((2, 3, 3, 3), dilations=(2, 1), pads=(2, 1, 2, 1)), (IMAGE,)),
    Case("groups", conv((6, 2, 3, 3), group=2, pads=(1, 1, 1, 1)), ((2, 4, 4, 4),)),
    Case("depthwise", conv((6, 1, 3, 3), group=6, pads=(1, 1, 1, 1)), ((2, 6, 5, 5),)),
    Case("depthwise stride 2", conv((6, 1, 3, 3), group=6, strides=(2, 2), pads=(0, 0, 1, 1)), ((1, 6, 8, 8),)),
    Case("depthwise multiplier 2", conv((6, 1, 3, 3), group=3, pads=(1, 1, 1, 1)), ((2, 3, 4, 4),)),
    Case("zeros at 0", conv((4, 3, 3, 3), x_zero=0, y_zero=0, pads=(1, 1, 1, 1)), (IMAGE,)),
    Case("zeros at 255", conv((4, 3, 3, 3), x_zero=255, y_zero=255, pads=(1, 1, 1, 1)), (IMAGE,)),
    Case("clamped", conv((4, 3, 3, 3), lo=101, hi=180, pads=(1, 1, 1, 1)), (IMAGE,)),
    Case("saturating", conv((4, 3, 3, 3), gain=50.0), (IMAGE,)),
    Case("all one code", conv((4, 3, 1, 1), gain=1e-6), (IMAGE,)),
    Case("split in two", conv((2, 530, 1, 1), x_zero=0, fill=127), ((1, 530, 2, 2),)),
    Case("split unevenly", conv((2, 1100, 1, 1), x_zero=255, fill=-127), ((2, 1100, 1, 2),)),
    Case("split inside groups", conv((4, 60, 3, 3), group=2, x_zero=0, fill=127), ((2, 120, 3, 4),)),
    Case("kernel of 23 x 23", conv((2, 1, 23, 23), group=2, x_zero=0, fill=127), ((2, 2, 24, 23),)),
    Case("weights in halves", conv((2, 2, 24, 24), x_zero=255, fill=-127, pads=(1, 0, 0, 1)), ((1, 2, 24, 24),)),
    Case("weights in halves, split", conv((1, 9, 23, 23), x_zero=0, fill=127), ((1, 9, 23, 23),)),
    Case("two-dimensional", fully_connected(7, 20), ((3, 20),)),
    Case("rank 3", fully_connected(5, 9, x_zero=0), ((2, 4, 9),)),
    Case("rank 4", fully_connected(5, 9, x_zero=255, y_zero=0), ((2, 2, 3, 9),)),
    Case("split", fully_connected(2, 1200, x_zero=0, fill=-127), ((2, 1200),)),
    Case("sum just below 2^24", near_limit(518, 0), ((2, 518),)),
    Case("sum just above 2^24", near_limit(519, 0), ((2, 519),)),
    Case("accumulator just below 2^31", near_limit(600, 2**31 - 1 - 127 * 255 * 600), ((2, 600),)),
    Case("accumulator just above -2^31", near_limit(600, -(2**31) + 1 + 127 * 255 * 600), ((2, 600),)),
    Case("two matrices", MatMul(multiplier_of(0.002), 100, 140, 128, 0, 255), ((4, 6), (6, 5))),
    Case("deep", MatMul(multiplier_of(1e-5), 0, 255, 255, 0, 255), ((2, 700), (700, 2))),
    Case("batched", MatMul(multiplier_of(0.001), 3, 250, 77, 5, 250), ((2, 3, 4, 6), (2, 3, 6, 5))),
    Case("broadcast", MatMul(multiplier_of(0.001), 3, 250, 77, 5, 250), ((2, 3, 4, 6), (6, 5))),
    Case("same shape", Add(120, 90, 100, *add_multipliers(0.03, 0.011, 0.035), 0, 255), (IMAGE, IMAGE)),
    Case("per channel", Add(0, 255, 100, *add_multipliers(0.03, 0.03, 0.035), 100, 255), (IMAGE, (3, 1, 1))),
    Case("one row", Add(4, 7, 0, *add_multipliers(0.001, 0.9, 0.5), 0, 255), ((2, 6), (1, 6))),
    Case("3x3 stride 2", MaxPool((3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 0, 255), ((2, 3, 7, 6),)),
    Case("pads only at the end", MaxPool((2, 2), (2, 2), (0, 0, 1, 1), (1, 1), 0, 255), ((1, 2, 5, 5),)),
    Case("dilated, clamped", MaxPool((2, 3), (1, 2), (1, 2, 0, 2), (2, 2), 30, 200), ((2, 2, 6, 7),)),
    Case("2x2", average((2, 3, 6, 6), (2, 2), (2, 2), (0, 0, 0, 0), False), ((2, 3, 6, 6),)),
    Case("padding not counted", average((2, 3, 5, 5), (3, 3), (2, 1), (1, 1, 1, 1), False), ((2, 3, 5, 5),)),
    Case("padding counted", average((1, 3, 5, 5), (3, 3), (2, 1), (1, 1, 1, 1), True, 255), ((1, 3, 5, 5),)),
    Case("5x7", GlobalAveragePool(multiplier_of(1.1 / 35), 0, 255, 0, 255), ((2, 3, 5, 7),)),
    Case("1x1", GlobalAveragePool(multiplier_of(0.9), 255, 0, 0, 200), ((2, 3, 1, 1),)),
    Case("NCHW", ChannelTable(TABLE, 1), (IMAGE,)),
    Case("NHWC", ChannelTable(TABLE, 3), ((2, 4, 4, 3),)),
    Case("last axis", Softmax(softmax_table(0.05), 1), ((3, 19),)),
    Case("channels", Softmax(softmax_table(0.3), 1), ((2, 5, 2, 3),)),
    Case("flat", Softmax(softmax_table(1e-6), 1), ((2, 300),)),
    Case("steep", Softmax(softmax_table(20.0), 2), ((2, 3, 40),)),
    Case("half steps", Quantize(0.5, 100), ((3, 40),), "float32"),
    Case("small scale", Quantize(float(np.float32(1e-3)), 0), ((3, 40),), "float32"),
    Case("smallest scale", Quantize(float(np.finfo(np.float32).tiny), 255), ((3, 40),), "float32"),
    Case("all codes", Dequantize(float(np.float32(0.0173)), 114), ((2, 130),)),
    Case("zero at 255", Dequantize(float(np.float32(1e30)), 255), ((2, 130),)),
    Case("finer", Requantize(multiplier_of(2.7), 120, 128, 0, 255), ((3, 90),)),
    Case("ties", Requantize(multiplier_of(0.5), 255, 255, 3, 250), ((3, 90),)),
    Case("same grid", Requantize(multiplier_of(1.0), 17, 17, 0, 255), ((3, 90),)),
    Case("codes NHWC", Normalize(MEAN, STD, 3), ((2, 4, 4, 3),)),
    Case("codes NCHW", Normalize(MEAN, STD, 1), (IMAGE,)),
    Case("flatten", Reshape((-1, 90)), (IMAGE,)),
    Case("static batch", Reshape((2, 9, 10)), (IMAGE,)),
    Case("to NHWC", Transpose((0, 2, 3, 1)), (IMAGE,)),
    Case("float to NCHW", Transpose((0, 3, 1, 2), "float32"), ((2, 4, 4, 3),), "float32"),
    Case("swap", Transpose((1, 0, 2)), ((2, 3, 4),)),
    Case("constant", Pad((0, 1, 2, 0, 0, 0, 1, 3), "constant", 99), (IMAGE,)),
    Case("reflect", Pad((0, 0, 2, 3, 0, 0, 4, 1), "reflect", 0), (IMAGE,)),
    Case("edge", Pad((0, 0, 2, 3, 0, 0, 7, 1), "edge", 0), (IMAGE,)),
    Case("float constant", Pad((0, 1, 0, 2), "constant", 7, "float32"), ((2, 8),), "float32"),
    Case("three on channels", Concat(1, 3), (IMAGE, (2, 1, 5, 6), (2, 4, 5, 6))),
    Case("two on the last axis", Concat(2, 2), ((2, 3, 4), (2, 3, 1))),
    Case("one input", Concat(0, 1), ((2, 3),)),
]  # fmt: skip
