"""Multiply-accumulates as jobs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.base import Box, ShapeError, ceil_div, memory_axis
from axbuild.toolchain.kinds.codes import S8, U8, Edge, Grid
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.npu.lower.attr import KernelAttr, mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Part, Work, onnx_order, sources
from axbuild.toolchain.npu.lower.multiplier import multiplier_type, packed_multipliers
from axbuild.toolchain.npu.lower.window import WindowAttr, window_attr

INT4 = "int4"
"""weights of 4 bits: two a byte, the first in the low half"""


@cache
def block_type(weight: str, zero: str, bias: str, scale: str, channels: int, depth: int) -> np.dtype[Any]:
    """The constants of as many output channels as a conv engine makes at once, little-endian, without gaps.

    weight: int8 or int16 [channels, depth], depth the products of one output in the order in which a map lies in
    memory, or INT4 in uint8 [channels, half of it]; zero: what is taken from a channel's weights, "" where that is
    nothing; bias: int32, int64 beside 16-bit operands, float32 where the output is, float64 steps of the output where
    it is real and the output is not; scale: multipliers, uint32 words
    m + t 2^24 in 8 bits, else float64. Channels that an operator does not have are zero.
    """
    bytes_ = (U8.dtype, ceil_div(depth, 2)) if weight == INT4 else (weight, depth)
    rows = ("weight", bytes_[0], (channels, bytes_[1]))
    zeros = [("zero", zero, (channels,))] if zero else []
    fields = [rows, *zeros, ("bias", bias, (channels,)), ("scale", scale, (channels,))]
    return np.dtype([(name, np.dtype(dtype).newbyteorder("<"), shape) for name, dtype, shape in fields])


@dataclass(frozen=True)
class WeightedAttr(KernelAttr):
    """weight, zero, bias, scale: numpy's names of what a block of `block` output channels holds, as `block_type` has
    them; lo, hi: clamp of codes."""

    weight: str
    zero: str
    bias: str
    scale: str
    block: int
    x_zero: int
    y_zero: int
    lo: int
    hi: int

    def block_type(self, depth: int) -> np.dtype[Any]:
        return block_type(self.weight, self.zero, self.bias, self.scale, self.block, depth)


@dataclass(frozen=True)
class ConvAttr(WindowAttr, WeightedAttr):
    """groups: of the job's own part."""

    groups: int


@dataclass(frozen=True)
class MatMulAttr(KernelAttr):
    """The multiplier is m 2^-t."""

    m: int
    t: int
    a_zero: int
    b_zero: int
    y_zero: int
    lo: int
    hi: int


def _zero(edge: Edge) -> int:
    return edge.zero if isinstance(edge, Grid) else 0


def _weight_type(kind: Conv | FullyConnected) -> str:
    return INT4 if kind.w.narrow else kind.w.dtype


def _zero_type(kind: Conv | FullyConnected) -> str:
    return S8.dtype if kind.w_zero else ""


def _weighted(kind: Conv | FullyConnected, block: int) -> dict[str, Any]:
    """The fields of WeightedAttr."""
    return {
        "weight": _weight_type(kind),
        "zero": _zero_type(kind),
        "bias": _bias(kind).dtype.name,
        "scale": multiplier_type(kind.x, kind.w, kind.y),
        "block": block,
        "x_zero": kind.x.zero,
        "y_zero": _zero(kind.y),
        "lo": kind.lo,
        "hi": kind.hi,
    }


def _bias(kind: Conv | FullyConnected) -> Array:
    """[co], as it is packed."""
    if not (kind.real_bias and isinstance(kind.y, Grid)):
        return kind.bias
    steps: Array = kind.bias.astype(np.float64) / np.float64(kind.y.scale)
    return steps


