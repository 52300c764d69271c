"""One form for every fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_input, input_of, integer, is_constant, needed_input, real, shape_of
from axbuild.toolchain.rewrites.affine import is_canonical
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


@dataclass(frozen=True)
class Dense:
    """weight: float32 [n, k]; bias: float64 [n]."""

    weight: Array
    bias: Array


class NormalizeGemm(Rewrite[Dense]):
    """alpha A B + beta C -> Gemm(A, w, b; transB = 1),  w = alpha B^T, b = beta C,  B and C constant

    With transA, A is Transpose(A) there. A MatMul of a rank-2 tensor with a constant becomes a Gemm too (b = 0).
    """

    op = ("Gemm", "MatMul")

    def match(self, node: ir.Node) -> Dense | NoMatch:
        if node.op_type == "Gemm" and is_canonical(node):
            return NoMatch("Gemm is in canonical form")
        given = needed_input(node, 1)
        if not is_constant(given) or len(shape_of(given)) != 2:
            return NoMatch(f"the second operand of {node.op_type} is not a constant matrix")
        if len(shape_of(needed_input(node, 0))) != 2:
            return NoMatch(f"the first operand of {node.op_type} is not of rank 2")
        weight = constant_input(node, 1)
        if weight is None or weight.dtype != np.float32:
            return NoMatch(f"{node.op_type} is not of float32")
        if not integer(node, "transB", 0):
            weight = weight.T
        bias = self._bias(node, weight.shape[0])
        if isinstance(bias, NoMatch):
            return bias
        alpha = np.float32(real(node, "alpha", 1.0))
        return Dense(weight if alpha == 1 else weight * alpha, bias)

    def _bias(self, node: ir.Node, channels: int) -> Array | NoMatch:
        if input_of(node, 2) is None:
            return np.zeros(channels)
        array = constant_input(node, 2)
        if array is None:
            return NoMatch("the third operand of Gemm is not constant")
        if array.ndim == 2 and array.shape[0] != 1:
            return NoMatch("the third operand of Gemm differs from row to row")
        row = np.broadcast_to(array.reshape(-1).astype(np.float64), (channels,))
        return row * real(node, "beta", 1.0)

    def replace(self, node: ir.Node, found: Dense, steps: Steps) -> ir.Value:
        weight = steps.constant(found.weight, "weight")
        bias = steps.constant(found.bias.astype(np.float32), "bias")
        source = needed_input(node, 0)
        if integer(node, "transA", 0):
            source = steps.swapped(source)
        return steps.insert("Gemm", [source, weight, bias], {"transB": 1})

    def rounding(self, node: ir.Node, found: Dense) -> Rounding:
        gain = np.abs(found.weight).sum(axis=1, dtype=np.float64)
        return Rounding(found.weight.shape[1], ((needed_input(node, 0), gain),), np.abs(found.bias))
