"""Sum of two activations, or of an activation and a constant."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, activations_of, constant_input, shape_of
from axbuild.toolchain.kinds.arithmetic import add_multipliers
from axbuild.toolchain.kinds.binary import Add as AddKind
from axbuild.toolchain.kinds.mac import Conv as ConvKind
from axbuild.toolchain.ops.base import Limit, Lowered, Op, Settled, per_channel
from axbuild.toolchain.ops.mac import accumulate, total_bias


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


class Add(Op):
    """a + b with ONNX's broadcasting; constants become the bias of the layer before, or of one made for them."""

    onnx = "Add"
    clamps = True
    limits = (
        Limit(
            "a constant operand must be one value a channel of a rank-4 tensor, or right behind a Conv, Gemm or MatMul",
            _constant_fits,
        ),
    )
    cases = ("test_add", "test_add_bcast")

    def addend(self, node: ir.Node) -> Array | None:
        return _constant(node) if len(activations_of(node)) == 1 else None

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        return per_channel(addend, shape_of(node.outputs[0]), axis=1) if self.addend(node) is not None else None

    def lower(self, q: Settled) -> Lowered:
        constant = self.addend(q.node)
        if constant is not None:
            return self._lower_constant(q, constant)
        a, b = q.x(0), q.x(1)
        ma, mb, shift = add_multipliers(a.scale, b.scale, q.y.scale)
        return q.single(AddKind(a.zero, b.zero, q.y.zero, ma, mb, shift, q.lo, q.hi))

    def _lower_constant(self, q: Settled, constant: Array) -> Lowered:
        """A depthwise 1x1 convolution whose weights are all 1: the constant keeps 32 bits as its bias."""
        value = activations_of(q.node)[0]
        x, shape = q.grids[value.name or ""], shape_of(value)
        bias = total_bias(q, per_channel(constant, shape, axis=1), shape[1])
        index = 1 - q.node.inputs.index(value)
        result = accumulate(q, x, np.ones((shape[1], 1, 1, 1)), bias, ("", (q.input(index).name or "",)))
        kind = ConvKind(
            weight=result.weight,
            bias=result.bias,
            multiplier=result.multiplier,
            x_zero=x.zero,
            y_zero=q.y.zero,
            lo=q.lo,
            hi=q.hi,
            strides=(1, 1),
            pads=(0, 0, 0, 0),
            dilations=(1, 1),
            group=shape[1],
        )
        return Lowered(q.single(kind, value).steps, result.baked[1:])
