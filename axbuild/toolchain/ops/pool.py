"""Pooling over windows."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, integer, integers, is_used, needed_input, shape_of
from axbuild.toolchain.kinds.float_pool import FloatAveragePool, FloatMaxPool
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.conv import EXPLICIT_PADS, TWO_DIMENSIONAL, Pads, pair, window_pads


def resolved_pads(node: ir.Node) -> Pads:
    """Pads with which the floor formula gives the node's own output size: what ceil_mode adds is in them."""
    shape, out = shape_of(needed_input(node, 0)), shape_of(node.outputs[0])
    begin, end = window_pads(node)[:2], list(window_pads(node)[2:])
    kernel, strides, dilations = pair(node, "kernel_shape"), pair(node, "strides"), pair(node, "dilations")
    for axis in (0, 1):
        span = (out[axis + 2] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1
        end[axis] = max(end[axis], span - shape[axis + 2] - begin[axis])
    return begin[0], begin[1], end[0], end[1]


class MaxPoolOp(Op):
    """Largest value of each window; with dilations, of the gathered taps."""

    onnx = "MaxPool"
    clamps = True
    reals_too = True
    limits = (
        TWO_DIMENSIONAL,
        EXPLICIT_PADS,
        Limit(
            "its second output (indices) cannot be computed",
            lambda n: not any(is_used(output) for output in n.outputs[1:]),
        ),
    )
    cases = (
        "test_maxpool_2d_default",
        "test_maxpool_2d_pads",
        "test_maxpool_2d_strides",
        "test_maxpool_2d_ceil",
        "test_maxpool_2d_ceil_output_size_reduce_by_one",
        "test_maxpool_2d_dilations",
        "test_maxpool_2d_precomputed_pads",
        "test_maxpool_2d_precomputed_strides",
    )

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),)

    def lower(self, q: SettledNode) -> list[Step]:
        node = q.node
        kernel, strides, dilations = pair(node, "kernel_shape"), pair(node, "strides"), pair(node, "dilations")
        window = kernel, strides, resolved_pads(node), dilations
        return q.single(FloatMaxPool(*window) if q.real else MaxPool(q.y.type, *window, q.lo, q.hi))


def _counts(node: ir.Node, axis: int) -> Array:
    """int64 [out]: elements of each window along one spatial axis that count in the mean."""
    size, out = shape_of(needed_input(node, 0))[axis + 2], shape_of(node.outputs[0])[axis + 2]
    begin, end = window_pads(node)[axis], window_pads(node)[axis + 2]
    starts = np.arange(out) * pair(node, "strides")[axis] - begin
    stops = starts + pair(node, "kernel_shape")[axis]
    first, last = (-begin, size + end) if integer(node, "count_include_pad", 0) else (0, size)
    return np.minimum(stops, last) - np.maximum(starts, first)


class AveragePoolOp(Op):
    """Mean of each window. One that leaves padding out becomes one that counts it, times a map, under one rounding."""

    onnx = "AveragePool"
    clamps = True
    reals_too = True
    limits = (
        TWO_DIMENSIONAL,
        EXPLICIT_PADS,
        Limit("its dilations must be 1", lambda n: set(integers(n, "dilations", (1, 1))) == {1}),
    )
    cases = (
        "test_averagepool_2d_default",
        "test_averagepool_2d_pads",
        "test_averagepool_2d_pads_count_include_pad",
        "test_averagepool_2d_strides",
        "test_averagepool_2d_ceil",
        "test_averagepool_2d_ceil_last_window_starts_on_pad",
        "test_averagepool_2d_precomputed_pads",
        "test_averagepool_2d_precomputed_pads_count_include_pad",
        "test_averagepool_2d_precomputed_strides",
    )

    def factor_of(self, node: ir.Node, factor: Array) -> Array | None:
        """A positive map: a multiplier stands at every position anyway."""
        shape = (1, 1, *shape_of(node.outputs[0])[2:])
        if factor.ndim > 4 or not np.all(factor > 0) or np.broadcast_shapes(factor.shape, shape) != shape:
            return None
        positions: Array = np.broadcast_to(factor.astype(np.float64), shape)[0, 0]
        return positions

    def lower(self, q: SettledNode) -> list[Step]:
        counts = _counts(q.node, 0)[:, None] * _counts(q.node, 1)[None, :]
        if q.fused.factor is not None:
            counts = counts / q.fused.factor
        kernel, strides = pair(q.node, "kernel_shape"), pair(q.node, "strides")
        window = kernel, strides, resolved_pads(q.node)
        if q.real:
            return q.single(FloatAveragePool(counts.astype(np.float64), *window))
        return q.single(AveragePool.of(q.x(), q.y, counts, q.lo, q.hi, *window))
