"""What the front end does not take, read off the graph before anything runs; all findings at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from axbuild.errors import AxError
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.nested import all_constants, all_graphs, all_nodes
from axbuild.toolchain.frontend.to_float32 import FOREIGN
from axbuild.toolchain.frontend.widen import WIDE
from axbuild.toolchain.graph import OPSET, OUTLINE, Array
from axbuild.toolchain.named import NAMED, STAND_INS, UNDEFINED

OLDEST_OPSET = 7

REAL_TYPES = {TensorProto.FLOAT, *FOREIGN}
INPUT_TYPES = REAL_TYPES | {TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL}
TENSOR_TYPES = INPUT_TYPES | {
    TensorProto.INT8,
    TensorProto.INT16,
    TensorProto.UINT8,
    TensorProto.UINT16,
    TensorProto.UINT32,
    TensorProto.UINT64,
}
_QUANTISED = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear"}
_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}


class UnsupportedModelError(AxError):
    """A valid model that the front end does not take: its types, opset, control flow or domains."""

    code = "AX303"


def require_supported(model: LightModel) -> None:
    """Raise UnsupportedModelError with everything that stands against the model."""
    nodes = list(all_nodes(model.proto))
    findings = [
        *_quantised_already(model.proto),
        *_versions(model.proto),
        *_operators(model.proto, nodes, model.weights),
        *_types(model),
        *_values(model),
    ]
    if findings:
        hints = list(dict.fromkeys(hint for _, hint in findings if hint))
        raise UnsupportedModelError("; ".join(sentence for sentence, _ in findings), hint="; ".join(hints))


def require_plain_types(model: LightModel) -> None:
    """Raise UnsupportedModelError for tensors of types that numpy does not have, once types are inferred."""
    graph = model.proto.graph
    kinds = {value.name: _element_type(value) for value in (*graph.value_info, *graph.output)}
    odd = {name: kind for name, kind in kinds.items() if kind not in TENSOR_TYPES and kind != _SEQUENCE}
    if findings := list(_grouped_types(odd)):
        raise UnsupportedModelError("; ".join(sentence for sentence, _ in findings), hint="export the model in float32")


def require_known_inputs(model: LightModel) -> None:
    """Raise UnsupportedModelError for inputs of types that no graph for an NPU has, once all that can be is widened."""
    kinds = {value.name: _element_type(value) for value in model.inputs}
    odd = [f"input '{name}' is {_type_name(kind)}" for name, kind in kinds.items() if kind not in INPUT_TYPES]
    if odd:
        raise UnsupportedModelError(
            f"{'; '.join(odd)}; float32, int32, int64 and bool are supported, and narrower integers that are only "
            "moved, compared or cast",
            hint="cut the model behind it: `inputs` of the float_model",
        )


def require_no_sequences(model: LightModel) -> None:
    """Raise UnsupportedModelError for sequences that are left when what is constant of them is folded."""
    graph = model.proto.graph
    kinds = {value.name for value in (*graph.value_info, *graph.output) if _element_type(value) == _SEQUENCE}
    if makers := [node for node in graph.node if kinds.intersection(node.output)]:
        raise UnsupportedModelError(
            f"{counted(makers)} makes a sequence, and a graph for an NPU has tensors only",
            hint="cut the model before it: `outputs` of the float_model",
        )


LONGEST_NAME = 100


def shortened(name: str) -> str:
    """A name that fits into a sentence."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def counted(nodes: Iterable[NodeProto], label: Callable[[NodeProto], str] = lambda node: node.op_type) -> str:
    """`Foo x31 (first 'a', 'b'), Bar x1 ('c')`: nodes by operator, in the order of the graph."""
    names: dict[str, list[str]] = {}
    for node in nodes:
        names.setdefault(label(node), []).append(f"'{shortened(node.name)}'")
    return ", ".join(
        f"{operator} x{len(found)} ({'first ' * (len(found) > 2)}{', '.join(found[:2])})"
        for operator, found in names.items()
    )


Meaning = tuple[list[str], list[tuple[Any, ...]], dict[str, tuple[Any, ...]]]
"""of an operator: its words, its inputs and outputs, its attributes"""

Objection = tuple[str, str]
"""a sentence, and what to do about it"""