def _blocks(kind: Conv | FullyConnected, weight: Array, block: int) -> Array:
    """uint8 [blocks, bytes of a block]; weight: [co, ...] in the order of memory."""
    channels, scale = weight.shape[0], packed_multipliers(kind.multiplier, kind.x, kind.w, kind.y)
    rows, bias = weight.reshape(channels, -1), _bias(kind)
    types = _weight_type(kind), _zero_type(kind), bias.dtype.name, scale.dtype.name
    layout = block_type(*types, block, rows.shape[1])
    blocks = np.zeros(ceil_div(channels, block), layout)
    arrays = {"weight": halves(rows) if kind.w.narrow else rows, "bias": bias, "scale": scale}
    if kind.w_zero:
        arrays["zero"] = np.array(kind.w_zero, S8.dtype)
    for name, array in arrays.items():
        filled = np.zeros((len(blocks) * block, *array.shape[1:]), array.dtype)
        filled[:channels] = array
        blocks[name] = filled.reshape(blocks[name].shape)
    return blocks.view(np.uint8).reshape(len(blocks), layout.itemsize)


def halves(rows: Array) -> Array:
    """Codes of 4 bits [n, depth] two a byte, uint8 [n, half of it]."""
    even = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).astype(np.uint8) & 0xF
    packed: Array = even[:, ::2] | even[:, 1::2] << 4
    return packed


def _conv_works(kind: Conv, geometry: Geometry, out: Box) -> list[Work]:
    return [_conv_work(kind, geometry, part) for part in _by_group(kind, geometry.block, out)]


def _by_group(kind: Conv, block: int, out: Box) -> list[Box]:
    """A part of the output as parts of whole groups, and at its ends parts of one group."""
    *others, (start, stop) = out.ranges
    group = kind.weight.shape[0] // kind.group
    first, last = min(ceil_div(start, group) * group, stop), max(stop // group * group, start)
    edges = sorted({start, first, last, stop})
    if any(edge % block for edge in edges[:-1]):
        raise ShapeError(f"{kind.what} cannot be cut at channels {edges[:-1]} into blocks of {block}.")
    return [Box((*others, channels)) for channels in itertools.pairwise(edges)]


def _conv_work(kind: Conv, geometry: Geometry, out: Box) -> Work:
    reads = sources(kind, geometry, out)
    groups = reads[0][1].box.shape[3] // int(kind.weight.shape[1])
    fields = {**_weighted(kind, geometry.block), **window_attr(kind.window, kind, geometry, out)}
    name = "dwconv" if kind.depthwise and kind.weight.shape[0] == kind.group else "conv"
    return Work(name, name, reads, Part(out), True, ConvAttr(**fields, groups=groups))


def _conv_pack(kind: Conv, block: int, rank: int) -> Pack:
    return Pack(_blocks(kind, kind.weight.transpose(0, 2, 3, 1), block), (memory_axis(1, rank), -1), block)


def _fully_connected_works(kind: FullyConnected, geometry: Geometry, out: Box) -> list[Work]:
    attr = WeightedAttr(**_weighted(kind, geometry.block))
    target = Part(out, onnx_order(geometry.output))
    return [Work("fc", kind.job, sources(kind, geometry, out, ordered=True), target, True, attr)]


def _fully_connected_pack(kind: FullyConnected, block: int, rank: int) -> Pack:
    return Pack(_blocks(kind, kind.weight, block), (memory_axis(rank - 1, rank), -1), block)


def _matmul_works(kind: MatMul, geometry: Geometry, out: Box) -> list[Work]:
    m, t = mantissa(kind.multiplier)
    attr = MatMulAttr(m, t, kind.a.zero, kind.b.zero, _zero(kind.y), kind.lo, kind.hi)
    target = Part(out, onnx_order(geometry.output))
    return [Work("matmul", kind.job, sources(kind, geometry, out, ordered=True), target, False, attr)]


CONV = Lowering(_conv_works, _conv_pack)
FULLY_CONNECTED = Lowering(_fully_connected_works, _fully_connected_pack)
MATMUL = Lowering(_matmul_works)
