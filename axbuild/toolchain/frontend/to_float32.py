"""A model in float16, bfloat16 or double -> the same in float32, its inputs and outputs as well."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, TensorProto, ValueInfoProto

from axbuild.errors import AxNote
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.nested import all_constants, all_graphs, all_nodes
from axbuild.toolchain.graph import Array

FOREIGN: dict[int, str] = {
    TensorProto.FLOAT16: "float16, whose numbers float32 holds exactly; float16 itself rounds by 5e-4 at each step",
    TensorProto.BFLOAT16: "bfloat16, whose numbers float32 holds exactly; bfloat16 itself rounds by 4e-3 at each step",
    TensorProto.DOUBLE: "double, whose numbers are rounded to float32, by at most 6e-8 of their magnitude",
}
"""element type -> what becoming float32 does to it"""

_TYPE_ATTRIBUTES = {"to", "dtype", "output_dtype", "output_datatype", "stash_type"}
"""attributes of ONNX's operators that name an element type"""

MEANT = (math.sqrt(2.0), math.sqrt(0.5), math.sqrt(2.0 / math.pi), 0.044715, 1.0 / 3.0, 1.0 / 6.0)
"""what a lone constant of float16 stands for where it is that number rounded: activations are spelled with these"""

_LARGEST = float(np.finfo(np.float32).max)


def to_float32(model: LightModel) -> None:
    """In place; one note says what was converted, and what that does to its numbers."""
    found: dict[int, dict[str, None]] = {}
    for name, kind in [*_weights(model), *_stated(model.proto), *_attributes(model.proto)]:
        found.setdefault(kind, {})[name] = None
    for kind, names in found.items():
        first = f"'{next(iter(names))}'"
        first = f"{len(names)} of its tensors, first {first}" if len(names) > 1 else f"its tensor {first}"
        warnings.warn(AxNote(f"the model is computed in float32: {first}, was {FOREIGN[kind]}"), stacklevel=2)


Converted = Iterator[tuple[str, int]]
"""the names of what was of another type, and the type"""


def _weights(model: LightModel) -> Converted:
    for name, array in model.weights.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        if kind in FOREIGN:
            model.weights[name] = in_range(array)
            yield name, kind


def _stated(model: ModelProto) -> Converted:
    for graph in all_graphs(model):
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield from _value(value)
        for tensor in graph.initializer:
            yield from _tensor(tensor, tensor.name)
    for function in model.functions:
        for value in function.value_info:
            yield from _value(value)


def _value(value: ValueInfoProto) -> Converted:
    # Only a tensor's type: reading another's would set it.
    if value.type.HasField("tensor_type") and value.type.tensor_type.elem_type in FOREIGN:
        yield value.name, value.type.tensor_type.elem_type
        value.type.tensor_type.elem_type = TensorProto.FLOAT


def _attributes(model: ModelProto) -> Converted:
    for node, tensor in all_constants(model):
        yield from _tensor(tensor, node.output[0])
    for node in all_nodes(model):
        for attribute in node.attribute:
            is_type = attribute.name in _TYPE_ATTRIBUTES and attribute.type == AttributeProto.INT
            if is_type and not node.domain and attribute.i in FOREIGN:
                yield node.output[0], attribute.i
                attribute.i = TensorProto.FLOAT


def _tensor(tensor: TensorProto, name: str) -> Converted:
    if tensor.data_type in FOREIGN:
        yield name, tensor.data_type
        made = onnx.numpy_helper.from_array(in_range(onnx.numpy_helper.to_array(tensor)), tensor.name)
        tensor.CopyFrom(made)


def in_range(array: Array) -> Array:
    """float32; what is finite stays so, since -1e308 is how a mask in double spells float32's lowest number."""
    if array.dtype == np.float16 and array.size == 1:
        return np.full(array.shape, _meant(float(array.reshape(()))), np.float32)
    if array.dtype != np.float64:
        return array.astype(np.float32)
    return np.where(np.isinf(array), array, np.clip(array, -_LARGEST, _LARGEST)).astype(np.float32)


def _meant(number: float) -> float:
    return next((known for known in MEANT if float(np.float16(known)) == number), number)
