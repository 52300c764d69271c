"""A detector of the size of YOLOv5s as a net of kinds with random weights."""

from __future__ import annotations

import numpy as np
import onnx
from nets import grid
from published_nets import PublishedNet

from axbuild.toolchain.kinds.codes import U8
from axbuild.toolchain.kinds.pool import MaxPool
from axbuild.toolchain.kinds.table import Table

CLASSES = 80


class Detector(PublishedNet):
    """Layers of it: a convolution with SiLU, a block that adds, a cross-stage block, and twice the size."""

    def silu(self, x: str, co: int, k: int = 1, stride: int = 1) -> str:
        x = self.conv(x, co, k, stride, linear=True)
        y = grid(0.03, 10)
        return self.made(self.add(Table.of("Silu", lambda v: v / (1 + np.exp(-v)), self.grids[x], y), x), y)

    def cross(self, x: str, co: int, depth: int, add: bool = True) -> str:
        half = co // 2
        y, other = self.silu(x, half), self.silu(x, half)
        for _ in range(depth):
            z = self.silu(self.silu(y, half), half, 3)
            y = self.plus(y, z) if add else z
        return self.silu(self.joined(y, other), co)

    def pooled(self, x: str, co: int) -> str:
        y = self.silu(x, co // 2)
        peaks = [y]
        for _ in range(3):
            kind = MaxPool(U8, (5, 5), (1, 1), (2, 2, 2, 2), (1, 1), U8.lo, U8.hi)
            peaks.append(self.made(self.add(kind, peaks[-1]), self.grids[y]))
        return self.silu(self.joined(*peaks), co)


def yolo(size: int = 640) -> onnx.ModelProto:
    """The backbone and the upper neck of YOLOv5s with its three heads: about 8 G multiply-accumulates at 640."""
    body = Detector()
    x = body.silu(body.silu(body.picture(size), 32, 6, 2), 64, 3, 2)
    x = body.cross(x, 64, 1)
    eighth = body.cross(body.silu(x, 128, 3, 2), 128, 2)
    sixteenth = body.cross(body.silu(eighth, 256, 3, 2), 256, 3)
    x = body.pooled(body.cross(body.silu(sixteenth, 512, 3, 2), 512, 1), 512)
    deep = body.silu(x, 256)
    middle = body.silu(body.cross(sixteenth, 256, 1, add=False), 128)
    fine = body.cross(body.joined(eighth, body.silu(eighth, 128)), 128, 1, add=False)
    middle = body.cross(body.joined(body.silu(fine, 128, 3, 2), middle), 256, 1, add=False)
    deep = body.cross(body.joined(body.silu(middle, 256, 3, 2), deep), 512, 1, add=False)
    return body.model(*(body.conv(y, 3 * (CLASSES + 5), linear=True) for y in (fine, middle, deep)))
