"""What is asked of a node of a float graph: shapes, constants and attributes, in plain Python terms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx_ir as ir

ORIGINS = "axbuild.origins"
"""metadata of a node: names of the user's nodes it stands for, first its own, as a JSON list; where they are several"""

Shape = tuple[int, ...]
Array = np.ndarray[Any, np.dtype[Any]]


def shape_of(value: ir.Value) -> Shape:
    """Static ONNX shape; the front end guarantees that there is one."""
    if value.shape is None:
        raise ValueError(f"tensor '{value.name}' has no shape: the graph was not through the front end")
    return tuple(int(dimension) for dimension in value.shape.numpy())


def input_of(node: ir.Node, index: int) -> ir.Value | None:
    """The node's input at `index`; None where it is left out or empty."""
    return node.inputs[index] if index < len(node.inputs) else None


def needed_input(node: ir.Node, index: int) -> ir.Value:
    value = input_of(node, index)
    if value is None:
        raise ValueError(f"node '{node.name}' ({node.op_type}) lacks input {index}")
    return value


def constant_of(value: ir.Value | None) -> Array | None:
    """The array of an initialiser; None for an activation or a missing input."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    array: Array = value.const_value.numpy()
    return array


def constant_input(node: ir.Node, index: int) -> Array | None:
    return constant_of(input_of(node, index))


def is_activation(value: ir.Value | None) -> bool:
    return value is not None and constant_of(value) is None


def is_used(value: ir.Value) -> bool:
    """Whether a node or the model's user reads the tensor."""
    return bool(value.uses()) or value.is_graph_output()


def activations_of(node: ir.Node) -> tuple[ir.Value, ...]:
    """The inputs that are computed, in the node's order, repeats included."""
    return tuple(value for value in node.inputs if value is not None and is_activation(value))


def integer(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def integers(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    attribute = node.attributes.get(name)
    return default if attribute is None else tuple(attribute.as_ints())


def real(node: ir.Node, name: str, default: float) -> float:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_float()


def text(node: ir.Node, name: str, default: str) -> str:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def constant_integers(node: ir.Node, index: int, name: str) -> tuple[int, ...] | None:
    """A list of integers that newer opsets give as input `index` and older ones as attribute `name`."""
    array = constant_input(node, index)
    if array is not None:
        return tuple(int(item) for item in array.reshape(-1))
    attribute = node.attributes.get(name)
    return None if attribute is None else tuple(attribute.as_ints())


def origins_of(node: ir.Node) -> list[str]:
    """Names of the nodes of the user's model that this one stands for."""
    stored = node.metadata_props.get(ORIGINS)
    return list(json.loads(stored)) if stored else [node.name or ""]
