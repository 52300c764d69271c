"""Sum of two activations, or of an activation and a constant."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, activations_of, constant_input, shape_of
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.island import FloatBinary
from axbuild.toolchain.kinds.mac import Conv
from axbuild.toolchain.ops.base import Follow, Limit, Op, SettledNode, Step, per_channel
from axbuild.toolchain.ops.mac import accumulation


def _constant_fits(node: ir.Node) -> bool:
    """A constant that no layer before it swallowed must be one value a channel of a rank-4 tensor."""
    if len(activations_of(node)) == 2:
        return True
    shape, constant = shape_of(node.outputs[0]), _constant(node)
    same = bool(activations_of(node)) and shape_of(activations_of(node)[0]) == shape
    return same and constant is not None and len(shape) == 4 and per_channel(constant, shape, axis=1) is not None


def _constant(node: ir.Node) -> Array | None:
    first = constant_input(node, 0)
    return constant_input(node, 1) if first is None else first


class AddOp(Op):
    """a + b with ONNX's broadcasting; constants become the bias of the layer before, or of one made for them."""

    onnx = "Add"
    clamps = True
    bias_inputs = (0, 1)
    limits = (
        Limit(
            "a constant operand must be one value a channel of a rank-4 tensor, or right behind a Conv, Gemm or MatMul",
            _constant_fits,
        ),
    )
    cases = ("test_add", "test_add_bcast")

    def _addend(self, node: ir.Node) -> Array | None:
        return _constant(node) if len(activations_of(node)) == 1 else None

    def follows(self, node: ir.Node) -> Follow | None:
        addend = self._addend(node)
        return None if addend is None else Follow(addend=addend)

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        return per_channel(addend, shape_of(node.outputs[0]), axis=1) if self._addend(node) is not None else None

    def weight(self, node: ir.Node) -> Array | None:
        """A depthwise 1x1 convolution whose weights are all 1: the constant keeps 32 bits as its bias."""
        return None if self._addend(node) is None else np.ones((shape_of(node.outputs[0])[1], 1, 1, 1))

    def bias(self, node: ir.Node) -> Array | None:
        addend = self._addend(node)
        return None if addend is None else per_channel(addend, shape_of(node.outputs[0]), axis=1)

    def lower(self, q: SettledNode) -> list[Step]:
        if q.weight is not None:
            return self._lower_constant(q)
        return q.single(Binary.of("add", q.x(0), q.x(1), q.y, q.lo, q.hi))

    def _lower_constant(self, q: SettledNode) -> list[Step]:
        (value,) = activations_of(q.node)
        kind = Conv(
            **vars(accumulation(q, q.node.inputs.index(value))),
            strides=(1, 1),
            pads=(0, 0, 0, 0),
            dilations=(1, 1),
            group=shape_of(value)[1],
        )
        return q.single(kind, value)

    def island(self, node: ir.Node) -> Kind | None:
        return FloatBinary("add") if self._addend(node) is None else None
