"""The float model as partition asks it: operators and tensors by name, and a part of it as a model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from axbuild.errors import AxError
from axbuild.toolchain.graph import IR_VERSION, OPSET, Array, Shape, constant_of, is_constant, model_file, names_of
from axbuild.toolchain.kinds.codes import ElementType
from axbuild.toolchain.named import opened
from axbuild.toolchain.npu.plan.boundary import FROM_DATA
from axbuild.toolchain.quant.tensors import is_left_out, plain_type


class FloatGraphError(AxError):
    """AX408: the quantised model speaks of what the float model does not have."""

    code = "AX408"


class LeftOutError(AxError):
    """AX591: the CPU would need a weight of the float model, of which there is an outline alone."""

    code = "AX591"


class FloatGraph:
    """optimized.onnx, or the outline of it, by names. order: of its operators; constants: names of its initialisers."""

    def __init__(self, model: Path) -> None:
        """model: the front end's folder, or the file."""
        graph = ir.load(model_file(model)).graph
        self._nodes = {node.name or "": node for node in graph}
        values = (*graph.inputs, *(value for node in graph for value in node.outputs))
        self._values = {value.name or "": value for value in values}
        self._constants = {name: value for name, value in graph.initializers.items() if is_constant(value)}
        self.order = list(self._nodes)
        self.constants = tuple(self._constants)

    def node(self, name: str) -> ir.Node:
        if name not in self._nodes:
            raise FloatGraphError(f"The quantised model names an operator '{name}', which the float model has not.")
        return self._nodes[name]

    def nodes(self, names: Iterable[str]) -> list[ir.Node]:
        return [self.node(name) for name in names]

    def reads(self, name: str) -> tuple[str, ...]:
        """An operator's inputs by place; "" for a constant, and for what is left out."""
        names = (value.name or "" if value is not None else "" for value in self.node(name).inputs)
        return tuple("" if tensor in self._constants else tensor for tensor in names)

    def writes(self, name: str) -> tuple[str, ...]:
        """Its outputs; "" for what is left out."""
        return tuple(value.name or "" for value in self.node(name).outputs)

    def aliases(self) -> dict[str, str]:
        """Every name that a tensor has, or had in the user's model -> its name here."""
        users = {alias: name for name, value in self._values.items() for alias in names_of(value)}
        return users | {name: name for name in self._values}

    def bare(self, name: str) -> onnx.NodeProto:
        """The operator without what was noted on it, which must not reach the bytes of a subgraph."""
        proto = ir.serde.serialize_node(self.node(name))
        proto.ClearField("metadata_props")
        proto.ClearField("doc_string")
        return proto

    def type_of(self, tensor: str) -> ElementType:
        """Raises PlainTypeError for one that cannot pass from subgraph to subgraph."""
        return plain_type(self._value(tensor))

    def shape_of(self, tensor: str) -> Shape:
        """FROM_DATA where a size depends on data."""
        value = self._value(tensor)
        if value.shape is None:
            raise FloatGraphError(f"The rank of tensor '{tensor}' depends on data.")
        return tuple(size if isinstance(size, int) else FROM_DATA for size in value.shape)

    def _value(self, tensor: str) -> ir.Value:
        if tensor not in self._values:
            raise FloatGraphError(f"The quantised model names a tensor '{tensor}', which the float model has not.")
        return self._values[tensor]

    def cut(
        self,
        operators: Sequence[onnx.NodeProto],
        inputs: Mapping[str, tuple[ElementType, Shape]],
        outputs: Mapping[str, tuple[ElementType, Shape]],
        name: str,
    ) -> onnx.ModelProto:
        """A model of those operators alone, with their constants; what ONNX does not define is spelled out."""
        arrays = {
            key: self._array(key, node.name) for node in operators for key in node.input if key in self._constants
        }
        graph = helper.make_graph(
            operators,
            name,
            [port(key, *form) for key, form in inputs.items()],
            [port(key, *form) for key, form in outputs.items()],
            initializer=[numpy_helper.from_array(array, key) for key, array in arrays.items()],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return opened(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="axbuild"))

    def _array(self, name: str, reader: str) -> Array:
        """A constant that an operator reads; raises LeftOutError for a weight that is not known."""
        if is_left_out(self._constants[name]):
            raise LeftOutError(
                f"operator '{reader}' runs on the CPU of this chip, and its float weights '{name}' are not in the "
                "quantised model",
                hint="build from the float model, which has them",
            )
        array = constant_of(self._constants[name])
        assert array is not None, "it is a constant"
        return array


def port(name: str, kind: ElementType, shape: Shape) -> onnx.ValueInfoProto:
    """An input or output of a model."""
    return helper.make_tensor_value_info(name, kind.onnx, [None if size == FROM_DATA else size for size in shape])
