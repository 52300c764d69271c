"""A subgraph as the compiler sees it: operators in order, each with its kind, and the shape of every tensor."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from axbuild.errors import AxError
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import Kind, Ranges, whole, whole_box
from axbuild.toolchain.kinds.codes import border_type_numbered, type_of
from axbuild.toolchain.kinds.registry import read_node

MAX_MODEL_BYTES = 2 << 30


class NetError(AxError):
    """AX403: a subgraph that the compiler cannot read, or that does not work at a batch size."""

    code = "AX403"


@dataclass(frozen=True)
class Tensor:
    """shape: ONNX; dtype: numpy's name of what the NPU holds."""

    name: str
    dtype: str
    shape: Shape


@dataclass(frozen=True)
class Operator:
    """One operator; inputs and output are tensor names."""

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Net:
    """inputs, outputs: names; tensors: every activation by name; ops: in an order in which they may run.

    parts: tensors that are part n of another, cut into equal parts along axis 0 (see `batch`); samples: what became of
    tensors that are nowhere whole: the names of their parts.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: dict[str, Tensor]
    ops: tuple[Operator, ...]
    parts: dict[str, tuple[str, int]] = field(default_factory=dict)
    samples: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def shapes(self, names: tuple[str, ...]) -> tuple[Shape, ...]:
        return tuple(self.tensors[name].shape for name in names)

    def op_macs(self) -> list[tuple[Operator, int]]:
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
    inputs = [_tensor(info) for info in graph.input]
    ops = []
    for node in graph.node:
        kind, activations = read_node(node, constants)
        ops.append(Operator(node.name, kind, activations, node.output[0]))
    net = _with_shapes(inputs, tuple(output.name for output in graph.output), tuple(ops))
    return at_batch(net, batch) if batch > 1 else net


def at_batch(net: Net, batch: int) -> Net:
    """The same operators on `batch` times the leading dimension; NetError where one of them mixes samples."""
    if batch == 1:
        return net
    if mixing := first_mixing(net):
        raise NetError(
            f"Operator '{mixing}' does not keep samples apart along axis 0, so there is no batch {batch}.",
            hint="build batch 1 only, or run the samples one by one",
        )
    tensors = [net.tensors[name] for name in net.inputs]
    inputs = [Tensor(t.name, t.dtype, _repeated(t.shape, batch)) for t in tensors]
    return _with_shapes(inputs, net.outputs, net.ops)


def first_mixing(net: Net) -> str | None:
    """Name of the first operator that does not keep samples apart; None where the net works at every batch."""
    constants = {op.output for op in net.ops if not op.inputs}
    for op in net.ops:
        common = {place for place, name in enumerate(op.inputs) if name in constants}
        if op.inputs and not keeps_samples(op.kind, *net.shapes(op.inputs), common=common):
            return op.name
    return None


def keeps_samples(kind: Kind, *inputs: Shape, common: Collection[int] = ()) -> bool:
    """Whether an operator on two samples, one behind the other along axis 0, makes of each what it makes of it alone.

    inputs: ONNX shapes of one sample; common: numbers of those that all samples share. Asked of the geometry: of two
    samples each part of the output must need just what the one sample's output needs, in its own sample.
    """
    both = [shape if place in common else _repeated(shape, 2) for place, shape in enumerate(inputs)]
    try:
        alone, together = kind.output_shape(*inputs), kind.output_shape(*both)
    except AxError:
        return False
    needed = kind.needs(whole(alone), *inputs)
    return together == _repeated(alone, 2) and all(
        kind.needs(_of_sample(n, whole(alone), alone), *both)
        == tuple(
            ranges if place in common else _of_sample(n, ranges, shape)
            for place, (ranges, shape) in enumerate(zip(needed, inputs, strict=True))
        )
        for n in range(2)
    )


def _repeated(shape: Shape, batch: int) -> Shape:
    return (shape[0] * batch, *shape[1:])


def _of_sample(number: int, ranges: Ranges, shape: Shape) -> Ranges:
    """Ranges of a tensor of one sample where that sample is one of several."""
    start, stop = ranges[0]
    return ((start + number * shape[0], stop + number * shape[0]), *ranges[1:])


def at_shapes(net: Net, shapes: Mapping[str, Shape]) -> Net:
    """The same operators on inputs of those shapes; raises AxError where an operator does not take them."""
    inputs = [Tensor(name, net.tensors[name].dtype, shapes[name]) for name in net.inputs]
    return _with_shapes(inputs, net.outputs, net.ops)


def _with_shapes(inputs: list[Tensor], outputs: tuple[str, ...], ops: tuple[Operator, ...]) -> Net:
    tensors = {tensor.name: tensor for tensor in inputs}
    for op in ops:
        if unknown := [name for name in op.inputs if name not in tensors]:
            raise NetError(f"Node '{op.name}' reads '{unknown[0]}' before anything writes it.")
        tensors[op.output] = _output(op, [tensors[name].shape for name in op.inputs])
    if unknown := [name for name in outputs if name not in tensors]:
        raise NetError(f"Nothing writes the output '{unknown[0]}'.")
    return Net(tuple(tensor.name for tensor in inputs), outputs, tensors, ops)


def _output(op: Operator, inputs: list[Shape]) -> Tensor:
    try:
        shape = op.kind.output_shape(*inputs)
    except AxError as error:
        raise AxError(f"Node '{op.name}': {error.sentence}", hint=error.hint, code=error.code) from error
    return Tensor(op.output, type_of(op.kind.writes).carried, shape)


def _tensor(info: onnx.ValueInfoProto) -> Tensor:
    dims = tuple(d.dim_value for d in info.type.tensor_type.shape.dim)
    if not dims or min(dims) < 1:
        raise NetError(f"Input '{info.name}' must have a static shape of rank 1 or more, got {list(dims)}.")
    kind = border_type_numbered(info.type.tensor_type.elem_type)
    if kind is None:
        raise NetError(f"Input '{info.name}' has an element type that the NPU does not hold.")
    return Tensor(info.name, kind.carried, dims)
