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
from axbuild.toolchain.kinds.arithmetic import ACCUMULATOR_LIMIT, AccumulatorError, multiplier_of
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.mac import FullyConnected
from axbuild.toolchain.kinds.mac import MatMul as MatMulKind
from axbuild.toolchain.kinds.mover import Transpose
from axbuild.toolchain.ops.base import CODE_MAX, Limit, Lowered, Op, Settled, per_channel
from axbuild.toolchain.ops.mac import accumulate, total_bias


def connect(q: Settled, weight: Array, own: Array | None, before: list[tuple[str, Kind]]) -> Lowered:
    """x @ weight^T + bias along the last axis, behind the kinds `before`. weight: float64 [co, k]."""
    bias_name = input_of(q.node, 2)
    names = (q.input(1).name or "", (bias_name.name or "",) if own is not None and bias_name is not None else ())
    result = accumulate(q, q.x(), weight, total_bias(q, own, weight.shape[0]), names)
    kind = FullyConnected(
        weight=result.weight,
        bias=result.bias,
        multiplier=result.multiplier,
        x_zero=q.x().zero,
        y_zero=q.y.zero,
        lo=q.lo,
        hi=q.hi,
    )
    return Lowered(q.chain([*before, ("", kind)], q.input(0)).steps, result.baked)


def _bias_fits(node: ir.Node) -> bool:
    array = constant_input(node, 2)
    return array is None or per_channel(array, shape_of(node.outputs[0]), axis=1) is not None


class Gemm(Op):
    """alpha A B + beta C with constant B and C; transA costs a transposition."""

    onnx = "Gemm"
    clamps = True
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

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        return per_channel(addend, shape_of(node.outputs[0]), axis=1)

    def lower(self, q: Settled) -> Lowered:
        matrix, offset = constant_input(q.node, 1), constant_input(q.node, 2)
        if matrix is None:
            raise ValueError("B is not constant")
        weight = matrix.astype(np.float64) * real(q.node, "alpha", 1.0)
        weight = weight if integer(q.node, "transB", 0) else weight.T
        own = None
        if offset is not None:
            own = per_channel(
                offset.astype(np.float64) * real(q.node, "beta", 1.0), shape_of(q.node.outputs[0]), axis=1
            )
        before: list[tuple[str, Kind]] = [("transpose", Transpose((1, 0)))] if integer(q.node, "transA", 0) else []
        return connect(q, np.ascontiguousarray(weight), own, before)


def _constant_matrix(node: ir.Node) -> Array | None:
    """float64 [k, n] of a constant second operand whose leading dimensions are all 1."""
    array = constant_input(node, 1)
    if array is None or array.ndim < 2 or any(size != 1 for size in array.shape[:-2]):
        return None
    return array.reshape(array.shape[-2:]).astype(np.float64)


def _is_layer(node: ir.Node) -> bool:
    """x @ W with a constant matrix that adds no dimension to x."""
    matrix, ranks = _constant_matrix(node), [len(shape_of(needed_input(node, index))) for index in (0, 1)]
    return is_activation(input_of(node, 0)) and matrix is not None and ranks[0] >= max(ranks[1], 2)


def _two_activations(node: ir.Node) -> bool:
    return all(is_activation(input_of(node, index)) for index in (0, 1))


def _ranks_fit(node: ir.Node) -> bool:
    return all(len(shape_of(needed_input(node, index))) >= 2 for index in (0, 1))


class MatMul(Op):
    """x @ W with a constant matrix, or the product of two activations."""

    onnx = "MatMul"
    clamps = True
    limits = (
        Limit("its operands must have rank 2 or more", _ranks_fit),
        Limit(
            "of its operands the first must be computed, and the second computed or one constant matrix",
            lambda n: _is_layer(n) or _two_activations(n),
        ),
    )
    cases = ("test_matmul_2d", "test_matmul_3d", "test_matmul_4d", "test_matmul_bcast")

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        shape = shape_of(node.outputs[0])
        return per_channel(addend, shape, axis=len(shape) - 1) if _is_layer(node) else None

    def lower(self, q: Settled) -> Lowered:
        matrix = _constant_matrix(q.node)
        if matrix is not None:
            return connect(q, np.ascontiguousarray(matrix.T), None, [])
        a, b = q.x(0), q.x(1)
        terms = shape_of(q.input(0))[-1]
        if terms * max(a.zero, CODE_MAX - a.zero) * max(b.zero, CODE_MAX - b.zero) >= ACCUMULATOR_LIMIT:
            raise AccumulatorError(
                f"The sum of {terms} products of two activations can leave 32 bits; "
                f"its accumulator must stay below 2^31."
            )
        ratio = multiplier_of(a.scale * b.scale / q.y.scale)
        return q.single(MatMulKind(ratio, a.zero, b.zero, q.y.zero, q.lo, q.hi))
