"""Fully connected layers and products of two activations."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    input_of,
    integer,
    is_activation,
    needed_input,
    real,
    shape_of,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.mac import FullyConnected, MatMul
from axbuild.toolchain.kinds.mover import Transpose
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step, per_channel
from axbuild.toolchain.ops.gain import Gain, into
from axbuild.toolchain.ops.mac import accumulation


class Layer(Op):
    """x @ W + bias along the last axis."""

    clamps = True
    accumulates = True
    weight_input = 1

    def channel_axis(self, node: ir.Node, axis: int) -> int:
        return len(shape_of(node.outputs[0])) - 1

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        shape = shape_of(node.outputs[0])
        return per_channel(addend, shape, axis=len(shape) - 1)

    def means(self, node: ir.Node, means: Array, axis: int) -> Array | None:
        along = len(shape_of(needed_input(node, 0))) - 1 - integer(node, "transA", 0)
        return means.reshape(1, -1) if axis == along else None

    def columns(self, node: ir.Node, x: Array, places: Array) -> Array | None:
        rows = x.T if integer(node, "transA", 0) else x.reshape(-1, x.shape[-1])
        found: Array = rows[places][np.newaxis]
        return found


def _bias_fits(node: ir.Node) -> bool:
    array = constant_input(node, 2)
    return array is None or per_channel(array, shape_of(node.outputs[0]), axis=1) is not None


class GemmOp(Layer):
    """alpha A B + beta C with constant B and C; transA costs a transposition."""

    onnx = "Gemm"
    bias_inputs = (2,)
    limits = (
        Limit("its input A must be computed, not a constant", lambda n: is_activation(input_of(n, 0))),
        Limit("its input B must be a constant", lambda n: not is_activation(input_of(n, 1))),
        Limit("its input C must be a constant", lambda n: not is_activation(input_of(n, 2))),
        Limit("its constant C may differ between columns only, not between rows", _bias_fits),
    )
    cases = (
        "test_gemm_default_no_bias",
        "test_gemm_default_scalar_bias",
        "test_gemm_default_single_elem_vector_bias",
        "test_gemm_default_vector_bias",
        "test_gemm_default_zero_bias",
        "test_gemm_alpha",
        "test_gemm_beta",
        "test_gemm_transposeA",
        "test_gemm_transposeB",
        "test_gemm_all_attributes",
    )

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        return into(node, {1: -1 - integer(node, "transB", 0), 2: -1}) if axis == 1 else None

    def takes_back(self, node: ir.Node, axis: int) -> Gain | None:
        along = 1 - integer(node, "transA", 0)
        return into(node, {1: integer(node, "transB", 0) - 2}) if axis == along else None

    def weight(self, node: ir.Node) -> Array | None:
        matrix = constant_input(node, 1)
        if matrix is None:
            return None
        weight = matrix.astype(np.float64) * real(node, "alpha", 1.0)
        return weight if integer(node, "transB", 0) else np.ascontiguousarray(weight.T)

    def bias(self, node: ir.Node) -> Array | None:
        offset = constant_input(node, 2)
        if offset is None:
            return None
        return per_channel(offset.astype(np.float64) * real(node, "beta", 1.0), shape_of(node.outputs[0]), axis=1)

    def lower(self, q: SettledNode) -> list[Step]:
        kinds: list[tuple[str, Kind]] = [("", FullyConnected(**vars(accumulation(q))))]
        if integer(q.node, "transA", 0):
            kinds.insert(0, ("transpose", Transpose(type_of(q.x()), (1, 0))))
        return q.chain(kinds, q.input(0))


def _constant_matrix(node: ir.Node) -> Array | None:
    """[k, n] of a constant second operand whose leading dimensions are all 1."""
    array = constant_input(node, 1)
    if array is None or array.ndim < 2 or any(size != 1 for size in array.shape[:-2]):
        return None
    return array.reshape(array.shape[-2:])


def _is_layer(node: ir.Node) -> bool:
    """x @ W with a constant matrix that adds no dimension to x."""
    matrix, ranks = _constant_matrix(node), [len(shape_of(needed_input(node, index))) for index in (0, 1)]
    return is_activation(input_of(node, 0)) and matrix is not None and ranks[0] >= max(ranks[1], 2)


def _two_activations(node: ir.Node) -> bool:
    return all(is_activation(input_of(node, index)) for index in (0, 1))


def _ranks_fit(node: ir.Node) -> bool:
    return all(len(shape_of(needed_input(node, index))) >= 2 for index in (0, 1))


class MatMulOp(Layer):
    """x @ W with a constant matrix, or the product of two activations."""

    onnx = "MatMul"
    limits = (
        Limit("its operands must have rank 2 or more", _ranks_fit),
        Limit(
            "of its operands the first must be computed, and the second computed or one constant matrix",
            lambda n: _is_layer(n) or _two_activations(n),
        ),
    )
    cases = ("test_matmul_2d", "test_matmul_3d", "test_matmul_4d", "test_matmul_bcast")

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        return super().bias_of(node, addend) if _is_layer(node) else None

    def factor_of(self, node: ir.Node, factor: Array) -> Array | None:
        """One number above 0: there is one multiplier."""
        return factor.astype(np.float64) if _two_activations(node) and factor.size == 1 and np.all(factor > 0) else None

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        return into(node, {1: -1}) if _is_layer(node) and axis == len(shape_of(node.outputs[0])) - 1 else None

    def takes_back(self, node: ir.Node, axis: int) -> Gain | None:
        last = len(shape_of(needed_input(node, 0))) - 1
        return into(node, {1: -2}) if _is_layer(node) and axis == last else None

    def weight(self, node: ir.Node) -> Array | None:
        matrix = _constant_matrix(node)
        return None if matrix is None else np.ascontiguousarray(matrix.T.astype(np.float64))

    def lower(self, q: SettledNode) -> list[Step]:
        if q.weight is not None:
            return q.single(FullyConnected(**vars(accumulation(q))), q.input(0))
        factor = 1.0 if q.fused.factor is None else float(q.fused.factor.reshape(()))
        return q.single(MatMul.of(q.x(0), q.x(1), q.target, q.lo, q.hi, factor))
