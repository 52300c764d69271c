"""From nodes of the domain `axbuild` to kinds, and back.

A model that holds kinds imports opset `OPSET` of the default domain, version 1 of `axbuild`, and has IR version
`IR_VERSION`; each node's function stands in the model under (domain, op_type, overload).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from axbuild.errors import AxError
from axbuild.toolchain.graph import IR_VERSION, OPSET, Array
from axbuild.toolchain.kinds.base import DOMAIN, Kind, NodeError, constant_types
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.compare import Compare
from axbuild.toolchain.kinds.convert import Convert
from axbuild.toolchain.kinds.float_function import FloatFunction
from axbuild.toolchain.kinds.float_norm import FloatNorm
from axbuild.toolchain.kinds.float_pool import FloatAveragePool, FloatMaxPool
from axbuild.toolchain.kinds.float_reduce import FloatReduce
from axbuild.toolchain.kinds.float_softmax import FloatSoftmax
from axbuild.toolchain.kinds.gather import Gather
from axbuild.toolchain.kinds.given import Given
from axbuild.toolchain.kinds.indexed import Pick, PickElements, PickParts, PutElements, PutParts
from axbuild.toolchain.kinds.integer import IntegerBinary, IntegerReduce
from axbuild.toolchain.kinds.interpolate import FloatInterpolate, Interpolate
from axbuild.toolchain.kinds.island import FloatBinary, FloatClip, FloatWithConstant
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Slice, Take, Transpose
from axbuild.toolchain.kinds.norm import LayerNorm
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.rank import Rank
from axbuild.toolchain.kinds.rearrange import Rearrange
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.kinds.regions import Regions
from axbuild.toolchain.kinds.rotary import FloatRotary, Rotary
from axbuild.toolchain.kinds.sample import FloatSample, Sample
from axbuild.toolchain.kinds.scan import FloatRunningSum, IntegerRunningSum, RunningSum
from axbuild.toolchain.kinds.select import Choose, Select
from axbuild.toolchain.kinds.softmax import LogSoftmax, Softmax
from axbuild.toolchain.kinds.table import ChannelTable, Table
from axbuild.toolchain.kinds.with_constant import WithConstant

if TYPE_CHECKING:
    import onnx_ir as ir

CLASSES: tuple[type[Kind], ...] = (
    AveragePool,
    Binary,
    ChannelTable,
    Choose,
    Compare,
    Concat,
    Conv,
    Convert,
    Dequantize,
    FloatAveragePool,
    FloatBinary,
    FloatClip,
    FloatFunction,
    FloatInterpolate,
    FloatMaxPool,
    FloatNorm,
    FloatReduce,
    FloatRotary,
    FloatRunningSum,
    FloatSample,
    FloatSoftmax,
    FloatWithConstant,
    FullyConnected,
    Gather,
    Given,
    IntegerBinary,
    IntegerReduce,
    IntegerRunningSum,
    Interpolate,
    LayerNorm,
    LogSoftmax,
    MatMul,
    MaxPool,
    Normalize,
    Pad,
    Pick,
    PickElements,
    PickParts,
    PutElements,
    PutParts,
    Quantize,
    Rearrange,
    Reduce,
    Regions,
    Requantize,
    Reshape,
    Sample,
    Rank,
    Rotary,
    RunningSum,
    Select,
    Slice,
    Softmax,
    Table,
    Take,
    Transpose,
    WithConstant,
)
KINDS: dict[str, type[Kind]] = {op_type: kind for kind in CLASSES for op_type in kind.spellings}
"""op_type of a node in the domain `axbuild` -> kind"""


class UnknownKindError(AxError):
    """A node that is not one of ours."""

    code = "AX456"

    def __init__(self, domain: str, op_type: str, name: str) -> None:
        super().__init__(
            f"Node '{name}' is {domain or 'ai.onnx'}.{op_type}, which is no operator of the domain '{DOMAIN}'.",
            hint=f"known: {', '.join(sorted(KINDS))}",
        )


@dataclass(frozen=True)
class Written:
    """A kind as ONNX: the node, its constants by the names the node reads them under, and its function."""

    node: onnx.NodeProto
    constants: dict[str, Array]
    function: onnx.FunctionProto

    @property
    def initialisers(self) -> list[onnx.TensorProto]:
        return [numpy_helper.from_array(array, name) for name, array in self.constants.items()]


def write_node(
    kind: Kind, inputs: Sequence[str], outputs: Sequence[str], name: str, free: Callable[[str], str] = str
) -> Written:
    """The node called `name` that runs `kind` on activations `inputs`; its constants are named `name`.<field>, or as
    `free` changes that where other names stand around it."""
    function = kind.body()
    constants = {free(f"{name}.{field}"): array for field, array in kind.constants().items()}
    node = helper.make_node(
        kind.op_type,
        [*inputs, *constants],
        list(outputs),
        name=name,
        domain=DOMAIN,
        overload=function.overload,
        **kind.attributes(),
    )
    return Written(node, constants, function)


def read_node(node: onnx.NodeProto | ir.Node, initialisers: Mapping[str, Array]) -> tuple[Kind, tuple[str, ...]]:
    """(kind, names of its activations) of a node; `initialisers` holds at least its constants, by name.

    Takes ONNX's protobuf or onnx_ir's node alike. Raises AxError, with the node's name in the sentence, where the
    op type is unknown or the node is not well formed.
    """
    if node.domain != DOMAIN or node.op_type not in KINDS:
        raise UnknownKindError(node.domain, node.op_type, node.name or "")
    cls = KINDS[node.op_type]
    inputs, attributes = _parts(node)
    count = len(inputs) - len(constant_types(cls))
    activations, constants = inputs[:count], inputs[count:]
    try:
        missing = [constant for constant in constants if constant not in initialisers]
        if missing:
            raise NodeError(f"The constant '{missing[0]}' of {node.op_type} is no initialiser.")
        kind = cls.read(node.op_type, attributes, [np.asarray(initialisers[constant]) for constant in constants])
        if len(kind.reads) != len(activations):
            raise NodeError(f"{node.op_type} does not take {len(inputs)} inputs.")
    except AxError as error:
        raise AxError(f"Node '{node.name}': {error.sentence}", hint=error.hint, code=error.code) from error
    return kind, tuple(activations)


def _parts(node: onnx.NodeProto | ir.Node) -> tuple[list[str], dict[str, Any]]:
    """Names of the inputs and plain attribute values."""
    if isinstance(node, onnx.NodeProto):
        return list(node.input), {a.name: _text(helper.get_attribute_value(a)) for a in node.attribute}
    names = [(value.name or "") if value is not None else "" for value in node.inputs]
    return names, {name: _text(attribute.value) for name, attribute in node.attributes.items()}


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def model_of(
    written: Sequence[Written],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    name: str,
    value_info: Sequence[onnx.ValueInfoProto] = (),
) -> onnx.ModelProto:
    """A model of kinds alone, in the given order of nodes."""
    functions = {(w.function.name, w.function.overload): w.function for w in written}
    constants = [tensor for w in written for tensor in w.initialisers]
    graph = helper.make_graph([w.node for w in written], name, inputs, outputs, constants, value_info=value_info)
    return model_around(graph, functions)


def model_around(graph: onnx.GraphProto, functions: Mapping[tuple[str, str], onnx.FunctionProto]) -> onnx.ModelProto:
    """The model of a graph whose kinds have these bodies; each once, sorted by name and overload."""
    return helper.make_model(
        graph,
        functions=[functions[key] for key in sorted(functions)],
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
        ir_version=IR_VERSION,
        producer_name="axbuild",
    )
