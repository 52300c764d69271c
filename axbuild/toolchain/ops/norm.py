"""Normalisation by the mean and deviation of the elements themselves."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    input_of,
    integer,
    is_activation,
    is_used,
    needed_input,
    real,
    shape_of,
)
from axbuild.toolchain.kinds.norm import LayerNorm
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step


def _normalised(node: ir.Node) -> tuple[int, ...]:
    """Sizes of the last axes, which are normalised together."""
    shape = shape_of(needed_input(node, 0))
    return shape[integer(node, "axis", -1) % len(shape) :]


def _fitted(node: ir.Node, index: int, default: float) -> Array | None:
    """float64 of the normalised axes' shape; None for a constant that does not broadcast to it."""
    array, shape = constant_input(node, index), _normalised(node)
    given = np.asarray(default) if array is None else array
    if given.ndim > len(shape) or any(s not in (1, t) for s, t in zip(given.shape[::-1], shape[::-1], strict=False)):
        return None
    return np.broadcast_to(given.astype(np.float64), shape).copy()


class LayerNormalizationOp(Op):
    """(x - mean) / sqrt(variance + epsilon) scale + bias over the last axes."""

    onnx = "LayerNormalization"
    clamps = True
    limits = (
        Limit(
            "it must leave the first axis as it is",
            lambda n: len(_normalised(n)) < len(shape_of(needed_input(n, 0))),
        ),
        Limit(
            "its scale and bias must be constants",
            lambda n: not is_activation(input_of(n, 1)) and not is_activation(input_of(n, 2)),
        ),
        Limit(
            "its scale and bias must fit the normalised axes",
            lambda n: _fitted(n, 1, 1.0) is not None and _fitted(n, 2, 0.0) is not None,
        ),
        Limit(
            "its mean and deviation cannot be computed",
            lambda n: not any(is_used(output) for output in n.outputs[1:]),
        ),
    )
    cases = (
        "test_layer_normalization_2d_axis1",
        "test_layer_normalization_3d_axis2_epsilon",
        "test_layer_normalization_4d_axis3",
        "test_layer_normalization_default_axis",
    )

    def lower(self, q: SettledNode) -> list[Step]:
        weight, bias = _fitted(q.node, 1, 1.0), _fitted(q.node, 2, 0.0)
        if weight is None or bias is None:
            raise ValueError("scale or bias does not fit")
        kind = LayerNorm.of(q.x(), q.y, weight, bias, real(q.node, "epsilon", 1e-5), q.lo, q.hi)
        return q.single(kind, q.input(0))