def _quantised_already(model: ModelProto) -> Iterator[Objection]:
    if any(entry.key == OUTLINE for entry in model.metadata_props):
        yield (
            "the model is quantised already, by an earlier build",
            "a quantised model is the `src` of a quant_axmodel, or model_type QuantAxModel of `pulsar2 build`",
        )


def _versions(model: ModelProto) -> Iterator[Objection]:
    version = opset_of(model)
    if version > OPSET and (changed := list(_changed_since(model, version))):
        yield (
            f"the model has opset {version}, and since opset {OPSET}, the latest that is supported, "
            f"{counted(changed)} became another operator",
            f"export it at opset {OPSET} or lower",
        )
    elif version < OLDEST_OPSET or version > onnx.defs.onnx_opset_version():
        hint = f"export it at opset {OLDEST_OPSET} to {OPSET}"
        yield f"the model has opset {version}; opsets {OLDEST_OPSET} to {OPSET} are supported", hint
    if model.ir_version > onnx.IR_VERSION:
        yield (
            f"the model has IR version {model.ir_version}; versions up to {onnx.IR_VERSION} are supported",
            "save it with an earlier release of onnx",
        )


def opset_of(model: ModelProto) -> int:
    """Of ONNX's own operators; 0 where the model states none."""
    return next((entry.version for entry in model.opset_import if not entry.domain), 0)


def _changed_since(model: ModelProto, version: int) -> Iterator[NodeProto]:
    """The nodes whose operator has another definition at `version` than at OPSET, beyond more element types."""
    for node in all_nodes(model):
        known = not node.domain and onnx.defs.has(node.op_type, version, "")
        if known and _meaning(node.op_type, version) != _meaning(node.op_type, OPSET):
            yield node


def _meaning(op_type: str, version: int) -> Meaning | None:
    """What an opset says of an operator, but for the types of its elements; None where it has none of that name."""
    if not onnx.defs.has(op_type, version, ""):
        return None
    schema = onnx.defs.get_schema(op_type, version, "")
    ends = [(end.name, end.type_str, end.option, end.min_arity) for end in (*schema.inputs, *schema.outputs)]
    attributes = {
        name: (item.type, item.required, item.default_value.SerializeToString())
        for name, item in schema.attributes.items()
    }
    return (schema.doc or "").split(), ends, attributes


def _operators(model: ModelProto, nodes: list[NodeProto], weights: Iterable[str]) -> Iterator[Objection]:
    local = {(function.domain, function.name) for function in model.functions}
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    open_ = [node for node in nodes if (node.domain, node.op_type) not in local]
    if unknown := [node for node in open_ if node.domain or node.op_type not in known]:
        yield from _undefined(unknown, known, opset_of(model))
    standard = [node for node in open_ if not node.domain]
    constant = {*weights, *(tensor.name for tensor in model.graph.initializer)}
    if quantised := [node for node in standard if node.op_type in _QUANTISED and not _folds(node, constant)]:
        yield f"the model is quantised already: {counted(quantised)}", "give the float model"
    for node in standard:
        _, own = STAND_INS.get(node.op_type, (0, None))
        if own is not None and (refusal := own.refusal(node, opset_of(model))):
            yield f"{counted([node])} {refusal}", "see the page of operators for the form that is supported"
    if random := [node for node in standard if node.op_type in _RANDOM]:
        yield f"{counted(random)} draws random numbers", "export the model for inference"


def _undefined(nodes: list[NodeProto], known: set[str], version: int) -> Iterator[Objection]:
    for name, reason in UNDEFINED.items():
        if found := [node for node in nodes if node.op_type == name]:
            yield f"{counted(found, _with_domain)}: {reason}", "leave it out of the exported model"
    for node in nodes:
        if node.domain and node.op_type in NAMED:
            refusal = NAMED[node.op_type].refusal(node, version)
            yield f"{counted([node], _with_domain)} {refusal}", "see the page of operators for what is read by name"
    told = [node for node in nodes if node.op_type in UNDEFINED or (node.domain and node.op_type in NAMED)]
    if others := [node for node in nodes if node not in told]:
        yield f"ONNX does not define {counted(others, _with_domain)}", _way_out(others, known)


def _folds(node: NodeProto, constant: set[str]) -> bool:
    """Weights that are only stored in few bits are floats again before anything else."""
    return node.op_type == "DequantizeLinear" and constant.issuperset(filter(None, node.input))


