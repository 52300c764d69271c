"""Published networks as nets of kinds with random weights, for estimates of cycles; sizes are those of their papers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from nets import Body, grid

from axbuild.toolchain.kinds.border import Dequantize
from axbuild.toolchain.kinds.codes import S8, S16, U8
from axbuild.toolchain.kinds.mac import Conv, FullyConnected
from axbuild.toolchain.kinds.mover import Concat
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool


class PublishedNet(Body):
    """Layers that the nets of the tests have no need of."""

    def window(
        self, x: str, co: int, kernel: tuple[int, int], stride: int = 1, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> str:
        """A convolution that a Relu ends; pads: top, left, bottom, right."""
        ci = self.shapes[x][1]
        weight = self.rng.integers(-127, 128, (co, ci, *kernel)).astype(np.int8)
        bias = self._bias(co, ci * kernel[0] * kernel[1])
        y = grid(0.04, 0)
        kind = Conv(self.grids[x], S8, y, weight, *bias, U8.lo, U8.hi, (stride, stride), pads, (1, 1), 1)
        return self.made(self.add(kind, x), y)

    def peak(self, x: str, size: int = 3, stride: int = 2, high: int = 0) -> str:
        """Largest of size x size; high: padding at the bottom and at the right."""
        kind = MaxPool(U8, (size, size), (stride, stride), (0, 0, high, high), (1, 1), U8.lo, U8.hi)
        return self.made(self.add(kind, x), self.grids[x])

    def smooth(self, x: str) -> str:
        """Average of 3 x 3 at stride 1, borders included."""
        _, _, h, w = self.shapes[x]
        y = self.grids[x]
        kind = AveragePool.of(y, y, np.full((h, w), 9), U8.lo, U8.hi, (3, 3), (1, 1), (1, 1, 1, 1))
        return self.made(self.add(kind, x), y)

    def joined(self, *xs: str) -> str:
        """Side by side along the channels."""
        return self.made(self.add(Concat(U8, 1, len(xs)), *xs), self.grids[xs[0]])

    def classes(self, x: str) -> onnx.ModelProto:
        """An output of codes as reals."""
        return self.model(self.add(Dequantize(self.grids[x]), x, name="output_0"))


def mobilenet_v1(size: int = 224) -> onnx.ModelProto:
    body = PublishedNet()
    x = body.conv(body.picture(size), 32, 3, 2)
    widths = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    for channels, stride in widths:
        x = body.conv(body.conv(x, body.shapes[x][1], 3, stride, group=body.shapes[x][1]), channels)
    return body.head(x, 1000)


def resnet18(size: int = 224) -> onnx.ModelProto:
    body = PublishedNet()
    x = body.largest(body.conv(body.picture(size), 64, 7, 2))
    for channels, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        y = body.conv(body.conv(x, channels, 3, stride), channels, 3, linear=True)
        if body.shapes[x] != body.shapes[y]:
            x = body.conv(x, channels, 1, stride, linear=True)
        x = body.plus(x, y, zero=0)
    return body.head(x, 1000)


def resnet50(size: int = 224) -> onnx.ModelProto:
    """Strides in the 3 x 3 convolutions."""
    body = PublishedNet()
    x = body.largest(body.conv(body.picture(size), 64, 7, 2))
    for channels, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            step = stride if number == 0 else 1
            y = body.conv(body.conv(body.conv(x, channels), channels, 3, step), 4 * channels, linear=True)
            if body.shapes[x] != body.shapes[y]:
                x = body.conv(x, 4 * channels, 1, step, linear=True)
            x = body.plus(x, y, zero=0)
    return body.head(x, 1000)


def vgg16(size: int = 224) -> onnx.ModelProto:
    body = PublishedNet()
    x = body.picture(size)
    for channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            x = body.conv(x, channels, 3)
        x = body.peak(x, 2)
    x = body.flat(x)
    for width in (4096, 4096, 1000):
        x = body.fully(x, width)
    return body.classes(x)


def _fire(body: PublishedNet, x: str, squeeze: int, expand: int) -> str:
    x = body.conv(x, squeeze)
    return body.joined(body.conv(x, expand), body.conv(x, expand, 3))


def _squeezed(body: PublishedNet, x: str, blocks: Sequence[tuple[int, int] | None]) -> onnx.ModelProto:
    """blocks: (squeeze, expand) of a fire module, None for a pooling."""
    for block in blocks:
        x = body.peak(x, high=(body.shapes[x][2] - 3) % 2) if block is None else _fire(body, x, *block)
    x = body.conv(x, 1000)
    return body.classes(body.average(x, body.shapes[x][2]))


def squeezenet_1_0(size: int = 227) -> onnx.ModelProto:
    body = PublishedNet()
    x = body.window(body.picture(size), 96, (7, 7), 2)
    early = (None, (16, 64), (16, 64), (32, 128), None)
    return _squeezed(body, x, (*early, (32, 128), (48, 192), (48, 192), (64, 256), None, (64, 256)))


def squeezenet_1_1(size: int = 227) -> onnx.ModelProto:
    body = PublishedNet()
    x = body.window(body.picture(size), 64, (3, 3), 2)
    early = (None, (16, 64), (16, 64), None, (32, 128), (32, 128), None)
    return _squeezed(body, x, (*early, (48, 192), (48, 192), (64, 256), (64, 256)))


def inception_v3(size: int = 299) -> onnx.ModelProto:
    body = PublishedNet()
    x = body.window(body.picture(size), 32, (3, 3), 2)
    x = body.conv(body.window(x, 32, (3, 3)), 64, 3)
    x = body.window(body.conv(body.peak(x), 80), 192, (3, 3))
    x = body.peak(x)
    for pooled in (32, 64, 64):
        x = _inception_a(body, x, pooled)
    wide = body.conv(body.conv(x, 64), 96, 3)
    x = body.joined(body.window(x, 384, (3, 3), 2), body.window(wide, 96, (3, 3), 2), body.peak(x))
    for width in (128, 160, 160, 192):
        x = _inception_c(body, x, width)
    tall = _across(body, _across(body, body.conv(x, 192), 192, (1, 7)), 192, (7, 1))
    parts = body.window(body.conv(x, 192), 320, (3, 3), 2), body.window(tall, 192, (3, 3), 2)
    x = body.joined(*parts, body.peak(x))
    for _ in range(2):
        x = _inception_e(body, x)
    return body.head(x, 1000)


def _across(body: PublishedNet, x: str, co: int, kernel: tuple[int, int]) -> str:
    """A convolution of rows or columns that keeps the map's size."""
    h, w = kernel[0] // 2, kernel[1] // 2
    return body.window(x, co, kernel, 1, (h, w, h, w))


