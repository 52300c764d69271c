"""Normalisation by the mean and deviation of the elements themselves."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    Shape,
    constant_input,
    input_of,
    integer,
    is_activation,
    is_used,
    needed_input,
    real,
    shape_of,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.float_norm import FloatNorm
from axbuild.toolchain.kinds.norm import LayerNorm
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.gain import Gain, into


def _normalised(node: ir.Node) -> tuple[int, ...]:
    """Sizes of the last axes, which are normalised together."""
    shape = shape_of(needed_input(node, 0))
    return shape[integer(node, "axis", -1) % len(shape) :]


def _fitted(node: ir.Node, index: int, default: float) -> Array | None:
    """float64 of the normalised axes' rank; None for a constant that does not broadcast to them."""
    array, shape = constant_input(node, index), _normalised(node)
    given = np.asarray(default) if array is None else array
    if given.ndim > len(shape) or any(s not in (1, t) for s, t in zip(given.shape[::-1], shape[::-1], strict=False)):
        return None
    return _uniform(given.astype(np.float64).reshape((1,) * (len(shape) - given.ndim) + given.shape))


def _gain(node: ir.Node, axis: int) -> Gain | None:
    """Into scale and bias: their axes are the normalised ones."""
    last = len(shape_of(node.outputs[0]))
    return into(node, {1: axis - last, 2: axis - last}) if axis >= last - len(_normalised(node)) else None


def _uniform(array: Array) -> Array:
    """The array with one element along every axis along which all are equal: a value for a channel is stored once."""
    for axis in range(array.ndim):
        first = array.take([0], axis)
        if np.array_equal(np.broadcast_to(first, array.shape), array):
            array = first
    return array


LEAVES_FIRST = Limit(
    "it must leave the first axis as it is",
    lambda n: len(_normalised(n)) < len(shape_of(needed_input(n, 0))),
)


def _lowered(
    q: SettledNode, sizes: Shape, weight: Array, bias: Array, epsilon: float, subtract_mean: bool = True
) -> list[Step]:
    kind: Kind
    if q.real:
        kind = FloatNorm.of(sizes, weight, bias, epsilon, subtract_mean)
    else:
        kind = LayerNorm.of(q.x(), q.y, sizes, weight, bias, epsilon, q.lo, q.hi, subtract_mean, q.gain)
    return q.single(kind, q.input(0))


class LayerNormalizationOp(Op):
    """(x - mean) / sqrt(variance + epsilon) scale + bias over the last axes."""

    onnx = "LayerNormalization"
    clamps = True
    reals_too = True
    levels = True
    limits = (
        LEAVES_FIRST,
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

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        return _gain(node, axis)

    def lower(self, q: SettledNode) -> list[Step]:
        weight, bias = _fitted(q.node, 1, 1.0), _fitted(q.node, 2, 0.0)
        if weight is None or bias is None:
            raise ValueError("scale or bias does not fit")
        return _lowered(q, _normalised(q.node), weight, bias, real(q.node, "epsilon", 1e-5))


class RMSNormalizationOp(Op):
    """x / sqrt(mean of x^2 + epsilon) scale over the last axes."""

    onnx = "RMSNormalization"
    clamps = True
    reals_too = True
    levels = True
    limits = (
        LEAVES_FIRST,
        Limit("its scale must be a constant", lambda n: not is_activation(input_of(n, 1))),
        Limit("its scale must fit the normalised axes", lambda n: _fitted(n, 1, 1.0) is not None),
    )
    cases = (
        "test_rms_normalization_2d_axis1",
        "test_rms_normalization_3d_axis2_epsilon",
        "test_rms_normalization_4d_axis3",
        "test_rms_normalization_default_axis",
    )

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        return _gain(node, axis)

    def lower(self, q: SettledNode) -> list[Step]:
        weight = _fitted(q.node, 1, 1.0)
        if weight is None:
            raise ValueError("the scale does not fit")
        epsilon = real(q.node, "epsilon", 1e-5)
        return _lowered(q, _normalised(q.node), weight, np.zeros_like(weight), epsilon, subtract_mean=False)


SMALLEST = 1e-24
"""what is added to the sum of squares of an L2 normalisation: zeros stay zeros"""


class LpNormalizationOp(Op):
    """x / sqrt(sum of x^2) along the last axis, zeros where all are; the root mean square with a scale of its own."""

    onnx = "LpNormalization"
    clamps = True
    reals_too = True
    limits = (
        LEAVES_FIRST,
        Limit("its p must be 2", lambda n: integer(n, "p", 2) == 2, lambda n: integer(n, "p", 2)),
        Limit(
            "its axis must be the last one",
            lambda n: (
                integer(n, "axis", -1) % len(shape_of(needed_input(n, 0))) == len(shape_of(needed_input(n, 0))) - 1
            ),
        ),
    )
    cases = ("test_l2normalization_axis_1",)

    def lower(self, q: SettledNode) -> list[Step]:
        count = shape_of(q.input(0))[-1]
        gain, epsilon = np.array([1.0 / math.sqrt(count)]), SMALLEST / count
        return _lowered(q, (count,), gain, np.zeros(1), epsilon, subtract_mean=False)
