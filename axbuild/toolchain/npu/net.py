"""A subgraph as the compiler sees it: operators in order, each with its kind, and the shape of every tensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from axbuild.errors import AxError
from axbuild.toolchain.kinds.base import Kind, Shape, whole_box
from axbuild.toolchain.kinds.registry import read_node

MAX_MODEL_BYTES = 2 << 30


class NetError(AxError):
    """AX403: a subgraph that the compiler cannot read, or that does not work at a batch size."""

    code = "AX403"


@dataclass(frozen=True)
class Tensor:
    """shape: ONNX; dtype: numpy's name."""

    name: str
    dtype: str
    shape: Shape


@dataclass(frozen=True)
class Op:
    """One operator; inputs and output are tensor names."""

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Net:
    """inputs, outputs: names; tensors: every activation by name; ops: in an order in which they may run."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: dict[str, Tensor]
    ops: tuple[Op, ...]

    def shapes(self, names: tuple[str, ...]) -> tuple[Shape, ...]:
        return tuple(self.tensors[name].shape for name in names)

    def op_macs(self) -> list[tuple[Op, int]]:
        """Multiply-accumulates of each operator in one run."""
        return [
            (op, op.kind.macs(whole_box(self.tensors[op.output].shape), *self.shapes(op.inputs))) for op in self.ops
        ]

    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return sum(macs for _, macs in self.op_macs())


def read_model(path: Path) -> onnx.ModelProto:
    """The model of an ONNX file with embedded weights, bounded in size."""
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise NetError(f"The model {path.name} is larger than {MAX_MODEL_BYTES} bytes.")
    try:
        return onnx.load_model_from_string(path.read_bytes())
    except DecodeError as error:
        raise NetError(f"The model {path.name} is no ONNX file.") from error


def net_of(model: onnx.ModelProto, batch: int = 1) -> Net:
    """The operators of a model of kinds, for `batch` times its own leading dimension."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    tensors = {info.name: _tensor(info, batch) for info in graph.input}
    ops = []
    for node in graph.node:
        kind, activations = read_node(node, constants)
        if unknown := [name for name in activations if name not in tensors]:
            raise NetError(f"Node '{node.name}' reads '{unknown[0]}' before anything writes it.")
        tensors[node.output[0]] = _output(node, kind, [tensors[name] for name in activations])
        ops.append(Op(node.name, kind, tuple(activations), node.output[0]))
    net = Net(tuple(i.name for i in graph.input), tuple(o.name for o in graph.output), tensors, tuple(ops))
    _check_outputs(net, graph, batch)
    return net


def _output(node: onnx.NodeProto, kind: Kind, inputs: list[Tensor]) -> Tensor:
    try:
        shape = kind.output_shape(*(tensor.shape for tensor in inputs))
    except AxError as error:
        raise AxError(f"Node '{node.name}': {error.sentence}", hint=error.hint, code=error.code) from error
    return Tensor(node.output[0], kind.output_dtype, shape)


def _tensor(info: onnx.ValueInfoProto, batch: int) -> Tensor:
    dims = tuple(d.dim_value for d in info.type.tensor_type.shape.dim)
    if not dims or min(dims) < 1:
        raise NetError(f"Input '{info.name}' must have a static shape of rank 1 or more, got {list(dims)}.")
    dtype = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type).name
    if dtype not in ("uint8", "float32"):
        raise NetError(f"Input '{info.name}' must be uint8 or float32, got {dtype}.")
    return Tensor(info.name, dtype, (dims[0] * batch, *dims[1:]))


def _check_outputs(net: Net, graph: onnx.GraphProto, batch: int) -> None:
    for info in graph.output:
        if info.name not in net.tensors:
            raise NetError(f"Nothing writes the output '{info.name}'.")
        own = tuple(d.dim_value for d in info.type.tensor_type.shape.dim)
        if own and net.tensors[info.name].shape != (own[0] * batch, *own[1:]):
            found = list(net.tensors[info.name].shape)
            raise NetError(
                f"Output '{info.name}' has shape {list(own)}, but {found} at batch {batch}: an operator mixes samples.",
                hint="build this subgraph at batch 1 only",
            )