def _with_domain(node: NodeProto) -> str:
    return f"{node.op_type} of domain '{node.domain}'" if node.domain else node.op_type


def _way_out(unknown: list[NodeProto], known: set[str]) -> str:
    for node in unknown:
        if not node.domain and (near := difflib.get_close_matches(node.op_type, known, 1)):
            return f"did you mean {near[0]}?"
    return "export the model with standard ONNX operators only"


def _types(model: LightModel) -> Iterator[Objection]:
    for value in model.inputs:
        kind = _element_type(value)
        if kind not in INPUT_TYPES and kind not in WIDE:
            yield (
                f"input '{value.name}' is {_type_name(kind)}; float32, int32, int64 and bool are supported",
                "cut the model behind it: `inputs` of the float_model",
            )
    if sparse := [f"'{tensor.values.name}'" for tensor in model.proto.graph.sparse_initializer]:
        yield (
            f"weights are sparse: {', '.join(sparse[:2])}, {len(sparse)} in all",
            "export the model with dense weights",
        )
    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in model.weights.items()}
    kinds |= {tensor.name: tensor.data_type for graph in all_graphs(model.proto) for tensor in graph.initializer}
    kinds |= {node.output[0]: tensor.data_type for node, tensor in all_constants(model.proto)}
    yield from _grouped_types({name: kind for name, kind in kinds.items() if kind not in TENSOR_TYPES})


def _grouped_types(odd: Mapping[str, int]) -> Iterator[Objection]:
    by_kind: dict[int, list[str]] = {}
    for name, kind in odd.items():
        by_kind.setdefault(kind, []).append(f"'{name}'")
    for kind, names in by_kind.items():
        subject = (
            f"tensor {names[0]} is" if len(names) == 1 else f"{len(names)} tensors (first {', '.join(names[:2])}) are"
        )
        yield f"{subject} {_type_name(kind)}, which no chip computes with", "export the model in float32"


_SEQUENCE = -1
_NO_TENSORS = {
    _SEQUENCE: "a sequence",
    -2: "an optional value",
    -3: "a map",
    -4: "a sparse tensor",
    0: "of no stated type",
}
_FIELDS = {"sequence_type": _SEQUENCE, "optional_type": -2, "map_type": -3, "sparse_tensor_type": -4}


def _element_type(value: ValueInfoProto) -> int:
    """The number of a tensor's element type; one below 0 for what is no tensor."""
    field = value.type.WhichOneof("value") or "tensor_type"
    return _FIELDS.get(field, value.type.tensor_type.elem_type)


def _type_name(kind: int) -> str:
    if kind in _NO_TENSORS:
        return _NO_TENSORS[kind]
    names = {number: name.lower() for name, number in TensorProto.DataType.items()}
    return str(names.get(kind, f"of the unknown type {kind}"))


def _values(model: LightModel) -> Iterator[Objection]:
    small = ((tensor.name, tensor) for tensor in model.proto.graph.initializer if tensor.data_type in REAL_TYPES)
    arrays = {**model.weights, **{name: onnx.numpy_helper.to_array(tensor) for name, tensor in small}}
    bad = {name: index for name, array in arrays.items() if (index := not_finite(array)) is not None}
    if bad:
        shown = ", ".join(f"'{name}' ({arrays[name][index]} at {list(index)})" for name, index in list(bad.items())[:2])
        subject = f"{len(bad)} weights hold" if len(bad) > 1 else "a weight holds"
        yield f"{subject} what is no number: {'first ' * (len(bad) > 2)}{shown}", "export the model again"


def not_finite(array: Array) -> tuple[int, ...] | None:
    """Index of the first NaN, or of an infinity beside other numbers than 0: masks and bounds have infinities."""
    if onnx.helper.np_dtype_to_tensor_dtype(array.dtype) not in REAL_TYPES or not array.size:
        return None
    # A sum shows both, at the speed of memory; it may be infinite without either, so the elements have the last word.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum(dtype=np.float32)):
            return None
    if not np.isnan(array).any() and not (np.isfinite(array) & (array != 0)).any():
        return None
    found = np.flatnonzero(~np.isfinite(array))
    return tuple(int(item) for item in np.unravel_index(found[0], array.shape)) if found.size else None
