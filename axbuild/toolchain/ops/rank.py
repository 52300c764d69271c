"""The largest or smallest elements along an axis, and where they are."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from axbuild.toolchain.extent import INTEGERS
from axbuild.toolchain.graph import (
    constant_integers,
    input_of,
    integer,
    is_activation,
    is_used,
    needed_input,
    shape_of,
    static_shape,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import INT64, type_of
from axbuild.toolchain.kinds.mover import Reshape
from axbuild.toolchain.kinds.rank import Rank
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS


def _axis(node: ir.Node, default: int) -> int:
    return integer(node, "axis", default) % len(shape_of(needed_input(node, 0)))


class ArgExtreme(Op):
    """Where the largest or smallest along an axis is; of equal ones the first."""

    largest: ClassVar[int]
    """1: the largest, 0: the smallest"""
    reals_too = True
    limits = (
        Limit("of equal elements it must give the first", lambda n: not integer(n, "select_last_index", 0)),
        Limit("it must not reduce a tensor to a scalar", lambda n: bool(shape_of(n.outputs[0]))),
    )

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return INTEGERS if value in node.outputs else NUMBERS

    def lower(self, q: SettledNode) -> list[Step]:
        shape, axis, out = shape_of(q.input(0)), _axis(q.node, 0), shape_of(q.node.outputs[0])
        kinds: list[tuple[str, Kind]] = [("places", Rank("places", type_of(q.edge()), axis, 1, self.largest))]
        kept = (*shape[:axis], 1, *shape[axis + 1 :])
        if out != kept:
            kinds.append(("", Reshape(INT64, static_shape(kept, out))))
        return q.chain(kinds, q.input(0))


def _cases(name: str) -> tuple[str, ...]:
    ways = ("default_axis", "keepdims", "negative_axis_keepdims", "no_keepdims")
    return tuple(f"test_{name}_{way}_{kind}" for way in ways for kind in ("example", "random"))


class ArgMaxOp(ArgExtreme):
    """Where the largest along an axis is; of equal ones the first."""

    onnx = "ArgMax"
    largest = 1
    cases = _cases("argmax")


class ArgMinOp(ArgExtreme):
    """Where the smallest along an axis is; of equal ones the first."""

    onnx = "ArgMin"
    largest = 0
    cases = _cases("argmin")


class TopKOp(Op):
    """The k largest or smallest along an axis, sorted, and their places; of equal ones the first come first."""

    onnx = "TopK"
    reals_too = True
    soi = (1,)
    limits = (Limit("its k must be a constant", lambda n: not is_activation(input_of(n, 1))), FITS)
    cases = ("test_top_k", "test_top_k_negative_axis", "test_top_k_same_values", "test_top_k_smallest")

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return INTEGERS if value is node.outputs[1] else NUMBERS

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),) if is_used(node.outputs[0]) else ()

    def lower(self, q: SettledNode) -> list[Step]:
        (count,) = constant_integers(q.node, 1, "k") or (0,)
        about = type_of(q.edge()), _axis(q.node, -1), count, integer(q.node, "largest", 1)
        made = zip(("values", "places"), q.node.outputs, strict=True)
        return [
            Step(Rank(gives, *about), (q.input(0).name or "",), value.name or "", f"{q.name}/{gives}", shape_of(value))
            for gives, value in made
            if value.name
        ]
