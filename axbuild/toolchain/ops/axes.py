"""Axes that a reduction names, for the ops and for the rewrites that find one spelled out."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import constant_integers, integer, needed_input, shape_of


def reduced_axes(node: ir.Node) -> tuple[int, ...]:
    """The axes of ONNX's Reduce operators: given, or all; none where nothing is reduced."""
    rank = len(shape_of(needed_input(node, 0)))
    given = constant_integers(node, 1, "axes") or ()
    if not given and not integer(node, "noop_with_empty_axes", 0):
        return tuple(range(rank))
    return tuple(sorted(axis % rank for axis in given))