def _inception_a(body: PublishedNet, x: str, pooled: int) -> str:
    five = body.conv(body.conv(x, 48), 64, 5)
    double = body.conv(body.conv(body.conv(x, 64), 96, 3), 96, 3)
    return body.joined(body.conv(x, 64), five, double, body.conv(body.smooth(x), pooled))


def _inception_c(body: PublishedNet, x: str, width: int) -> str:
    seven = _across(body, _across(body, body.conv(x, width), width, (1, 7)), 192, (7, 1))
    double = _across(body, _across(body, body.conv(x, width), width, (7, 1)), width, (1, 7))
    double = _across(body, _across(body, double, width, (7, 1)), 192, (1, 7))
    return body.joined(body.conv(x, 192), seven, double, body.conv(body.smooth(x), 192))


def _inception_e(body: PublishedNet, x: str) -> str:
    three = body.conv(x, 384)
    double = body.conv(body.conv(x, 448), 384, 3)
    sides = [_across(body, y, 384, kernel) for y in (three, double) for kernel in ((1, 3), (3, 1))]
    return body.joined(body.conv(x, 320), *sides, body.conv(body.smooth(x), 192))


def product(rows: int, depth: int, columns: int, *, wide: bool = False) -> onnx.ModelProto:
    """[rows, depth] by a constant [columns, depth] transposed, as reals; wide: 16 bits on both sides."""
    body = PublishedNet()
    kind_of, weight_kind = (S16, S16) if wide else (S8, S8)
    x = body.input("input_0", (rows, depth), kind_of.dtype)
    source, y = grid(0.03, 0, kind_of), grid(0.05, 0, kind_of)
    reach = (1 << 14) if wide else weight_kind.hi
    weight = body.rng.integers(-reach, reach + 1, (columns, depth)).astype(weight_kind.dtype)
    bias, multiplier = body._bias(columns, depth)
    bias = bias.astype(np.int64 if wide else np.int32)
    kind = FullyConnected(source, weight_kind, y, weight, bias, multiplier, kind_of.lo, kind_of.hi)
    codes = body.add(kind, x)
    return body.model(body.add(Dequantize(y), codes, name="output_0"))
