"""Pixels of a map at coordinates that another tensor holds."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import integer, needed_input, shape_of, text
from axbuild.toolchain.kinds.sample import PADDINGS, FloatSample, Sample
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step, extremes

MODES = {"linear": "linear", "bilinear": "linear", "nearest": "nearest"}
"""ONNX's name, at any opset -> the kind's"""


def _mode(node: ir.Node) -> str:
    return text(node, "mode", "linear")


def _padding(node: ir.Node) -> str:
    return text(node, "padding_mode", "zeros")


class GridSampleOp(Op):
    """The map at coordinates in float32, by weights of 11 bits an axis; or the nearest pixel. A constant map is rounded
    to the output's codes first."""

    onnx = "GridSample"
    clamps = True
    reals_too = True
    steps = 2
    limits = (
        Limit("its map must have rank 4", lambda n: len(shape_of(needed_input(n, 0))) == 4),
        Limit("its mode must be linear or nearest", lambda n: _mode(n) in MODES, _mode),
        Limit("its padding_mode must be zeros or border", lambda n: _padding(n) in PADDINGS, _padding),
    )
    cases = (
        "test_gridsample_aligncorners_true",
        "test_gridsample_bilinear",
        "test_gridsample_border_padding",
        "test_gridsample_nearest",
        "test_gridsample_zeros_padding",
    )

    def reals(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 1),)

    def covers(self, node: ir.Node) -> tuple[float, ...]:
        return extremes(node.inputs[0])

    def lower(self, q: SettledNode) -> list[Step]:
        about = MODES[_mode(q.node)], _padding(q.node), integer(q.node, "align_corners", 0)
        kind = FloatSample(*about) if q.real else Sample.of(q.chosen(0), q.y, *about, q.lo, q.hi)
        return q.joined(kind, q.input(0), q.input(1))
