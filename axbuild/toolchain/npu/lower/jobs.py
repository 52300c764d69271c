"""One part of an operator's output -> the jobs that compute it: kernel, attributes, and the parts they read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.arithmetic import split
from axbuild.toolchain.kinds.base import Box, Kind, Rates, memory_axis, memory_shape
from axbuild.toolchain.kinds.binary import Add
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.reduce import GlobalAveragePool
from axbuild.toolchain.kinds.table import ChannelTable, Softmax
from axbuild.toolchain.npu.program.form import AttrValue

Attr = dict[str, AttrValue]

FLOAT_BYTES = 4
FLOAT_FACTOR = 4
"""how much longer an element-wise engine takes over float32 than over codes"""


@dataclass(frozen=True)
class Part:
    """A box of a tensor in memory layout, and the order in which a kernel wants its axes (memory axes; (): as is)."""

    box: Box
    order: tuple[int, ...] = ()


@dataclass(frozen=True)
class Work:
    """What one job does: sources are (number of the activation, part); params: whether it reads packed constants."""

    kernel: str
    kind: str
    sources: tuple[tuple[int, Part], ...]
    target: Part
    params: bool
    attr: Attr


@dataclass(frozen=True)
class Site:
    """Where a kind stands: ONNX shapes of its activations and output, and the chip's block of output channels."""

    inputs: tuple[Shape, ...]
    output: Shape
    block: int


def works_of(kind: Kind, site: Site, out: Box) -> list[Work]:
    """The jobs for the part `out`: one, or one an input for Concat."""
    return _LOWERINGS[type(kind)](kind, site, out)


def can_lower(kind: Kind) -> bool:
    return type(kind) in _LOWERINGS


def grain(kind: Kind, site: Site, axis: int) -> int:
    """The output's extent along a memory axis may be cut at multiples of this only."""
    if isinstance(kind, Conv) and axis == 3:
        per_group = kind.weight.shape[0] // kind.group
        return site.block if kind.group == 1 or per_group == 1 else math.lcm(site.block, per_group)
    if isinstance(kind, FullyConnected) and axis == memory_axis(len(site.output) - 1, len(site.output)):
        return site.block
    return 1


def cut_axes(kind: Kind, site: Site) -> tuple[int, ...]:
    """Memory axes of the output that tiles may cut, best first.

    Windows whose padding is wider than they are could leave a tile with nothing to read, and mirrored padding reads
    far from where it writes: such axes stay whole.
    """
    axes = kind.tile_axes(*site.inputs)
    if isinstance(kind, Conv | AveragePool | MaxPool):
        window = kind.window
        wide = [max(window.pads[i], window.pads[i + 2]) >= window.extent(i) for i in (0, 1)]
        return tuple(axis for axis in axes if axis not in (1, 2) or not wide[axis - 1])
    if isinstance(kind, Pad):
        rank = len(site.output)
        padded = {memory_axis(a, rank) for a in range(rank) if kind.pads[a] or kind.pads[a + rank]}
        return tuple(axis for axis in axes if axis not in padded)
    return axes


def onnx_order(shape: Shape) -> tuple[int, ...]:
    """Memory axes in ONNX order; () where the two agree."""
    return (0, 3, 1, 2) if len(shape) == 4 else ()


def _sources(kind: Kind, site: Site, out: Box, ordered: bool = False) -> tuple[tuple[int, Part], ...]:
    boxes = kind.input_boxes(out, *site.inputs)
    return tuple(
        (i, Part(box, onnx_order(shape) if ordered else ()))
        for i, (box, shape) in enumerate(zip(boxes, site.inputs, strict=True))
    )


def _simple(kernel: str, attr: Callable[[Any, Site], Attr], params: bool = False) -> Callable[..., list[Work]]:
    """A kind whose one job takes its attributes from the kind alone."""

    def lower(kind: Kind, site: Site, out: Box) -> list[Work]:
        return [Work(kernel, kind.job, _sources(kind, site, out), Part(out), params, attr(kind, site))]

    return lower


def _clamp(kind: Any) -> Attr:
    return {"y_zero": kind.y_zero, "lo": kind.lo, "hi": kind.hi}


def _multiplier(value: float) -> Attr:
    m, t = split(value)
    return {"m": m, "t": t}


def _scale(kind: Quantize | Dequantize) -> Attr:
    return {"scale_bits": int(np.array([kind.scale], "<f4").view("<u4")[0]), "zero": kind.zero}


def _axis(kind: Any, site: Site) -> Attr:
    return {"axis": memory_axis(kind.axis, len(site.output))}


def _window(kind: Conv | MaxPool | AveragePool, site: Site, out: Box) -> Attr:
    """Geometry of the job's own window: its pads are what the part's windows reach beyond what it reads."""
    window = kind.window
    (box,) = kind.input_boxes(out, *site.inputs)
    pads = []
    for i in (0, 1):
        (start, stop), (begin, end) = out.ranges[1 + i], box.ranges[1 + i]
        first = start * window.strides[i] - window.pads[i]
        last = (stop - 1) * window.strides[i] - window.pads[i] + window.extent(i)
        pads.append((begin - first, max(0, last - end)))
    (top, bottom), (left, right) = pads
    return {
        "kernel": window.kernel,
        "strides": window.strides,
        "dilations": window.dilations,
        "pads": (top, left, bottom, right),
    }


def _conv(kind: Conv, site: Site, out: Box) -> list[Work]:
    attr = {**_window(kind, site, out), **_clamp(kind), "x_zero": kind.x_zero, "block": site.block}
    sources = _sources(kind, site, out)
    if kind.weight.shape[1] == 1 and kind.weight.shape[0] == kind.group > 1:
        return [Work("dwconv", "dwconv", sources, Part(out), True, attr)]
    attr["groups"] = sources[0][1].box.shape[3] // int(kind.weight.shape[1])
    return [Work("conv", kind.job, sources, Part(out), True, attr)]


