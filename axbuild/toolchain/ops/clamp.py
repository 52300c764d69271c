"""Relu and Clip: the clamp of the producer's codes, or a requantise of their own where the producer cannot."""

from __future__ import annotations

import math

import onnx_ir as ir

from axbuild.toolchain.graph import activations_of, constant_input, input_of, real
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.border import Requantize
from axbuild.toolchain.kinds.island import FloatClip
from axbuild.toolchain.ops.base import Bounds, Follow, Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.gain import Gain


class Clamp(Op):
    """An op that keeps a range of reals and changes nothing inside it."""

    clamps = True
    reals_too = True

    def bounds(self, node: ir.Node) -> Bounds:
        """The range that the node keeps."""
        raise NotImplementedError

    def follows(self, node: ir.Node) -> Follow:
        return Follow(bounds=self.bounds(node))

    def lower(self, q: SettledNode) -> list[Step]:
        settled = self.bounds(q.node).then(q.fused.bounds)
        return q.single(Requantize.of(q.x(), q.y, q.y.code(settled.lo), q.y.code(settled.hi)), q.input(0))

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        """On to what it reads, where its bounds are 0 or none."""
        bounds = self.bounds(node)
        return Gain({}, activations_of(node)) if bounds.lo in (0.0, -math.inf) and bounds.hi == math.inf else None

    def island(self, node: ir.Node) -> Kind:
        bounds = self.bounds(node)
        return FloatClip(bounds.lo, bounds.hi)


class ReluOp(Clamp):
    """max(x, 0)"""

    onnx = "Relu"
    cases = ("test_relu",)

    def bounds(self, node: ir.Node) -> Bounds:
        return Bounds(0.0, math.inf)


def _constant_bounds(node: ir.Node) -> bool:
    return all(input_of(node, index) is None or constant_input(node, index) is not None for index in (1, 2))


def _bound(node: ir.Node, index: int, name: str, default: float) -> float:
    array = constant_input(node, index)
    return real(node, name, default) if array is None else float(array.reshape(-1)[0])


class ClipOp(Clamp):
    """min(max(x, lo), hi) with constant bounds; opsets below 11 give them as attributes."""

    onnx = "Clip"
    soi = (1, 2)
    limits = (Limit("the bounds of Clip must be constants", _constant_bounds),)
    cases = (
        "test_clip",
        "test_clip_example",
        "test_clip_inbounds",
        "test_clip_outbounds",
        "test_clip_splitbounds",
        "test_clip_min_greater_than_max",
        "test_clip_default_min",
        "test_clip_default_max",
        "test_clip_default_inbounds",
    )

    def bounds(self, node: ir.Node) -> Bounds:
        lo, hi = _bound(node, 1, "min", -math.inf), _bound(node, 2, "max", math.inf)
        return Bounds(min(lo, hi), hi)
