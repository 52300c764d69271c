"""YUV pictures: their bytes, and the exact conversion to the model's channels that is compiled in.

    channel i = clamp(floor((w[i] . (Y, U, V) + bias[i]) 2^-bits[i] + 0.5), 0, 255),   w: whole numbers of 16 bits

Chroma of a block of pixels is the same in all of them (nearest). FullRange and LimitedRange are ITU-R BT.601.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from axbuild.errors import AxError, counted
from axbuild.toolchain.graph import Array, Shape

NO_CSC, MATRIX, FULL, LIMITED = "NoCSC", "Matrix", "FullRange", "LimitedRange"
BITS = 14
"""most bits behind the point of a coefficient"""
LEVELS = 256.0
"""of the bias in csc_mat, which is a fraction of full scale"""

_FULL = {"R": (1.0, 0.0, 1.402), "G": (1.0, -0.344136, -0.714136), "B": (1.0, 1.772, 0.0)}
"""BT.601: channel -> coefficients of Y, U - 128 and V - 128"""
_LUMA_SCALE, _CHROMA_SCALE, _BLACK = 255 / 219, 255 / 224, 16
"""of LimitedRange: Y of 16 to 235, chroma of 16 to 240"""


class ColourError(AxError):
    """AX407: a colour conversion that cannot be what it is asked to be."""

    code = "AX407"


@dataclass(frozen=True)
class YuvFormat:
    """halved: whether chroma stands in a plane below Y at half the height, or between the Ys of a row; v_first: whether
    V comes before U; first: place of Y in a pair of bytes of a row."""

    halved: bool
    v_first: bool = False
    first: int = 0

    def source_shape(self, shape: Shape, name: str) -> Shape:
        """NHWC, of a picture [n, 3, h, w]; raises ColourError where chroma blocks do not fit it."""
        n, _, height, width = shape
        if width % 2 or (self.halved and height % 2):
            size = "an even height and width" if self.halved else "an even width"
            raise ColourError(f"{name} needs pictures of {size}, and the model's are {height} x {width}.")
        return (n, height * 3 // 2, width, 1) if self.halved else (n, height, width, 2)

    def planes(self, source: Array) -> Array:
        """uint8 [1, 3, h, w] of Y, U, V, from the bytes in `source_shape`."""
        if self.halved:
            height = source.shape[1] * 2 // 3
            luma, chroma = source[:, :height, :, 0], source[:, height:].reshape(1, height // 2, -1, 2)
            chroma = chroma.repeat(2, axis=1).repeat(2, axis=2)
        else:
            luma = source[..., self.first]
            chroma = source[..., 1 - self.first].reshape(*luma.shape[:2], -1, 2).repeat(2, axis=2)
        u, v = chroma[..., int(self.v_first)], chroma[..., 1 - int(self.v_first)]
        return np.stack([luma, u, v], axis=1)

    def source(self, planes: Array) -> Array:
        """The way back: bytes of float64 [1, 3, h, w], the chroma of a block averaged."""
        _, _, height, width = planes.shape
        luma = _bytes(planes[:, 0])
        rows = 2 if self.halved else 1
        blocks = planes[:, 1:].reshape(1, 2, height // rows, rows, width // 2, 2).sum(axis=(3, 5)) / (2 * rows)
        u, v = _bytes(blocks[0])
        chroma = np.stack([v, u] if self.v_first else [u, v], axis=-1).reshape(1, -1, width)
        if self.halved:
            return np.concatenate([luma, chroma], axis=1)[..., np.newaxis]
        return np.stack([chroma, luma] if self.first else [luma, chroma], axis=-1)


def _bytes(values: Array) -> Array:
    rounded: Array = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


YUV = {
    "YUV420SP": YuvFormat(halved=True),
    "YVU420SP": YuvFormat(halved=True, v_first=True),
    "YUYV422": YuvFormat(halved=False),
    "UYVY422": YuvFormat(halved=False, first=1),
}


@dataclass(frozen=True)
class Conversion:
    """Of Y, U, V to the model's channels. matrix: reals [3, 4], the last column in levels of 0 to 255."""

    matrix: tuple[tuple[float, ...], ...]

    @property
    def bits(self) -> list[int]:
        """Of each row: bits behind the point, so that its largest coefficient fits 16 bits."""
        return [_bits(row[:3]) for row in self.matrix]

    @property
    def weight(self) -> Array:
        """int16 [3, 3]"""
        rows = [[round(math.ldexp(value, bits)) for value in row[:3]] for row, bits in self._rows()]
        return np.array(rows, np.int16)

    @property
    def bias(self) -> Array:
        """int64 [3]"""
        return np.array([round(math.ldexp(row[3], bits)) for row, bits in self._rows()], np.int64)

    def _rows(self) -> list[tuple[tuple[float, ...], int]]:
        return list(zip(self.matrix, self.bits, strict=True))

    def picture(self, planes: Array) -> Array:
        """uint8 [1, 3, h, w], the model's channels of Y, U, V: what the NPU computes."""
        acc = np.einsum("oc,nchw->nohw", self.weight.astype(np.int64), planes.astype(np.int64))
        scale = np.ldexp(1.0, -np.array(self.bits)).reshape(1, 3, 1, 1)
        levels = np.floor((acc + self.bias.reshape(1, 3, 1, 1)) * scale + 0.5)
        picture: Array = np.clip(levels, 0, 255).astype(np.uint8)
        return picture

    def planes(self, picture: Array) -> Array:
        """The way back, float64: Y, U, V of the model's channels. Raises ColourError for a matrix without an inverse.

        By hand, since a library's sums need not be the same on every machine.
        """
        a, b, c = (row[:3] for row in self.matrix)
        columns = [_cross(b, c), _cross(c, a), _cross(a, b)]
        determinant = sum(x * y for x, y in zip(a, columns[0], strict=True))
        if not determinant:
            raise ColourError("csc_mat has no inverse, so that no picture can be turned into its source.")
        shifted = [picture[:, i].astype(np.float64) - row[3] for i, row in enumerate(self.matrix)]
        planes = [
            sum(column[i] / determinant * level for column, level in zip(columns, shifted, strict=True))
            for i in range(3)
        ]
        return np.stack([np.asarray(plane) for plane in planes], axis=1)


