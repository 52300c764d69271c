"""Whole numbers that became 64 bits wide on the way stay 32 bits wide, which the NPU has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.extent import NARROW, extent, within
from axbuild.toolchain.graph import constant_of, integer, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes

PLACES: Mapping[str, tuple[int, ...]] = (
    dict.fromkeys(("Add", "Sub", "Mul", "Div"), (0, 1))
    | dict.fromkeys(("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"), (0, 1))
    | dict.fromkeys(("Cast", "Expand", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"), (0,))
    | {"Gather": (1,), "Where": (1, 2), "Max": (), "Min": ()}
)
"""op_type -> the inputs that may be of either width; of none named, all of them"""

INT32 = ir.DataType.INT32


@dataclass(frozen=True)
class Widened:
    """sources: at each place, what was cast to 64 bits, or a constant."""

    sources: dict[int, ir.Value]


class NarrowIntegers(Rewrite[Widened]):
    """f(Cast(a; to = int64), c) -> Cast(f(a, c); to = int64), for an int32 or bool a, where the result fits 32 bits

    Where f makes no int64 the Cast is gone.
    """

    op = tuple(PLACES)

    def match(self, node: ir.Node) -> Widened | NoMatch:
        places = PLACES[node.op_type] or range(len(node.inputs))
        values = {place: node.inputs[place] for place in places if place < len(node.inputs)}
        sources = {place: source for place, value in values.items() if (source := _source(value)) is not None}
        if len(sources) < len(values) or all(constant_of(value) is not None for value in sources.values()):
            return NoMatch(f"{node.op_type} does not read what was cast to 64 bits")
        output = node.outputs[0]
        if output.dtype == ir.DataType.INT64 and not _is_narrow(output):
            return NoMatch(f"the result of {node.op_type} may not fit 32 bits")
        return Widened(sources)

    def replace(self, node: ir.Node, found: Widened, steps: Steps) -> ir.Value:
        inputs = list(node.inputs)
        for place, source in found.sources.items():
            inputs[place] = _narrowed(place, source, steps)
        if node.outputs[0].dtype != ir.DataType.INT64 or node.op_type == "Cast":
            return steps.insert(node.op_type, inputs, attributes(node))
        shape = shape_of(node.outputs[0])
        narrow = steps.insert(node.op_type, inputs, attributes(node), name="narrow", shape=shape, dtype=INT32)
        return steps.insert("Cast", [narrow], {"to": ir.DataType.INT64})


def _is_narrow(value: ir.Value) -> bool:
    return within(extent(value), NARROW)


def _source(value: ir.Value | None) -> ir.Value | None:
    """What an int64 tensor was before it was cast, or a constant that 32 bits hold."""
    if value is None or value.dtype != ir.DataType.INT64:
        return None
    if constant_of(value) is not None:
        return value if _is_narrow(value) else None
    cast = value.producer()
    if cast is None or cast.op_type != "Cast" or integer(cast, "to", 0) != ir.DataType.INT64:
        return None
    source = cast.inputs[0]
    return source if source is not None and source.dtype in (INT32, ir.DataType.BOOL) else None


def _narrowed(place: int, source: ir.Value, steps: Steps) -> ir.Value:
    array, name = constant_of(source), f"narrow_{place}"
    if array is not None:
        return steps.constant(array.astype(np.int32), name)
    if source.dtype == INT32:
        return source
    shape = shape_of(source)
    return steps.insert("Cast", [source], {"to": INT32}, name=name, shape=shape, dtype=INT32)
