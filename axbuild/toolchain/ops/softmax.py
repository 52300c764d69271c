"""Softmax and its logarithm by table, of all elements or of those that a mask shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import has_one_reader, integer, needed_input, shape_of
from axbuild.toolchain.kinds.codes import FP32, ElementType, Grid
from axbuild.toolchain.kinds.float_softmax import FloatSoftmax
from axbuild.toolchain.kinds.select import Choose
from axbuild.toolchain.kinds.softmax import LogSoftmax, Softmax
from axbuild.toolchain.masks import hiding_side, shown_side
from axbuild.toolchain.ops.base import Between, Op, SettledNode, Step

SHARP = 0.5
"""largest observed value from which the output's scale is 1 / highest code; below it that would lose most of the
signal"""


class SoftmaxOp(Op):
    """exp(x) over its sum along one axis, as opset 13 and later define it."""

    onnx = "Softmax"
    reals_too = True
    steep = True
    cases = (
        "test_softmax_axis_0",
        "test_softmax_axis_1",
        "test_softmax_axis_2",
        "test_softmax_default_axis",
        "test_softmax_example",
        "test_softmax_large_number",
        "test_softmax_negative_axis",
    )

    def fixed(self, node: ir.Node, kind: ElementType, largest: float) -> Grid:
        """Zero 0; scale 1 / hi where some value was at least 0.5, else largest / hi, rounded to float32."""
        top = 1.0 if largest >= SHARP or largest <= 0 else float(np.float32(largest))
        return Grid(float(np.float32(np.float64(top) / kind.hi)), 0, kind)

    def before(self, node: ir.Node) -> tuple[ir.Node, ...]:
        """A Where that hides elements, which nobody else reads."""
        scores = needed_input(node, 0)
        where = scores.producer()
        if where is None or where.op_type != "Where" or where.domain or not has_one_reader(scores):
            return ()
        return (where,) if shown_side(where) is not None else ()

    def lower(self, q: SettledNode) -> list[Step]:
        axis = _axis(q.node)
        if q.real:
            return _in_float32(q, FloatSoftmax("share", axis))
        if not q.fused.before:
            return q.single(Softmax.of(q.x(), q.y, axis))
        (where,) = q.fused.before
        scores, hides = shown_side(where), hiding_side(where) == 1
        if scores is None:
            raise ValueError(f"'{where.name}' hides nothing")
        kind = Softmax.of(q.grid_of(scores), q.y, axis, int(hides))
        return q.joined(kind, scores, needed_input(where, 0))


def _in_float32(q: SettledNode, kind: FloatSoftmax) -> list[Step]:
    """A mask that is taken along chooses as it stands: what it hides has a power below 2^-40 beside anything shown."""
    if not q.fused.before:
        return q.single(kind, q.input(0))
    (where,) = q.fused.before
    *given, choice = q.joined(Choose(FP32), *(needed_input(where, place) for place in range(3)))
    shown = replace(choice, output=Between("shown"), name=f"{q.name}/shown")
    return [*given, shown, q.step(kind, shown.output)]


def _axis(node: ir.Node) -> int:
    return integer(node, "axis", -1) % len(shape_of(node.outputs[0]))


class LogSoftmaxOp(Op):
    """The logarithm of Softmax along one axis, as opset 13 and later define it."""

    onnx = "LogSoftmax"
    reals_too = True
    cases = (
        "test_logsoftmax_axis_0",
        "test_logsoftmax_axis_1",
        "test_logsoftmax_axis_2",
        "test_logsoftmax_default_axis",
        "test_logsoftmax_example_1",
        "test_logsoftmax_large_number",
        "test_logsoftmax_negative_axis",
    )

    def lower(self, q: SettledNode) -> list[Step]:
        axis = _axis(q.node)
        return q.single(FloatSoftmax("logarithm", axis) if q.real else LogSoftmax.of(q.x(), q.y, axis))
