"""Multiply-accumulate with constant weights: convolutions and fully connected layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import Array, Kind


@dataclass(frozen=True, eq=False)
class Conv(Kind):
    """y = clamp(R(sum w (x - x_zero) + bias)), 2-D, NCHW.

    weight: int8 [co, ci / group, kh, kw]; bias: int32 [co]; multiplier: float64 [co], each m 2^-t exactly.
    pads: top, left, bottom, right. The padding value is x_zero. lo, hi: clamp of the output codes.
    """

    op_type: ClassVar[str] = "AxQuantizedConv"
    job: ClassVar[str] = "conv"
    engine: ClassVar[str] = "conv"

    weight: Array
    bias: Array
    multiplier: Array
    x_zero: int
    y_zero: int
    lo: int
    hi: int
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    group: int


@dataclass(frozen=True, eq=False)
class FullyConnected(Kind):
    """y = clamp(R(x @ w^T + bias)) along the last axis. weight: int8 [co, k]; bias: int32 [co]; multiplier: float64 [co]."""

    op_type: ClassVar[str] = "AxFullyConnected"
    job: ClassVar[str] = "fc"
    engine: ClassVar[str] = "conv"

    weight: Array
    bias: Array
    multiplier: Array
    x_zero: int
    y_zero: int
    lo: int
    hi: int


@dataclass(frozen=True, eq=False)
class MatMul(Kind):
    """y = clamp(R(sum (a - a_zero)(b - b_zero))) of two activations, numpy's broadcasting. multiplier: one float64."""

    op_type: ClassVar[str] = "AxQuantizedMatMul"
    job: ClassVar[str] = "matmul"
    engine: ClassVar[str] = "conv"

    multiplier: float
    a_zero: int
    b_zero: int
    y_zero: int
    lo: int
    hi: int
