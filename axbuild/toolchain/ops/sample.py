"""Pixels of a map at coordinates that another tensor holds."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import integer, is_activation, needed_input, shape_of, text
from axbuild.toolchain.kinds.sample import PADDINGS, FloatSample, Sample
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step

MODES = {"linear": "linear", "bilinear": "linear", "nearest": "nearest"}
"""ONNX's name, at any opset -> the kind's"""


def _mode(node: ir.Node) -> str:
    return text(node, "mode", "linear")


def _padding(node: ir.Node) -> str:
    return text(node, "padding_mode", "zeros")


class GridSampleOp(Op):
    """The map at coordinates in float32, by weights of 11 bits an axis; or the nearest pixel."""

    onnx = "GridSample"
    clamps = True
    reals_too = True
    limits = (
        Limit(
            "its map and its coordinates must be computed",
            lambda n: is_activation(needed_input(n, 0)) and is_activation(needed_input(n, 1)),
        ),
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

    def lower(self, q: SettledNode) -> list[Step]:
        about = MODES[_mode(q.node)], _padding(q.node), integer(q.node, "align_corners", 0)
        return q.single(FloatSample(*about) if q.real else Sample.of(q.x(0), q.y, *about, q.lo, q.hi))
