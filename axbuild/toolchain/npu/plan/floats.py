"""The float model as partition asks it: operators and tensors by name, and a part of it as a model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx
import onnx_ir as ir
from onnx import helper

from axbuild.errors import AxError
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.codes import ElementType, type_numbered
from axbuild.toolchain.npu.plan.boundary import FROM_DATA


class FloatGraphError(AxError):
    """AX408: the quantised model speaks of what the float model does not have, or of types that no subgraph hands on."""

    code = "AX408"


class FloatGraph:
    """optimized.onnx by names. nodes: name -> operator, in the order of the graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self.nodes = {node.name: node for node in model.graph.node}
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        graph = ir.from_proto(model).graph
        self._ir = {node.name or "": node for node in graph}
        values = (*graph.inputs, *(value for node in graph for value in node.outputs))
        self._values = {value.name or "": value for value in values}

    def operators(self, names: Iterable[str]) -> list[ir.Node]:
        return [self._ir[self.node(name).name] for name in names]

    def node(self, name: str) -> onnx.NodeProto:
        if name not in self.nodes:
            raise FloatGraphError(f"The quantised model names an operator '{name}', which the float model has not.")
        return self.nodes[name]

    def reads(self, node: onnx.NodeProto) -> tuple[str, ...]:
        """Inputs by place; "" for a constant, and for what is left out."""
        return tuple("" if name in self._constants else name for name in node.input)

    def type_of(self, tensor: str) -> ElementType:
        value = self._value(tensor)
        kind = type_numbered(int(value.dtype)) if value.dtype is not None else None
        if kind is None:
            raise FloatGraphError(f"Tensor '{tensor}' is {value.dtype}, which cannot pass from subgraph to subgraph.")
        return kind

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
        nodes: Sequence[onnx.NodeProto],
        inputs: Mapping[str, tuple[ElementType, Shape]],
        outputs: Mapping[str, tuple[ElementType, Shape]],
        name: str,
    ) -> onnx.ModelProto:
        """A model of those operators alone, with their constants and the opset of the whole."""
        needed = dict.fromkeys(name for node in nodes for name in node.input if name in self._constants)
        graph = helper.make_graph(
            [_bare(node) for node in nodes],
            name,
            [port(key, *form) for key, form in inputs.items()],
            [port(key, *form) for key, form in outputs.items()],
            initializer=[self._constants[key] for key in needed],
        )
        version = self._model.opset_import
        return helper.make_model(
            graph, opset_imports=version, ir_version=self._model.ir_version, producer_name="axbuild"
        )


def port(name: str, kind: ElementType, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind.onnx, [None if size == FROM_DATA else size for size in shape])


def _bare(node: onnx.NodeProto) -> onnx.NodeProto:
    """The operator without what was noted on it: notes of other operators must not reach this subgraph's bytes."""
    bare = onnx.NodeProto()
    bare.CopyFrom(node)
    bare.ClearField("metadata_props")
    bare.ClearField("doc_string")
    return bare
