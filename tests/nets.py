"""Analytic nets of kinds with seeded weights: the layer lists of published models, for estimates and for speed."""

from __future__ import annotations

import numpy as np
import onnx
from npu_world import Chain

from axbuild.toolchain.kinds.arithmetic import add_multipliers, multiplier_of, multipliers_of, normalise_table
from axbuild.toolchain.kinds.binary import Add
from axbuild.toolchain.kinds.border import Dequantize
from axbuild.toolchain.kinds.mac import Conv, FullyConnected
from axbuild.toolchain.kinds.mover import Reshape, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.reduce import GlobalAveragePool
from axbuild.toolchain.kinds.table import ChannelTable


class Body(Chain):
    """A chain with layers by their sizes. Maps that a clamp ends have zero point 0, linear ones 128."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.zeros: dict[str, int] = {}

    def picture(self, size: int) -> str:
        source = self.input("input_0", (1, size, size, 3))
        table = np.stack([normalise_table(128.0, 58.0, 0.02, 110)] * 3)
        return self._made(self.add(ChannelTable(table, 1), self.add(Transpose((0, 3, 1, 2), "uint8"), source)), 110)

    def conv(self, x: str, co: int, k: int = 1, stride: int = 1, group: int = 1, linear: bool = False) -> str:
        ci = self.shapes[x][1] // group
        weight = self.rng.integers(-127, 128, (co, ci, k, k)).astype(np.int8)
        low = (k - 1) // 2
        high = k - 1 - low
        zero = 128 if linear else 0
        kind = Conv(
            weight, *self._bias(co, ci * k * k), self.zeros[x], zero, 0, 255, (stride, stride), (low, low, high, high),
            (1, 1), group,
        )  # fmt: skip
        return self._made(self.add(kind, x), zero)

    def _bias(self, co: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
        bias = self.rng.integers(-2000, 2000, co).astype(np.int32)
        spread = 73.0 * 60.0 * depth**0.5
        return bias, multipliers_of(self.rng.uniform(20.0, 60.0, co) / spread)

    def plus(self, a: str, b: str, zero: int = 128) -> str:
        kind = Add(self.zeros[a], self.zeros[b], zero, *add_multipliers(0.02, 0.03, 0.04), 0, 255)
        return self._made(self.add(kind, a, b), zero)

    def average(self, x: str) -> str:
        """2 x 2 at stride 2."""
        _, _, h, w = self.shapes[x]
        multiplier = np.full((h // 2, w // 2), multiplier_of(0.25))
        zero = self.zeros[x]
        return self._made(self.add(AveragePool(multiplier, zero, zero, 0, 255, (2, 2), (2, 2), (0, 0, 0, 0)), x), zero)

    def head(self, x: str, classes: int) -> onnx.ModelProto:
        area = self.shapes[x][2] * self.shapes[x][3]
        pooled = self.add(GlobalAveragePool(multiplier_of(1.0 / area), self.zeros[x], 0, 0, 255), x)
        flat = self.add(Reshape((-1, self.shapes[x][1]), "uint8"), pooled)
        weight = self.rng.integers(-127, 128, (classes, self.shapes[x][1])).astype(np.int8)
        codes = self.add(FullyConnected(weight, *self._bias(classes, weight.shape[1]), 0, 120, 0, 255), flat)
        return self.model(self.add(Dequantize(float(np.float32(0.05)), 120), codes, name="output_0"))

    def _made(self, name: str, zero: int) -> str:
        self.zeros[name] = zero
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
    x = body._made(body.add(MaxPool((3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 0, 255), x), 0)
    for channels, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        y = body.conv(body.conv(x, channels, 3, stride), channels, 3, linear=True)
        if body.shapes[x] != body.shapes[y]:
            x = body.conv(body.average(x) if stride > 1 else x, channels, linear=True)
        x = body.plus(x, y, zero=0)
    return body.head(x, classes)


def stack(channels: int, size: int, depth: int = 8) -> onnx.ModelProto:
    """`depth` convolutions 3 x 3 of equal width on an 8-bit map."""
    body = Body()
    x = body._made(body.input("input_0", (1, channels, size, size)), 0)
    for _ in range(depth):
        x = body.conv(x, channels, 3)
    return body.model(x)
