"""What is asked of a node of a float graph: shapes, constants and attributes, in plain Python terms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx_ir as ir

Shape = tuple[int, ...]
Array = np.ndarray[Any, np.dtype[Any]]

OPSET = 24
"""of every float graph behind the front end, so that an operator has one meaning"""

IR_VERSION = 11

MODEL_FILE = "optimized.onnx"
DATA_FILE = "optimized.onnx.data"
"""the float graph in the front end's folder, and beside it the weights of one above 2 GB"""

OPERATORS_FILE = "operators.json"
"""how many nodes the float graph has of each operator of ONNX's default domain: op_type -> count"""


def model_file(model: Path) -> Path:
    """The ONNX file of a float graph that is given as the front end's folder, or as the file itself."""
    return model / MODEL_FILE if model.is_dir() else model


ORIGINS = "axbuild.origins"
"""metadata of a node: the user's nodes it stands for, first the one whose name it has, as a JSON list; without it the
node is the user's own. Metadata of a tensor: the names it had in the user's model, where they are not its name."""


PATTERN = "axbuild.pattern"
"""metadata of a node: what it is a part of with others, such as Attention"""


SPELLED = "axbuild.spelled"
"""metadata of a node that the front end made of several: their operators, as a JSON list"""


OUTLINE = "axbuild.outline"
"""metadata of a quantised model: its float model without weights"""


KEPT = "axbuild.kept"
"""metadata of a model that the front end is given: tensors that no rewrite may do away with, as a JSON list; of such a
tensor while rewrites run"""


class Names:
    """Names for what is new in a graph. What is taken is collected once, and a name that was ever taken stays so."""

    def __init__(self, taken: Iterable[str | None]) -> None:
        self._taken = {name for name in taken if name}

    def free(self, like: str) -> str:
        """`like`, with a number where something else has that name; taken from now on."""
        name, count = like, 1
        while name in self._taken:
            name, count = f"{like}_{count}", count + 1
        self._taken.add(name)
        return name


def tensor_names(graph: ir.Graph) -> Names:
    """The names of a graph's tensors, constants and inputs included."""
    made = (value.name for node in graph for value in node.outputs)
    return Names([*made, *graph.initializers, *(value.name for value in graph.inputs)])


def shape_of(value: ir.Value) -> Shape:
    """Static ONNX shape; the front end guarantees that there is one."""
    if value.shape is None:
        raise ValueError(f"tensor '{value.name}' has no shape: the graph was not through the front end")
    return tuple(int(dimension) for dimension in value.shape.numpy())


def static_shape(shape: Shape, out: Shape) -> Shape:
    """`out`, with -1 for a leading batch that stays the leading dimension, so that a batched program can set it."""
    return (-1, *out[1:]) if shape and out and shape[0] == out[0] else out


def input_of(node: ir.Node, index: int) -> ir.Value | None:
    """The node's input at `index`; None where it is left out or empty."""
    return node.inputs[index] if index < len(node.inputs) else None


def needed_input(node: ir.Node, index: int) -> ir.Value:
    value = input_of(node, index)
    if value is None:
        raise ValueError(f"node '{node.name}' ({node.op_type}) lacks input {index}")
    return value


def is_constant(value: ir.Value | None) -> bool:
    """Whether the value is an initialiser; its array is not loaded."""
    return value is not None and value.const_value is not None and not value.is_graph_input()


def constant_of(value: ir.Value | None) -> Array | None:
    """The array of an initialiser; None for an activation or a missing input."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    array: Array = value.const_value.numpy()
    return array


def constant_input(node: ir.Node, index: int) -> Array | None:
    return constant_of(input_of(node, index))


def constant_operand(node: ir.Node) -> Array | None:
    """The constant of a node of two operands; None where both are computed."""
    first = constant_input(node, 0)
    return constant_input(node, 1) if first is None else first


def is_activation(value: ir.Value | None) -> bool:
    return value is not None and not is_constant(value)


def is_static(value: ir.Value) -> bool:
    """Whether every dimension is a number; behind an operator such as NonZero some depend on data."""
    return value.shape is not None and value.shape.is_static()


def origins_of(node: ir.Node) -> list[str]:
    """Names of the nodes of the user's model that this one stands for."""
    stored = node.metadata_props.get(ORIGINS)
    return list(json.loads(stored)) if stored else [node.name or ""]


def spelling_of(node: ir.Node) -> list[str]:
    """The operators that a node was spelled with in the user's model; its own where it stood there as it is."""
    stored = node.metadata_props.get(SPELLED)
    return list(json.loads(stored)) if stored else [node.op_type]


def is_used(value: ir.Value) -> bool:
    """Whether a node or the model's user reads the tensor."""
    return bool(value.uses()) or value.is_graph_output()


def has_one_reader(value: ir.Value) -> bool:
    """One node of the graph reads the value, and it is no output of the model."""
    return sum(node.graph is not None for node, _ in value.uses()) == 1 and not value.is_graph_output()


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


def turned(weight: Array, group: int) -> Array:
    """A weight of ConvTranspose [ci, co / group, ...] as one of Conv [co, ci / group, ...], and the way back."""
    by_group = weight.reshape(group, -1, *weight.shape[1:]).swapaxes(1, 2)
    return by_group.reshape(-1, *by_group.shape[2:])


def constant_integers(node: ir.Node, index: int, name: str) -> tuple[int, ...] | None:
    """A list of integers that newer opsets give as input `index` and older ones as attribute `name`."""
    array = constant_input(node, index)
    if array is not None:
        return tuple(int(item) for item in array.reshape(-1))
    attribute = node.attributes.get(name)
    return None if attribute is None else tuple(attribute.as_ints())


def names_of(value: ir.Value) -> list[str]:
    """The names that a tensor has or had in the user's model."""
    stored = value.metadata_props.get(ORIGINS)
    return list(json.loads(stored)) if stored else [value.name or ""]


def remember(value: ir.Value, names: list[str]) -> None:
    """Note the names that a tensor had in the user's model, where they are not just its own."""
    if names != [value.name]:
        value.metadata_props[ORIGINS] = json.dumps(list(dict.fromkeys(names)))
