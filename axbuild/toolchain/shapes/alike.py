"""Whether a model is the same graph at other input shapes, so that what is known of a tensor holds of it there.

A tensor's name is its id: the front end names what it makes by the user's own nodes, in the order of the graph, so that
two runs over one model give one tensor one name. Where sizes make the graphs differ, nothing is carried over by guess.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from axbuild.toolchain.graph import is_activation
from axbuild.toolchain.shapes.place import ExtraShapeError

APART = "declare a float_model of that shape, and quantise it"


def require_alike(model: ir.Graph, reshaped: ir.Graph) -> None:
    """Raise ExtraShapeError, naming the tensor, unless both graphs have the same nodes between tensors of one rank."""
    own, other = _makers(model), _makers(reshaped)
    for name, node in own.items():
        if name not in other:
            raise ExtraShapeError(
                f"tensor '{name}', which '{node.name}' ({node.op_type}) makes, is not there", hint=APART
            )
        if _form(node) != _form(other[name]):
            raise ExtraShapeError(
                f"'{other[name].name}' ({other[name].op_type}) makes tensor '{name}' of other tensors than "
                f"'{node.name}' ({node.op_type}) at the model's own",
                hint=APART,
            )
    for name, node in other.items():
        if name not in own:
            raise ExtraShapeError(
                f"tensor '{name}', which '{node.name}' ({node.op_type}) makes, is there only", hint=APART
            )
    values = {value.name: value for value in values_of(reshaped)}
    for value in values_of(model):
        ranks = [_rank(one) for one in (values[value.name], value)]
        if ranks[0] != ranks[1]:
            sentence = f"tensor '{value.name}' has the rank {ranks[0]}, and at the model's own {ranks[1]}"
            raise ExtraShapeError(sentence, hint=APART)


def _makers(graph: ir.Graph) -> dict[str, ir.Node]:
    return {value.name or "": node for node in graph for value in node.outputs if value.name}


def values_of(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from (value for node in graph for value in node.outputs if value.name)


def _rank(value: ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)


def _form(node: ir.Node) -> tuple[str | None, str, list[str | None], list[str | None]]:
    """Name, operator, and tensors; a constant has no name that counts."""
    reads = [value.name if value is not None and is_activation(value) else None for value in node.inputs]
    return node.name, node.op_type, reads, [value.name for value in node.outputs]
