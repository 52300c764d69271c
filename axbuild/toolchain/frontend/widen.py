"""Integers of 8 and 16 bits, and UINT32 -> wider types that an NPU's graph holds, where that changes no number."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto

from axbuild.errors import AxNote
from axbuild.toolchain.frontend.light import LightModel, array_of
from axbuild.toolchain.frontend.nested import reads_of

WIDE: dict[int, int] = {
    TensorProto.UINT8: TensorProto.INT32,
    TensorProto.INT8: TensorProto.INT32,
    TensorProto.UINT16: TensorProto.INT32,
    TensorProto.INT16: TensorProto.INT32,
    TensorProto.UINT32: TensorProto.INT64,
}
"""element type -> the one that holds all its numbers"""
IN_FLOAT32 = {TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16}
"""those of which float32 holds all numbers too"""

_ONE: tuple[str, ...] = (
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "Reshape",
    "Slice",
)
_ONE += ("SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze")
_EVERY: tuple[str, ...] = ("Clip", "Concat", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min")
_TAKEN: dict[str, tuple[int, ...] | None] = {
    **dict.fromkeys(_ONE, (0,)),
    **dict.fromkeys(_EVERY),
    "Cast": (0,),
    "Pad": (0, 2),
    "Shape": (0,),
    "Where": (1, 2),
}
"""op_type -> which inputs may be narrow, None for all: what moves or compares numbers and makes no new ones"""
_ENDS = {"Cast", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Shape"}
"""those whose output is of another type"""


@dataclass
class _Narrow:
    """kinds: tensor that is computed -> its narrow type; readers: the nodes that read one."""

    kinds: dict[str, int] = field(default_factory=dict)
    readers: list[NodeProto] = field(default_factory=list)


def widen(model: LightModel) -> bool:
    """In place, where every operator on such integers moves or compares them; a note for each input and output that was
    widened. Whether anything was.

    An input that only becomes float32 is float32 from the beginning. A real number beyond an integer type has no
    defined place in it, so that all which fit stay as they are.
    """
    found = _narrow(model)
    if not found.kinds:
        return False
    graph = model.proto.graph
    real = {tensor for value in model.inputs for tensor in _only_real(model.proto, value.name, found.kinds)}
    wide = {name: TensorProto.FLOAT if name in real else WIDE[kind] for name, kind in found.kinds.items()}
    for node in graph.node:
        if node.op_type == "Cast" and node.output[0] in wide:
            node.attribute[0].i = wide[node.output[0]]
    _widen_constants(model, found)
    stated = [value for value in (*graph.input, *graph.output) if value.name in wide]
    for value in stated:
        value.type.tensor_type.elem_type = wide[value.name]
    kept = [value for value in graph.value_info if value.name not in wide]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    _tell({value.name: (found.kinds[value.name], wide[value.name]) for value in stated})
    return True


def _tell(ends: dict[str, tuple[int, int]]) -> None:
    for name, types in ends.items():
        before, after = (str(onnx.helper.tensor_dtype_to_np_dtype(kind)) for kind in types)
        warnings.warn(
            AxNote(f"'{name}' of the model was {before} and is {after} here, with the same numbers"), stacklevel=2
        )


def _narrow(model: LightModel) -> _Narrow:
    """All that is narrow and computed; nothing where some operator of it does more than move and compare."""
    found, proto = _Narrow(), model.proto
    kinds = found.kinds
    for value in model.inputs:
        if value.type.tensor_type.elem_type in WIDE:
            kinds[value.name] = value.type.tensor_type.elem_type
    types: dict[str, int] = {}
    for node in proto.graph.node:
        read = [index for index, name in enumerate(node.input) if name in kinds]
        if read:
            found.readers.append(node)
        if node.op_type not in _TAKEN or node.domain:
            if kinds.keys() & set(reads_of(node)):
                return _Narrow()
            continue
        taken = _TAKEN[node.op_type]
        if taken is not None and not set(read) <= {*taken}:
            return _Narrow()
        if node.op_type == "Cast" and node.attribute[0].i in WIDE:
            types = types or _types(proto)
            if not _fits(types.get(node.input[0], 0), node.attribute[0].i):
                return _Narrow()
            kinds[node.output[0]] = node.attribute[0].i
        elif read and node.op_type not in _ENDS:
            kinds.update(dict.fromkeys(filter(None, node.output), kinds[node.input[read[0]]]))
    return found


def _types(proto: ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(proto).graph
    known = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info)}
    return known | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _fits(source: int, target: int) -> bool:
    """Whether a Cast between the types changes no whole number of `target`; integers beyond it would wrap."""
    if source in (TensorProto.FLOAT, TensorProto.BOOL):
        return True
    if source not in WIDE:
        return False
    inner, outer = (np.iinfo(onnx.helper.tensor_dtype_to_np_dtype(kind)) for kind in (source, target))
    return bool(outer.min <= inner.min and inner.max <= outer.max)


def _only_real(proto: ModelProto, name: str, kinds: dict[str, int]) -> Iterator[str]:
    """The input and what only moves it, where nothing but float32 is made of all that; none elsewhere."""
    if kinds.get(name) not in IN_FLOAT32:
        return
    moved = {name}
    for node in proto.graph.node:
        if moved.isdisjoint(node.input):
            continue
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT:
            continue
        if node.op_type not in _ONE:
            return
        moved.update(node.output)
    if moved.isdisjoint(value.name for value in proto.graph.output):
        yield from moved


def _widen_constants(model: LightModel, found: _Narrow) -> None:
    """Copies, since others may read a constant as it is."""
    graph = model.proto.graph
    small = {tensor.name: tensor for tensor in graph.initializer}
    for node in found.readers:
        for index, name in enumerate(node.input):
            array = model.weights.get(name, array_of(small[name]) if name in small else None)
            kind = 0 if array is None else onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            if array is None or kind not in WIDE:
                continue
            own = f"{name}/{node.name}/{index}"
            wider = array.astype(onnx.helper.tensor_dtype_to_np_dtype(WIDE[kind]))
            graph.initializer.append(onnx.numpy_helper.from_array(wider, own))
            node.input[index] = own
