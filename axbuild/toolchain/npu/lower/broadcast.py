"""Jobs over two activations that ONNX broadcasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.broadcast import Broadcast
from axbuild.toolchain.npu.lower.attr import KernelAttr
from axbuild.toolchain.npu.lower.base import Geometry, Part, Work, onnx_order, sources


def broadcasting(kernel: Callable[[Any], str], attr: Callable[[Any], KernelAttr]) -> Callable[..., list[Work]]:
    """The works of a kind whose one job of the kernel named `kernel(kind)` joins two activations.

    Axes align at the right in ONNX order: where ranks differ, all three operands take that order.
    """

    def works(kind: Broadcast, geometry: Geometry, out: Box) -> list[Work]:
        mixed = len({len(shape) for shape in geometry.inputs}) > 1
        target = Part(out, onnx_order(geometry.output) if mixed else ())
        return [Work(kernel(kind), kind.job, sources(kind, geometry, out, ordered=mixed), target, False, attr(kind))]

    return works
