"""Analytic nets of kinds with seeded weights: the layer lists of published models, for estimates and for speed."""

from __future__ import annotations

import numpy as np
import onnx
from npu_world import Chain

from axbuild.toolchain.kinds.arithmetic import multipliers_of
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.border import Dequantize
from axbuild.toolchain.kinds.codes import S8, U8, ElementType, Grid
from axbuild.toolchain.kinds.mac import Conv, FullyConnected
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.kinds.softmax import Softmax
from axbuild.toolchain.kinds.table import ChannelTable, normalise_table

RAW = Grid(1.0, 0, U8)
"""a picture's own values"""


def grid(scale: float, zero: int, kind: ElementType = U8) -> Grid:
    return Grid(float(np.float32(scale)), zero, kind)


class Body(Chain):
    """A chain with layers by their sizes. Maps that a clamp ends have zero point 0, linear ones 128."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.grids: dict[str, Grid] = {}

    def codes(self, name: str, shape: tuple[int, ...], zero: int = 0) -> str:
        """An input of codes."""
        return self.made(self.input(name, shape), grid(0.03, zero))

    def picture(self, size: int) -> str:
        source = self.input("input_0", (1, size, size, 3))
        y = grid(0.02, 110)
        table = normalise_table(np.array([128.0] * 3), np.array([58.0] * 3), RAW, y)
        return self.made(self.add(ChannelTable(RAW, y, table, 1), self.add(Transpose(U8, (0, 3, 1, 2)), source)), y)

    def conv(self, x: str, co: int, k: int = 1, stride: int = 1, group: int = 1, linear: bool = False) -> str:
        ci = self.shapes[x][1] // group
        weight = self.rng.integers(-127, 128, (co, ci, k, k)).astype(np.int8)
        low = (k - 1) // 2
        high = k - 1 - low
        y = grid(0.04, 128 if linear else 0)
        kind = Conv(
            self.grids[x], S8, y, weight, *self._bias(co, ci * k * k), U8.lo, U8.hi, (stride, stride),
            (low, low, high, high), (1, 1), group,
        )  # fmt: skip
        return self.made(self.add(kind, x), y)

    def _bias(self, co: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Bias and multiplier."""
        bias = self.rng.integers(-2000, 2000, co).astype(np.int32)
        spread = 73.0 * 60.0 * depth**0.5
        return bias, multipliers_of(self.rng.uniform(20.0, 60.0, co) / spread)

    def plus(self, a: str, b: str, zero: int = 128) -> str:
        y = grid(0.06, zero)
        return self.made(self.add(Binary.of("add", self.grids[a], self.grids[b], y, U8.lo, U8.hi), a, b), y)

    def largest(self, x: str) -> str:
        """3 x 3 at stride 2."""
        return self.made(self.add(MaxPool(U8, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), U8.lo, U8.hi), x), self.grids[x])

    def average(self, x: str, size: int = 2) -> str:
        """size x size at that stride."""
        _, _, h, w = self.shapes[x]
        counts = np.full((h // size, w // size), size * size)
        y = self.grids[x]
        kind = AveragePool.of(y, y, counts, U8.lo, U8.hi, (size, size), (size, size), (0, 0, 0, 0))
        return self.made(self.add(kind, x), y)

    def fully(self, x: str, classes: int) -> str:
        y = grid(0.05, 120)
        weight = self.rng.integers(-127, 128, (classes, self.shapes[x][1])).astype(np.int8)
        kind = FullyConnected(self.grids[x], S8, y, weight, *self._bias(classes, weight.shape[1]), U8.lo, U8.hi)
        return self.made(self.add(kind, x), y)

    def flat(self, x: str) -> str:
        size = int(np.prod(self.shapes[x][1:]))
        return self.made(self.add(Reshape(U8, (-1, size)), x), self.grids[x])

    def head(self, x: str, classes: int) -> onnx.ModelProto:
        y = grid(0.03, 0)
        area = self.shapes[x][2] * self.shapes[x][3]
        pooled = self.made(self.add(Reduce.of("mean", self.grids[x], y, (2, 3), U8.lo, U8.hi, area), x), y)
        codes = self.fully(self.flat(pooled), classes)
        return self.model(self.add(Dequantize(self.grids[codes]), codes, name="output_0"))

    def made(self, name: str, y: Grid) -> str:
        self.grids[name] = y
        return name


def mobilenet_v2(size: int = 224, classes: int = 1000) -> onnx.ModelProto:
    """MobileNetV2 1.0: 300,774,272 multiply-accumulates at 224 and 1000."""
    body = Body()
    x = body.conv(body.picture(size), 32, 3, 2)
    for expand, channels, count, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for i in range(count):
            x = inverted_residual(body, x, expand, channels, stride if i == 0 else 1)
    return body.head(body.conv(x, 1280), classes)


def inverted_residual(body: Body, x: str, expand: int, channels: int, stride: int) -> str:
    inner = body.shapes[x][1] * expand
    y = body.conv(x, inner) if expand > 1 else x
    y = body.conv(body.conv(y, inner, 3, stride, group=inner), channels, linear=True)
    return body.plus(x, y) if stride == 1 and body.shapes[x] == body.shapes[y] else y


def resnet18d(size: int = 224, classes: int = 1000) -> onnx.ModelProto:
    """ResNet-18-D: three-convolution stem, average pooling before the convolutions of the shortcuts."""
    body = Body()
    x = body.picture(size)
    for channels, stride in ((32, 2), (32, 1), (64, 1)):
        x = body.conv(x, channels, 3, stride)
    x = body.largest(x)
    for channels, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        y = body.conv(body.conv(x, channels, 3, stride), channels, 3, linear=True)
        if body.shapes[x] != body.shapes[y]:
            x = body.conv(body.average(x) if stride > 1 else x, channels, linear=True)
        x = body.plus(x, y, zero=0)
    return body.head(x, classes)


def stack(channels: int, size: int, depth: int = 8) -> onnx.ModelProto:
    """`depth` convolutions 3 x 3 of equal width on an 8-bit map."""
    body = Body()
    x = body.codes("input_0", (1, channels, size, size))
    for _ in range(depth):
        x = body.conv(x, channels, 3)
    return body.model(x)


def branchy(seed: int) -> tuple[onnx.ModelProto, tuple[int, ...]]:
    """A random net with a branch, a join, both poolings, padding, a flattening, a softmax; its input's shape."""
    rng = np.random.default_rng(seed)
    body = Body(seed)
    size = int(rng.integers(9, 15))
    x = body.codes("input_0", (1, 3, size, size))
    x = body.conv(x, int(rng.choice([33, 40])), 3, int(rng.integers(1, 3)))
    channels = body.shapes[x][1]
    y = body.conv(body.conv(x, channels, 3, group=channels), channels, linear=True)
    x = body.plus(x, y, zero=0)
    x = body.made(body.add(Pad(U8, (0, 0, 1, 0, 0, 0, 0, 2), 7), x), body.grids[x])
    p = body.largest(x)
    q = body.conv(x, 64, 3, 2)
    x = body.made(body.add(Concat(U8, 1, 2), p, q), body.grids[q])
    x = body.made(body.add(Transpose(U8, (0, 1, 3, 2)), x), body.grids[x])
    x = body.average(body.conv(x, 20), 3)
    flat = body.flat(x)
    codes = body.fully(flat, 70)
    y = grid(1 / 255, 0)
    soft = body.add(Softmax.of(body.grids[codes], y, 1), codes, name="output_0")
    return body.model(soft, flat), body.shapes["input_0"]
