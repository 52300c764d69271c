"""One form for every fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.affine import is_canonical
from axbuild.toolchain.frontend.rewrite import NoMatch, Rewrite, constant, graph_of, initializer, insert, static_shape
from axbuild.toolchain.graph import Array


@dataclass(frozen=True)
class Dense:
    """weight: float64 [n, k]; bias: float64 [n]."""

    weight: Array
    bias: Array


class NormalizeGemm(Rewrite[Dense]):
    """alpha A B + beta C -> Gemm(A, w, b; transB = 1),  w = alpha B^T, b = beta C,  B and C constant

    A MatMul of a rank-2 tensor with a constant becomes a Gemm too (b = 0).
    """

    op = ("Gemm", "MatMul")
    tolerance = 1e-4

    def match(self, node: ir.Node) -> Dense | NoMatch:
        if node.op_type == "Gemm" and is_canonical(node):
            return NoMatch("Gemm is in canonical form")
        weight = constant(node.inputs[1])
        if weight is None or weight.ndim != 2:
            return NoMatch(f"the second operand of {node.op_type} is not a constant matrix")
        if len(static_shape(node.inputs[0])) != 2:
            return NoMatch(f"the first operand of {node.op_type} is not of rank 2")
        if node.attributes.get_int("transA", 0):
            return NoMatch("Gemm transposes its first operand")
        if not node.attributes.get_int("transB", 0):
            weight = weight.T
        bias = self._bias(node, weight.shape[0])
        if isinstance(bias, NoMatch):
            return bias
        return Dense(weight.astype(np.float64) * node.attributes.get_float("alpha", 1.0), bias)

    def _bias(self, node: ir.Node, channels: int) -> Array | NoMatch:
        given = node.inputs[2] if len(node.inputs) > 2 else None
        if given is None:
            return np.zeros(channels)
        array = constant(given)
        if array is None:
            return NoMatch("the third operand of Gemm is not constant")
        if array.ndim == 2 and array.shape[0] != 1:
            return NoMatch("the third operand of Gemm differs from row to row")
        row = np.broadcast_to(array.reshape(-1).astype(np.float64), (channels,))
        return row * node.attributes.get_float("beta", 1.0)

    def replace(self, node: ir.Node, found: Dense) -> ir.Value:
        graph = graph_of(node)
        weight = initializer(graph, found.weight.astype(np.float32), f"{node.name}.weight")
        bias = initializer(graph, found.bias.astype(np.float32), f"{node.name}.bias")
        return insert(
            node, "Gemm", [node.inputs[0], weight, bias], {"transB": 1}, name=node.name or "", origins=(node,)
        )
