"""Products of matrices in the forms that layers have: a constant behind, two axes or more, no factor beside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    Shape,
    constant_input,
    constant_of,
    input_of,
    integer,
    is_constant,
    needed_input,
    real,
    shape_of,
)
from axbuild.toolchain.rewrites.affine import is_canonical
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps

LARGEST = 64.0
"""magnitude of a computed factor, as far as roundings are judged by it"""


class OpenGemm(Rewrite[bool]):
    """alpha A' B' + beta C -> Add(Mul(MatMul(A', B'), alpha), Mul(C, beta))

    where it is no layer: A constant, B computed, or C computed or different from row to row. Factors of 1 are left out,
    and those of constants are in them.
    """

    op = ("Gemm",)

    def match(self, node: ir.Node) -> bool | NoMatch:
        a, b, c = (input_of(node, index) for index in range(3))
        if any(value is not None and value.dtype != ir.DataType.FLOAT for value in (a, b, c)):
            return NoMatch("Gemm is not of float32")
        layered = not is_constant(a) and is_constant(b) and (c is None or (is_constant(c) and _is_row(c)))
        return NoMatch("Gemm is a layer") if layered or is_canonical(node) else True

    def replace(self, node: ir.Node, found: bool, steps: Steps) -> ir.Value:
        alpha = real(node, "alpha", 1.0)
        a, b = (needed_input(node, index) for index in (0, 1))
        a = steps.swapped(a) if integer(node, "transA", 0) else a
        b = steps.swapped(b) if integer(node, "transB", 0) else b
        if is_constant(a):
            a = _times(a, alpha, steps)
        else:
            b = _times(b, alpha, steps)
        made, c, beta = steps.product(a, b), input_of(node, 2), real(node, "beta", 1.0)
        if c is None or beta == 0.0:
            return made
        return steps.insert("Add", [made, _times(c, beta, steps)])

    def rounding(self, node: ir.Node, found: bool) -> Rounding:
        a, b, c = needed_input(node, 0), needed_input(node, 1), input_of(node, 2)
        terms = shape_of(a)[0 if integer(node, "transA", 0) else 1]
        largest = max(
            1.0, *(float(np.abs(m).max(initial=0.0)) for v in (a, b) if (m := constant_of(v)) is not None), 0.0
        )
        gain = terms * LARGEST * largest * max(1.0, abs(real(node, "alpha", 1.0)))
        added = () if c is None else ((c, abs(real(node, "beta", 1.0))),)
        return Rounding(terms + 2, ((a, gain), (b, gain), *added))


def _is_row(value: ir.Value) -> bool:
    shape = shape_of(value)
    return len(shape) < 2 or shape[0] == 1


def _times(value: ir.Value, factor: float, steps: Steps) -> ir.Value:
    if factor == 1.0:
        return value
    array, number = constant_of(value), np.float32(factor)
    if array is not None:
        return steps.constant(array * number, "constant")
    return steps.insert(
        "Mul", [value, steps.constant(np.asarray(number), "factor")], name="scaled", shape=shape_of(value)
    )


@dataclass(frozen=True)
class Factors:
    """a, b: shapes with at least two axes."""

    a: Shape
    b: Shape


class CanonicalProduct(Rewrite[Factors]):
    """MatMul(x, v) -> Reshape(MatMul(x, [v]))  where x or v has one axis
    MatMul(W, x) -> Transpose(MatMul(Transpose(x), W^T))  W one constant matrix
    MatMul(W, x) -> Reshape(Conv(Reshape(x), W; group))  W a constant matrix for each of several parts of x
    MatMul(x, W) -> the same of x^T and W^T, transposed
    """

    op = ("MatMul",)

    def match(self, node: ir.Node) -> Factors | NoMatch:
        a, b = needed_input(node, 0), needed_input(node, 1)
        if a.dtype != ir.DataType.FLOAT or not shape_of(node.outputs[0]):
            return NoMatch("MatMul is not of float32, or makes a scalar")
        shapes = shape_of(a), shape_of(b)
        factors = Factors(_matrix(shapes[0], (1, -1)), _matrix(shapes[1], (-1, 1)))
        if min(map(len, shapes)) < 2 or (is_constant(a) and _parts(factors.a) == 1):
            return factors
        constant, other = (factors.a, factors.b) if is_constant(a) else (factors.b, factors.a)
        if not is_constant(a) and (not is_constant(b) or _parts(constant) == 1):
            return NoMatch("MatMul is a layer, or of two computed tensors")
        lead = _lead(constant)
        if other[len(other) - 2 - len(lead) : -2] != lead:
            return NoMatch("MatMul repeats its computed operand for several constant matrices")
        return factors

    def replace(self, node: ir.Node, found: Factors, steps: Steps) -> ir.Value:
        a = steps.reshaped(needed_input(node, 0), found.a)
        b = steps.reshaped(needed_input(node, 1), found.b)
        return steps.reshaped(_product(a, b, steps), shape_of(node.outputs[0]))

    def rounding(self, node: ir.Node, found: Factors) -> Rounding:
        terms = found.a[-1]
        gains = []
        for index in (0, 1):
            other = constant_input(node, 1 - index)
            largest = LARGEST if other is None else float(np.abs(other).max(initial=0.0))
            gains.append((needed_input(node, index), terms * largest))
        return Rounding(terms, tuple(gains))


def _matrix(shape: Shape, one: Shape) -> Shape:
    """A vector as a matrix: a row in front, a column behind."""
    return shape if len(shape) > 1 else tuple(shape[0] if size < 0 else size for size in one)


def _lead(shape: Shape) -> Shape:
    """Axes before the matrices, from the first that has more than one."""
    lead = shape[:-2]
    first = next((axis for axis, size in enumerate(lead) if size > 1), len(lead))
    return lead[first:]


def _parts(shape: Shape) -> int:
    return math.prod(shape[:-2])


def _product(a: ir.Value, b: ir.Value, steps: Steps) -> ir.Value:
    first, second = constant_of(a), constant_of(b)
    if first is not None and _parts(first.shape) == 1:
        lead = (1,) * max(len(first.shape) - len(shape_of(b)), 0)
        turned = steps.swapped(steps.reshaped(b, lead + shape_of(b)))
        return steps.swapped(steps.product(turned, steps.constant(first.reshape(first.shape[-2:]).T, "weight")))
    if first is not None:
        return _grouped(first, b, steps)
    if second is not None and _parts(second.shape) > 1:
        return steps.swapped(_grouped(np.swapaxes(second, -1, -2), steps.swapped(a), steps))
    return steps.product(a, b)


def _grouped(matrices: Array, x: ir.Value, steps: Steps) -> ir.Value:
    """A convolution with a group for each matrix, whose rows are channels of a map of one row."""
    count, (tall, depth), shape = _parts(matrices.shape), matrices.shape[-2:], shape_of(x)
    samples, wide = math.prod(shape) // (count * depth * shape[-1]), shape[-1]
    weight = steps.constant(np.ascontiguousarray(matrices).reshape(count * tall, depth, 1, 1), "weight")
    channels = steps.reshaped(x, (samples, count * depth, 1, wide))
    settings = {"group": count, "kernel_shape": [1, 1]}
    made = steps.insert("Conv", [channels, weight], settings, name="products", shape=(samples, count * tall, 1, wide))
    return steps.reshaped(made, (*shape[:-2], tall, wide))
