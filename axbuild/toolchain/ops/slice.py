"""A part of a tensor."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_input, input_of, is_activation, needed_input, shape_of
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import ElementType
from axbuild.toolchain.kinds.mover import Slice
from axbuild.toolchain.ops.base import Limit
from axbuild.toolchain.ops.layout import MovingOp

FARTHEST = 2**31 - 1
"""for exporters' "to the end", which is anything up to 2^63 - 1"""


class SliceOp(MovingOp):
    """Ranges along axes, by steps that may be negative."""

    onnx = "Slice"
    soi = (1, 2, 3, 4)
    limits = (
        Limit(
            "its starts, ends, axes and steps must be constants",
            lambda n: not any(is_activation(input_of(n, i)) for i in (1, 2, 3, 4)),
        ),
    )
    cases = (
        "test_slice",
        "test_slice_default_axes",
        "test_slice_default_steps",
        "test_slice_end_out_of_bounds",
        "test_slice_neg",
        "test_slice_neg_steps",
        "test_slice_negative_axes",
    )

    def kind(self, node: ir.Node, elements: ElementType) -> Kind:
        shape = shape_of(needed_input(node, 0))
        starts, ends = (_integers(constant_input(node, index)) for index in (1, 2))
        axes = _integers(constant_input(node, 3)) or tuple(range(len(starts)))
        steps = _integers(constant_input(node, 4)) or (1,) * len(starts)
        axes = tuple(axis % len(shape) for axis in axes)
        return Slice(elements, _bounded(starts), _bounded(ends), axes, steps)


def _integers(array: Array | None) -> tuple[int, ...]:
    return () if array is None else tuple(int(item) for item in array.reshape(-1))


def _bounded(positions: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.clip(position, -FARTHEST, FARTHEST)) for position in positions)
