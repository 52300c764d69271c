"""The kinds that make the model's channels of the bytes of a YUV picture, as `data/colour.py` defines it.

Y is sliced out, chroma is sliced out, laid out as pairs and repeated, and one 1 x 1 convolution with weights of 16 bits
is the matrix; where V comes first, its columns are exchanged and no byte is moved for it.
"""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.data.colour import Conversion, YuvFormat
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.codes import S16, U8, Grid
from axbuild.toolchain.kinds.mac import Conv
from axbuild.toolchain.kinds.mover import Concat, Reshape, Slice, Take, Transpose
from axbuild.toolchain.npu.plan.prelude import Prelude

LEVELS = Grid(1.0, 0, U8)
"""what the bytes of a picture stand for"""
NHWC_TO_NCHW = (0, 3, 1, 2)


def add_conversion(prelude: Prelude, shape: Shape, form: YuvFormat, conversion: Conversion) -> None:
    """From the source to the picture that the model sees, [n, 3, h, w] = `shape`."""
    _, _, height, width = shape
    luma, chroma = _parts(prelude, form, height)
    luma = prelude.add(Transpose(U8, NHWC_TO_NCHW), luma)
    rows = height // 2 if form.halved else height
    pairs = prelude.add(Reshape(U8, (-1, rows, width // 2, 2)), chroma)
    chroma = prelude.add(Transpose(U8, NHWC_TO_NCHW), pairs)
    if form.halved:
        chroma = prelude.add(Take(U8, 2, _twice(height)), chroma)
    chroma = prelude.add(Take(U8, 3, _twice(width)), chroma)
    prelude.add(Concat(U8, 1, 2), luma, chroma)
    prelude.add(_matrix(conversion, v_first=form.v_first))


def _parts(prelude: Prelude, form: YuvFormat, height: int) -> tuple[int, int]:
    """Y and chroma, NHWC."""
    axis, middle, end = (1, height, height * 3 // 2) if form.halved else (3, 1, 2)
    first, second = (prelude.add(Slice(U8, (a,), (b,), (axis,), (1,)), 0) for a, b in ((0, middle), (middle, end)))
    return (second, first) if form.first else (first, second)


def _twice(size: int) -> tuple[int, ...]:
    return tuple(place // 2 for place in range(size))


def _matrix(conversion: Conversion, *, v_first: bool) -> Conv:
    columns = [0, 2, 1] if v_first else [0, 1, 2]
    weight = np.ascontiguousarray(conversion.weight[:, columns].reshape(3, 3, 1, 1))
    multiplier = np.ldexp(1.0, -np.array(conversion.bits))
    grids = (LEVELS, S16, LEVELS)
    return Conv(*grids, weight, conversion.bias, multiplier, U8.lo, U8.hi, (1, 1), (0, 0, 0, 0), (1, 1), 1)
