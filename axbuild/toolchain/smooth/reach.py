"""Where the elements of a tensor go that is only moved, channel by channel, before operators with weights read it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from axbuild.toolchain import ort
from axbuild.toolchain.graph import IR_VERSION, OPSET, Array, activations_of, constant_of, shape_of
from axbuild.toolchain.ops.gain import Gain
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.watch import derived


@dataclass(frozen=True)
class Reach:
    """axes: tensors that hold elements of the first one alone, each with the axis of that one's channels. movers:
    nodes between them. takers: the nodes that read them, and where each takes a factor back."""

    axes: Mapping[ir.Value, int]
    movers: tuple[ir.Node, ...]
    takers: Mapping[ir.Node, Gain]


def reach_of(first: ir.Value, axis: int, readers: Collection[ir.Node]) -> Reach | None:
    """Of a tensor as these of its readers see it; None where one of them, or one behind it, cannot take a factor back.

    A node whose output is made of its inputs' elements is followed where all of them are the reach's.
    """
    axes, takers = {first: axis}, dict[ir.Node, Gain]()
    movers: list[ir.Node] = []
    joins: set[ir.Node] = set()
    waiting = [first]
    while waiting:
        value = waiting.pop()
        if value is not first and value.is_graph_output():
            return None
        for node in _readers(value, readers if value is first else None):
            gain = _takes_back(node, value, axes[value])
            moved = None if gain else _moved(node, axes)
            if gain is not None:
                takers[node] = gain
            elif moved is not None:
                joins.discard(node)
                movers.append(node)
                waiting += [output for output in moved if output not in axes]
                axes.update(moved)
            elif _may_join(node):
                joins.add(node)
            else:
                return None
    return Reach(axes, tuple(dict.fromkeys(movers)), takers) if takers and not joins else None


def _readers(value: ir.Value, chosen: Collection[ir.Node] | None) -> list[ir.Node]:
    nodes = list(dict.fromkeys(use.node for use in value.uses()))
    return nodes if chosen is None else [node for node in nodes if node in chosen]


def _takes_back(node: ir.Node, value: ir.Value, axis: int) -> Gain | None:
    op = op_of(node)
    if op is None or activations_of(node) != (value,):
        return None
    gain = op.takes_back(node, axis)
    return gain if gain is not None and gain.constants else None


def _may_join(node: ir.Node) -> bool:
    """Whether it may be followed once its other tensors are in the reach as well."""
    return derived(node) and len(set(activations_of(node))) > 1


def _moved(node: ir.Node, axes: Mapping[ir.Value, int]) -> dict[ir.Value, int] | None:
    """Its outputs with their channels' axes; None where it does more than move, or channels do not stay together."""
    if node.domain or not derived(node) or not axes.keys() >= set(activations_of(node)):
        return None
    found: dict[ir.Value, int] = {}
    for output, marks in zip(node.outputs, _run(node, axes), strict=True):
        axis = _axis_of(marks, _marks(next((value, axes[value]) for value in activations_of(node))))
        if axis is None:
            return None
        found[output] = axis
    return found


def _marks(place: tuple[ir.Value, int]) -> Array:
    """A number a channel, none of them likely to be a constant of a model."""
    value, axis = place
    return (np.arange(shape_of(value)[axis]) + 0.640625).astype(np.float32)


def _axis_of(marks: Array, expected: Array) -> int | None:
    """The axis along which the marks are the channels', zeros aside: a factor does not change those."""
    for axis, size in enumerate(marks.shape):
        if size == len(expected):
            along = expected.reshape(-1, *[1] * (marks.ndim - axis - 1))
            if np.all((marks == along) | (marks == 0.0)):
                return axis
    return None


def _run(node: ir.Node, axes: Mapping[ir.Value, int]) -> list[Array]:
    """What the node makes of marked tensors."""
    proto = ir.serde.serialize_node(node)
    feeds: dict[str, Array] = {}
    constants: list[onnx.TensorProto] = []
    for value in dict.fromkeys(item for item in node.inputs if item is not None):
        array = constant_of(value)
        if array is None:
            marks = _marks((value, axes[value])).reshape(-1, *[1] * (len(shape_of(value)) - axes[value] - 1))
            feeds[value.name or ""] = np.ascontiguousarray(np.broadcast_to(marks, shape_of(value)))
        else:
            constants.append(numpy_helper.from_array(array, value.name))
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape) for name, array in feeds.items()]
    results = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in proto.output if name]
    graph = helper.make_graph([proto], "marks", ports, results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    found: list[Array] = ort.open_session(model.SerializeToString()).run(None, feeds)
    return found
