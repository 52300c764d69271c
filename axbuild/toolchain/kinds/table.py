"""Look-ups: 256 codes in, 256 codes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import Array, Kind


@dataclass(frozen=True, eq=False)
class ChannelTable(Kind):
    """y = table[channel, x]: dequantise, normalise and quantise of a U8 source at once. table: uint8 [c, 256]; axis: ONNX axis."""

    op_type: ClassVar[str] = "AxQuantizedNormalize"
    job: ClassVar[str] = "lut"
    engine: ClassVar[str] = "teng"

    table: Array
    axis: int


@dataclass(frozen=True, eq=False)
class Softmax(Kind):
    """y = (2 L E + S) // (2 S), E = table[max - x], L = 255, scale 1/255, zero 0. table: int64 [256] of exp(-s d) 2^24."""

    op_type: ClassVar[str] = "AxQuantizedSoftmax"
    job: ClassVar[str] = "softmax"
    engine: ClassVar[str] = "teng"

    table: Array
    axis: int
