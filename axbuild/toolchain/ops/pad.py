"""Constant borders."""

from __future__ import annotations

import math

import onnx_ir as ir

from axbuild.toolchain.graph import (
    constant_input,
    constant_integers,
    input_of,
    is_activation,
    needed_input,
    real,
    shape_of,
    text,
)
from axbuild.toolchain.kinds.codes import Grid, type_of
from axbuild.toolchain.kinds.mover import Pad
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step


def _all_pads(node: ir.Node) -> tuple[int, ...]:
    """All begins, then all ends, for every axis."""
    rank = len(shape_of(needed_input(node, 0)))
    given = constant_integers(node, 1, "pads") or ()
    axes = constant_integers(node, 3, "axes")
    named = tuple(range(rank)) if axes is None else tuple(axis % rank for axis in axes)
    pads = [0] * (2 * rank)
    for index, axis in enumerate(named):
        pads[axis], pads[axis + rank] = given[index], given[index + len(named)]
    return tuple(pads)


def _value(node: ir.Node) -> float:
    array = constant_input(node, 2)
    return real(node, "value", 0.0) if array is None or array.size == 0 else float(array.reshape(-1)[0])


def _mode(node: ir.Node) -> str:
    return text(node, "mode", "constant")


class PadOp(Op):
    """Elements around the tensor; the value is one of the output's codes. Repeated elements become a Gather."""

    onnx = "Pad"
    moves = True
    soi = (1, 2, 3)
    limits = (
        Limit(
            "its pads, value and axes must be constants",
            lambda n: not any(is_activation(input_of(n, i)) for i in (1, 2, 3)),
        ),
        Limit(
            "its mode must be constant",
            lambda n: _mode(n) == "constant",
            _mode,
        ),
        Limit(
            "its pads must not be negative",
            lambda n: min(_all_pads(n)) >= 0,
            _all_pads,
        ),
        Limit("its value must be finite", lambda n: math.isfinite(_value(n)), _value),
    )
    cases = (
        "test_constant_pad",
        "test_constant_pad_axes",
        "test_constant_pad_negative_axes",
    )

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),)

    def covers(self, node: ir.Node) -> tuple[float, ...]:
        return (_value(node),)

    def in_float32(self, node: ir.Node) -> bool:
        return _value(node).is_integer()

    def lower(self, q: SettledNode) -> list[Step]:
        if not isinstance(q.target, Grid):  # integers and booleans
            return q.single(Pad(type_of(q.target), _all_pads(q.node), int(_value(q.node))), q.input(0))
        return q.single(Pad(q.y.type, _all_pads(q.node), q.y.code(_value(q.node))), q.input(0))