def _fully_connected(kind: FullyConnected, site: Site, out: Box) -> list[Work]:
    attr = {**_clamp(kind), "x_zero": kind.x_zero, "block": site.block}
    target = Part(out, onnx_order(site.output))
    return [Work("fc", kind.job, _sources(kind, site, out, ordered=True), target, True, attr)]


def _matmul(kind: MatMul, site: Site, out: Box) -> list[Work]:
    attr = {**_clamp(kind), **_multiplier(kind.multiplier), "a_zero": kind.a_zero, "b_zero": kind.b_zero}
    target = Part(out, onnx_order(site.output))
    return [Work("matmul", kind.job, _sources(kind, site, out, ordered=True), target, False, attr)]


def _add(kind: Add, site: Site, out: Box) -> list[Work]:
    names = ("a_zero", "b_zero", "a_multiplier", "b_multiplier", "shift")
    attr: Attr = {**_clamp(kind), **{name: getattr(kind, name) for name in names}}
    mixed = len({len(shape) for shape in site.inputs}) > 1
    target = Part(out, onnx_order(site.output) if mixed else ())
    return [Work("add", kind.job, _sources(kind, site, out, ordered=mixed), target, False, attr)]


def _pool(kind: MaxPool | AveragePool, site: Site, out: Box) -> list[Work]:
    attr = {**_window(kind, site, out), "lo": kind.lo, "hi": kind.hi}
    if isinstance(kind, AveragePool):
        attr |= {"x_zero": kind.x_zero, "y_zero": kind.y_zero}
        return [Work("average_pool", kind.job, _sources(kind, site, out), Part(out), True, attr)]
    return [Work("max_pool", kind.job, _sources(kind, site, out), Part(out), False, attr)]


def _reshape(kind: Reshape, site: Site, out: Box) -> list[Work]:
    target = Part(out, onnx_order(site.output))
    return [Work("move", kind.job, _sources(kind, site, out, ordered=True), target, False, {})]


def transposed(kind: Transpose) -> tuple[int, ...]:
    """Memory axes of the input, in the order of the output's memory axes."""
    rank = len(kind.perm)
    in_memory = (0, 2, 3, 1) if rank == 4 else tuple(range(rank))
    return tuple(memory_axis(kind.perm[axis], rank) for axis in in_memory)


def _transpose(kind: Transpose, site: Site, out: Box) -> list[Work]:
    ((_, part),) = _sources(kind, site, out)
    return [Work("move", kind.job, ((0, Part(part.box, transposed(kind))),), Part(out), False, {})]


def _pad(kind: Pad, site: Site, out: Box) -> list[Work]:
    rank = len(site.output)
    pads = [0] * (2 * rank)
    for axis in range(rank):
        place = memory_axis(axis, rank)
        pads[place], pads[rank + place] = kind.pads[axis], kind.pads[axis + rank]
    attr: Attr = {"pads": tuple(pads), "mode": kind.mode, "value": kind.value}
    return [Work("pad", kind.job, _sources(kind, site, out), Part(out), False, attr)]


def _concat(kind: Concat, site: Site, out: Box) -> list[Work]:
    axis = memory_axis(kind.axis, len(site.output))
    works, offset = [], 0
    for i, (part, shape) in enumerate(zip(_sources(kind, site, out), site.inputs, strict=True)):
        start, stop = part[1].box.ranges[axis]
        if stop > start:
            ranges = (*out.ranges[:axis], (start + offset, stop + offset), *out.ranges[axis + 1 :])
            works.append(Work("move", kind.job, ((i, part[1]),), Part(Box(ranges)), False, {}))
        offset += memory_shape(shape)[axis]
    return works


_LOWERINGS: dict[type[Kind], Callable[[Any, Site, Box], list[Work]]] = {
    Conv: _conv,
    FullyConnected: _fully_connected,
    MatMul: _matmul,
    Add: _add,
    MaxPool: _pool,
    AveragePool: _pool,
    GlobalAveragePool: _simple(
        "global_average", lambda k, s: {**_clamp(k), **_multiplier(k.multiplier), "x_zero": k.x_zero}
    ),
    ChannelTable: _simple("channel_table", _axis, params=True),
    Softmax: _simple("softmax", _axis, params=True),
    Quantize: _simple("quantize", lambda k, s: _scale(k)),
    Dequantize: _simple("dequantize", lambda k, s: _scale(k)),
    Requantize: _simple("requantize", lambda k, s: {**_clamp(k), **_multiplier(k.multiplier), "x_zero": k.x_zero}),
    Normalize: _simple("normalize", _axis, params=True),
    Reshape: _reshape,
    Transpose: _transpose,
    Pad: _pad,
    Concat: _concat,
}


def job_cycles(kind: Kind, site: Site, out: Box, rates: Rates, item_bytes: tuple[int, ...]) -> float:
    """Cycles of the part `out` on one engine: its arithmetic, or its traffic through the on-chip ports if longer.

    item_bytes: bytes of an element of each activation, then of the output.
    """
    boxes = (*kind.input_boxes(out, *site.inputs), out)
    traffic = sum(box.elements * size for box, size in zip(boxes, item_bytes, strict=True))
    own = kind.cycles(out, rates, *site.inputs)
    if kind.engine == "teng" and max(item_bytes) == FLOAT_BYTES:
        own *= FLOAT_FACTOR
    return max(own, traffic / rates.ocm_port_bytes)
