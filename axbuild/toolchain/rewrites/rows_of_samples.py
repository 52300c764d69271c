"""Layers over the rows of samples that were joined for them, as a Gemm demands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, Shape, constant_input, has_one_reader, needed_input, shape_of
from axbuild.toolchain.rewrites.affine import is_canonical, order_of_sums
from axbuild.toolchain.rewrites.between import element_wise_before, repeated
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


@dataclass(frozen=True)
class JoinedRows:
    """x: before the rows of its samples were joined; shape: its own, with the axes that make up a row as one; between:
    the element-wise operators behind that, last first; weight [n, k] and bias [n] of the layer."""

    x: ir.Value
    shape: Shape
    between: tuple[ir.Node, ...]
    weight: Array
    bias: Array


class RowsOfSamples(Rewrite[JoinedRows]):
    """Gemm(f(Reshape(x)), w, b) -> Reshape(Add(MatMul(f(x), w^T), b))

    Where Reshape joins the rows of the samples, [s, .., k] as [s .., k], and f works element by element, or is nothing.
    """

    op = ("Gemm",)
    is_needed = False

    def match(self, node: ir.Node) -> JoinedRows | NoMatch:
        weight, bias = constant_input(node, 1), constant_input(node, 2)
        if not is_canonical(node) or weight is None or bias is None:
            return NoMatch("Gemm is no layer")
        between, value = element_wise_before(needed_input(node, 0))
        joined = value.producer()
        if joined is None or joined.op_type != "Reshape" or not has_one_reader(value):
            return NoMatch("what Gemm reads was not reshaped, or has another reader")
        x = needed_input(joined, 0)
        rows = _rows(shape_of(x), shape_of(value)[-1])
        if len(rows) < 2 or rows[0] == shape_of(value)[0]:
            return NoMatch("Reshape before Gemm joins no rows of samples")
        return JoinedRows(x, (*rows, weight.shape[1]), between, weight, bias)

    def replace(self, node: ir.Node, found: JoinedRows, steps: Steps) -> ir.Value:
        value = repeated(found.between, steps.reshaped(found.x, found.shape, "apart"), steps)
        shape = (*shape_of(value)[:-1], len(found.weight))
        weight = steps.constant(np.ascontiguousarray(found.weight.T), "weight")
        bias = steps.constant(found.bias.reshape(-1), "bias")
        value = steps.insert("MatMul", [value, weight], name="product", shape=shape)
        value = steps.insert("Add", [value, bias], shape=shape)
        return steps.reshaped(value, shape_of(node.outputs[0]), "rows")

    def rounding(self, node: ir.Node, found: JoinedRows) -> Rounding:
        return order_of_sums(node, needed_input(node, 0))


def _rows(shape: Shape, elements: int) -> Shape:
    """The axes before those that make up rows of so many elements; none where axes do not add up to a row."""
    return next((shape[:axis] for axis in range(len(shape)) if math.prod(shape[axis:]) == elements), ())
