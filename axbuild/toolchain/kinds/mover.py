"""Bits only move. dtype is the element type that moves ("uint8" codes, or "float32" at a border)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import Kind


@dataclass(frozen=True, eq=False)
class Reshape(Kind):
    """ONNX Reshape semantics on ONNX order; `shape` is static, its dim 0 may be -1 for the batch."""

    op_type: ClassVar[str] = "AxReshape"
    job: ClassVar[str] = "layout"
    engine: ClassVar[str] = "cv"

    shape: tuple[int, ...]
    dtype: str = "uint8"


@dataclass(frozen=True, eq=False)
class Transpose(Kind):
    """`perm` as in ONNX, on ONNX axes."""

    op_type: ClassVar[str] = "AxTranspose"
    job: ClassVar[str] = "layout"
    engine: ClassVar[str] = "cv"

    perm: tuple[int, ...]
    dtype: str = "uint8"


@dataclass(frozen=True, eq=False)
class Pad(Kind):
    """`pads` as in ONNX (all begins, then all ends; never negative); mode constant, reflect or edge; `value` is a code."""

    op_type: ClassVar[str] = "AxPad"
    job: ClassVar[str] = "layout"
    engine: ClassVar[str] = "cv"

    pads: tuple[int, ...]
    mode: str
    value: int
    dtype: str = "uint8"


@dataclass(frozen=True, eq=False)
class Concat(Kind):
    """`axis` on ONNX axes, not negative; every input already has the output's scale."""

    op_type: ClassVar[str] = "AxConcat"
    job: ClassVar[str] = "layout"
    engine: ClassVar[str] = "cv"

    axis: int
    dtype: str = "uint8"
