"""Regions of a map whose corners are computed."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import activations_of, input_of, integer, needed_input, real, text
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.regions import MOST_SAMPLES, Regions
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.indexed import INDICES


def _samples(node: ir.Node) -> int:
    return integer(node, "sampling_ratio", 0)


class RoiAlignOp(Op):
    """Each region as a small map of means of samples between pixels; corners in float32, weights of 11 bits an axis."""

    onnx = "RoiAlign"
    clamps = True
    limits = (
        Limit("its map, regions and batch indices must be computed", lambda n: len(activations_of(n)) == 3),
        Limit("its mode must be avg", lambda n: text(n, "mode", "avg") == "avg"),
        Limit(
            f"its sampling_ratio must be 1 to {MOST_SAMPLES}",
            lambda n: 1 <= _samples(n) <= MOST_SAMPLES,
            _samples,
        ),
    )

    cases = ("test_roialign_aligned_false", "test_roialign_aligned_true")

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return INDICES if value is input_of(node, 2) else (ir.DataType.FLOAT,)

    def reals(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 1),)

    def lower(self, q: SettledNode) -> list[Step]:
        bins = integer(q.node, "output_height", 1), integer(q.node, "output_width", 1)
        half = text(q.node, "coordinate_transformation_mode", "half_pixel") == "half_pixel"
        rules = type_of(q.edge(2)), bins, _samples(q.node), real(q.node, "spatial_scale", 1.0), half
        return q.single(Regions.of(q.x(0), q.y, *rules, q.lo, q.hi))
