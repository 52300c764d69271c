"""Jobs over activations and constants that ONNX broadcasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.base import Box, memory_axis
from axbuild.toolchain.kinds.broadcast import Broadcast
from axbuild.toolchain.npu.lower.attr import KernelAttr
from axbuild.toolchain.npu.lower.base import Geometry, Pack, Part, Work, little_endian, onnx_order, sources


def broadcasting(kernel: Callable[[Any], str], attr: Callable[[Any], KernelAttr]) -> Callable[..., list[Work]]:
    """The works of a kind whose one job of the kernel named `kernel(kind)` joins two activations.

    Axes align at the right in ONNX order: where ranks differ, all three operands take that order.
    """

    def works(kind: Broadcast, geometry: Geometry, out: Box) -> list[Work]:
        mixed = len({len(shape) for shape in geometry.inputs}) > 1
        target = Part(out, onnx_order(geometry.output) if mixed else ())
        return [Work(kernel(kind), kind.job, sources(kind, geometry, out, ordered=mixed), target, False, attr(kind))]

    return works


def packed_operand(constant: Array, rank: int) -> Pack:
    """A constant beside an output of that rank: in ONNX order, from the first axis along which it differs."""
    data = constant.reshape((1,) * (rank - constant.ndim) + constant.shape)
    first = next((axis for axis, size in enumerate(data.shape) if size > 1), rank - 1)
    axes = (memory_axis(axis, rank) if data.shape[axis] > 1 else -1 for axis in range(first, rank))
    return Pack(little_endian(data.reshape(data.shape[first:])), tuple(axes))
