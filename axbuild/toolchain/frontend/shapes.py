"""Static shapes for every tensor, as they follow from the inputs' through the operators."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import onnx
from onnx import ModelProto, ValueInfoProto

from axbuild.errors import AxError
from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.graph import Array, Shape

Stated = tuple[int | str, ...]
"""a shape with names where dimensions are unknown, "?" for one without a name"""

MAX_ELEMENTS = 2**28
"""elements of one tensor, and a quarter of what all activations may have; more is a mistake, not a model for an NPU"""


class ShapeInferenceError(AxError):
    """A shape does not follow from the inputs' shapes, or contradicts them."""

    code = "AX305"


def forget_shapes(model: ModelProto) -> None:
    """Drop what is stated of tensors that are computed."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):  # reading another's would set it
            value.type.tensor_type.ClearField("shape")


def stated_shape(value: ValueInfoProto) -> Stated | None:
    """Dimensions as numbers, or as names where they are unknown ("?" without one; -1 and 0 are unknown too)."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    return tuple(
        item.dim_value if item.dim_value > 0 else (item.dim_param or "?") for item in value.type.tensor_type.shape.dim
    )


def computed_shape(value: ValueInfoProto) -> Stated | None:
    """The same of a tensor that is computed: there 0 is a size, of what a Slice or Split leaves nothing of."""
    stated = stated_shape(value)
    if stated is None:
        return None
    sizes = zip(stated, value.type.tensor_type.shape.dim, strict=True)
    return tuple(0 if size.HasField("dim_value") and size.dim_value == 0 else item for item, size in sizes)


def shown_shape(shape: Stated) -> str:
    return "[" + ", ".join(str(item) for item in shape) + "]"


def infer(model: LightModel) -> ShapeInferenceError | None:
    """Add value_info for every tensor whose shape is known, in place; returns what contradicts itself, if anything.

    ONNX's inference also fails on some operators that are sound and run: what it does not say is looked at in a run.
    """
    try:
        model.proto = _inferred(model.proto, strict=True)
    except ShapeInferenceError as fault:
        model.proto = _inferred(model.proto, strict=False)
        return fault
    return None


def _inferred(proto: ModelProto, *, strict: bool) -> ModelProto:
    with door(_contradiction):
        found: ModelProto = onnx.shape_inference.infer_shapes(
            proto, check_type=True, strict_mode=strict, data_prop=True
        )
    return found


def _contradiction(said: str) -> ShapeInferenceError:
    return ShapeInferenceError(
        f"shapes do not follow through the model: {_first_fault(said)}",
        hint="check input_shapes against what the model can take",
    )


_FAULT = re.compile(r"\(op_type:(\w+), node name: (.*?)\): (?:\[\w+\] )?(.*?)(?= \(op_type:|$)")


def _first_fault(text: str) -> str:
    """The first node that ONNX complains of; the others only follow from it."""
    line = " ".join(text.split())
    found = _FAULT.search(line)
    return f"node '{found[2]}' ({found[1]}): {found[3]}" if found else line[:200]


def require_reasonable(model: LightModel) -> None:
    """Raise ShapeInferenceError where a known shape, or all of them together, has too many elements to be meant."""
    total = 0
    for value in (*model.inputs, *model.proto.graph.value_info, *model.proto.graph.output):
        shape = stated_shape(value) or ()
        elements = math.prod(item for item in shape if isinstance(item, int))
        total += elements
        if elements > MAX_ELEMENTS or total > 4 * MAX_ELEMENTS:
            raise ShapeInferenceError(
                f"tensor '{value.name}' has the shape {shown_shape(shape)}, larger than any that is meant for an NPU",
                hint="check input_shapes, and the pads and shapes in the model",
            )


def static_shapes(model: LightModel) -> dict[str, Shape]:
    """The shapes of all tensors and constants that are known in numbers."""
    graph = model.proto.graph
    stated = {value.name: computed_shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    stated |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    return {
        name: tuple(item for item in shape if isinstance(item, int))
        for name, shape in stated.items()
        if shape is not None and all(isinstance(item, int) for item in shape)
    }


_DECIDED_BY: dict[str, tuple[int, ...]] = {
    "CenterCropPad": (1,),
    "Compress": (0, 1),
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "NonMaxSuppression": (0, 1, 2, 3, 4),
    "NonZero": (0,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceMin": (1,),
    "ReduceSum": (1,),
    "Reshape": (1,),
    "Resize": (2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unique": (0,),
    "Unsqueeze": (1,),
}
"""operator -> the inputs whose values its output's shape follows from"""


def unsettled(model: LightModel) -> dict[str, str]:
    """Tensors whose shape is not known in numbers although no data decides it -> what is known, in words.

    Behind an operator whose shape depends on data, such as NonZero, a dimension may be a name.
    """
    graph = model.proto.graph
    stated = {value.name: computed_shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    constant = {"", *model.weights, *(tensor.name for tensor in graph.initializer)}
    dynamic: set[str] = set()
    found: dict[str, str] = {}
    tensors = {value.name: value.type.HasField("tensor_type") for value in (*graph.value_info, *graph.output)}
    for node in graph.node:
        decided = (node.input[index] for index in _DECIDED_BY.get(node.op_type, ()) if index < len(node.input))
        may_vary = any(name not in constant for name in decided) or any(name in dynamic for name in node.input)
        for name in filter(None, node.output):
            shape = stated.get(name)
            if shape is not None and all(isinstance(item, int) for item in shape):
                continue
            if not tensors.get(name, True):  # a sequence has no shape
                continue
            if may_vary:
                dynamic.add(name)
            if shape is None or not may_vary:
                where = f"output of node '{node.name}' ({node.op_type})"
                found[name] = f"tensor '{name}', {where}: {shown_shape(shape) if shape is not None else 'unknown'}"
    return found


def state(model: LightModel, tensors: Mapping[str, Array]) -> None:
    """Write down shapes and types that were seen in a run."""
    graph = model.proto.graph
    outputs = {value.name: value for value in graph.output}
    known = {value.name: value for value in graph.value_info}
    for name, array in tensors.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        seen = onnx.helper.make_tensor_value_info(name, kind, array.shape)
        (outputs.get(name) or known.get(name) or graph.value_info.add()).CopyFrom(seen)


def require_static(model: LightModel) -> None:
    """Raise ShapeInferenceError for an output that is a constant, or a tensor whose shape is not known."""
    graph = model.proto.graph
    made = {name for node in graph.node for name in node.output}
    for value in graph.output:
        if value.name not in made:
            why = "is an input handed through" if value in model.inputs else "does not depend on any input"
            others = ", ".join(f'"{other.name}"' for other in graph.output if other.name in made)
            hint = f"set outputs = [{others}] on the float_model" if others else "name another tensor in `outputs`"
            raise ShapeInferenceError(f"output '{value.name}' {why}", hint=hint)
    for found in unsettled(model).values():
        raise ShapeInferenceError(
            f"a shape does not follow from the inputs' shapes: {found}",
            hint="give the inputs fixed shapes with input_shapes",
        )


def interface(model: LightModel) -> dict[str, list[dict[str, Any]]]:
    """{"inputs": [{"name", "shape", "dtype"}], "outputs": [...]} in the graph's order; dtype is numpy's name.

    An output's dimension that depends on data is a name or "?".
    """
    return {
        "inputs": [_described(value) for value in model.inputs],
        "outputs": [_described(value) for value in model.proto.graph.output],
    }


def _described(value: ValueInfoProto) -> dict[str, Any]:
    dtype = str(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return {"name": value.name, "shape": list(stated_shape(value) or ()), "dtype": dtype}