def _cross(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _bits(row: Sequence[float]) -> int:
    largest = max(map(abs, row))
    bits = BITS
    while round(math.ldexp(largest, bits)) >= 1 << 15:
        bits -= 1
    return bits


def conversion(mode: str, csc_mat: Sequence[float], tensor_format: str) -> Conversion:
    """csc_mat: twelve numbers by rows, a row for each channel of `tensor_format`: of Y, U, V, and a bias.

    Raises ColourError.
    """
    if mode == NO_CSC:
        raise ColourError(
            "csc_mode NoCSC does not make a picture of YUV: it must be FullRange, LimitedRange or Matrix."
        )
    if mode == MATRIX:
        _require_matrix(csc_mat)
        rows = [tuple(csc_mat[start : start + 4]) for start in (0, 4, 8)]
        return Conversion(tuple((*row[:3], row[3] * LEVELS) for row in rows))
    luma, chroma, black = (_LUMA_SCALE, _CHROMA_SCALE, _BLACK) if mode == LIMITED else (1.0, 1.0, 0)
    found = []
    for channel in tensor_format:
        y, u, v = _FULL[channel]
        y, u, v = y * luma, u * chroma, v * chroma
        found.append((y, u, v, -black * y - 128 * (u + v)))
    return Conversion(tuple(found))


def _require_matrix(csc_mat: Sequence[float]) -> None:
    if len(csc_mat) != 12:
        raise ColourError(
            f"csc_mat has {counted(len(csc_mat), 'value')}; csc_mode Matrix takes 12, three rows of four."
        )
    for place, value in enumerate(csc_mat):
        low, high = (-9, 8) if place % 4 == 3 else (-524289, 524288)
        if not low < value < high:
            what = "a bias, a fraction of full scale," if place % 4 == 3 else "a coefficient"
            raise ColourError(f"csc_mat has {value:g} at place {place}, and {what} is between {low} and {high}.")
