"""A model without its weights: a message of some kilobytes that can be checked, converted and run cheaply.

ONNX's own passes copy a model there and back each time, and protobuf holds at most 2 GB. So the weights never enter
protobuf: they are cut out of the file's bytes into arrays, and in the model each stands as one more graph input of
its name, type and shape, which every pass takes. onnxruntime gets the arrays as values of these inputs, without a copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir
from onnx import ModelProto, TensorProto, ValueInfoProto

from axbuild.toolchain.graph import Array, is_used
from axbuild.toolchain.named import complete

INLINE_BYTES = 1024
"""smaller initialisers stay in the model: shapes are computed from them, and onnxruntime reads none from outside"""


@dataclass
class LightModel:
    """proto: the model, the weights behind its own inputs. weights: name -> array; float32, integers or bool."""

    proto: ModelProto
    weights: dict[str, Array] = field(default_factory=dict)

    @property
    def inputs(self) -> list[ValueInfoProto]:
        """The inputs that are no weights."""
        return [value for value in self.proto.graph.input if value.name not in self.weights]

    def move_out(self, name: str, array: Array, kind: int) -> None:
        """Make a constant that is no initialiser any more one of the weights."""
        self.weights[name] = array
        self.proto.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, array.shape))


def is_large(bytes_: int) -> bool:
    return bytes_ >= INLINE_BYTES


def to_graph(light: LightModel) -> ir.Model:
    """The model for passes of our own: weights are initialisers, as arrays that are shared and not copied."""
    model = ir.serde.deserialize_model(light.proto)
    graph = model.graph
    values = list(graph.inputs)
    graph.inputs.clear()
    graph.inputs.extend(value for value in values if value.name not in light.weights)
    for value in values:
        if value.name in light.weights:
            value.const_value = ir.Tensor(light.weights[value.name], name=value.name)
            graph.register_initializer(value)
    return model


def from_graph(model: ir.Model) -> LightModel:
    """The way back. `model` is used up: its large initialisers have become inputs."""
    graph = model.graph
    weights: dict[str, Array] = {}
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or not is_used(value):
            del graph.initializers[name]
        elif is_large(tensor.nbytes):
            weights[name] = tensor.numpy()
            value.shape, value.type = ir.Shape(weights[name].shape), ir.TensorType(tensor.dtype)
            value.const_value = None
            del graph.initializers[name]
            graph.inputs.append(value)
    return LightModel(complete(ir.serde.serialize_model(model)), weights)


def array_of(tensor: TensorProto) -> Array:
    array: Array = onnx.numpy_helper.to_array(tensor)
    return array


def array_bytes(tensor: TensorProto) -> int:
    """Bytes of the tensor's elements, as its type and shape say."""
    element = np.empty(0, onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    return int(math.prod(tensor.dims)) * element.itemsize


def lift_constants(model: ModelProto) -> None:
    """Constant(; value) -> an initialiser of its name; a list or number as well, in place."""
    kept = []
    for node in model.graph.node:
        tensor = _constant(node) if node.op_type == "Constant" and not node.domain else None
        if tensor is None:
            kept.append(node)
        else:
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)
    del model.graph.node[:]
    model.graph.node.extend(kept)


_LISTS = {
    "value_float": TensorProto.FLOAT,
    "value_floats": TensorProto.FLOAT,
    "value_int": TensorProto.INT64,
    "value_ints": TensorProto.INT64,
}


def _constant(node: onnx.NodeProto) -> TensorProto | None:
    """The value of a Constant node; None for a string or a sparse tensor."""
    (attribute,) = node.attribute
    if attribute.name == "value":
        value = TensorProto()
        value.CopyFrom(attribute.t)
        return value
    if attribute.name not in _LISTS:
        return None
    given = onnx.helper.get_attribute_value(attribute)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(_LISTS[attribute.name])
    made: TensorProto = onnx.numpy_helper.from_array(np.array(given, dtype))
    return made
