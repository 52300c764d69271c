"""Static shapes for every tensor: what the user fixes, what the batch defaults to, what follows from the operators."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any

import onnx
from onnx import ModelProto, ValueInfoProto

from axbuild.errors import AxError, counted
from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.graph import Array, Shape

MAX_ELEMENTS = 2**28
"""elements of one tensor, and a quarter of what all activations may have; more is a mistake, not a model for an NPU"""


class InputShapeError(AxError):
    """`input_shapes` does not fit the model's inputs, or leaves one with unknown dimensions."""

    code = "AX304"


class ShapeInferenceError(AxError):
    """A shape does not follow from the inputs' shapes, or contradicts them."""

    code = "AX305"


def fix_input_shapes(model: LightModel, wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Set the inputs' shapes in place; an unknown batch (dimension 0 of several) that nobody sets becomes 1.

    Every shape the file states beyond the inputs is dropped, since it may speak of the old ones.
    Raises InputShapeError naming the input, and the attribute to set where a dimension is left unknown.
    """
    inputs = {value.name: value for value in model.inputs}
    for name in wanted:
        if name not in inputs:
            near = difflib.get_close_matches(name, inputs, 1)
            raise InputShapeError(
                f"input_shapes names '{name}', and the model's inputs are {', '.join(inputs)}",
                hint=f"did you mean '{near[0]}'?" if near else "",
            )
    for name, value in inputs.items():
        _set_shape(value, _settled(name, stated_shape(value), wanted.get(name)))
    forget_shapes(model.proto)


def forget_shapes(model: ModelProto) -> None:
    """Drop what is stated of tensors that are computed."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def _settled(name: str, stated: tuple[int | str, ...] | None, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
    if wanted is not None:
        if stated is not None and len(stated or (1,)) != len(wanted):
            raise InputShapeError(
                f"input_shapes gives '{name}' {counted(len(wanted), 'dimension')} {list(wanted)}, and the model has "
                f"{len(stated)}: {_shown(stated)}"
            )
        if any(dimension < 1 for dimension in wanted):
            raise InputShapeError(f"input_shapes gives '{name}' {list(wanted)}; every dimension must be 1 or more")
        if math.prod(wanted) > MAX_ELEMENTS:
            raise InputShapeError(f"input_shapes gives '{name}' {list(wanted)}, more than {MAX_ELEMENTS} elements")
        return wanted
    if stated == ():
        return (1,)
    # The only dimension of a signal or of indices is its length, and no batch.
    has_batch = stated is not None and len(stated) > 1
    shape = tuple(
        1 if index == 0 and has_batch and isinstance(item, str) else item for index, item in enumerate(stated or ("?",))
    )
    fixed = tuple(item for item in shape if isinstance(item, int))
    if stated is None or len(fixed) != len(shape):
        example = ", ".join(str(item) if isinstance(item, int) else "..." for item in shape)
        raise InputShapeError(
            f"input '{name}' has unknown dimensions: {_shown(stated or ('?',))}",
            hint=f'set input_shapes = {{ "{name}" = [{example}] }} on the float_model',
        )
    return fixed


def stated_shape(value: ValueInfoProto) -> tuple[int | str, ...] | None:
    """Dimensions as numbers, or as names where they are unknown ("?" without one; -1 and 0 are unknown too)."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    return tuple(
        item.dim_value if item.dim_value > 0 else (item.dim_param or "?") for item in value.type.tensor_type.shape.dim
    )


def _shown(shape: tuple[int | str, ...]) -> str:
    return "[" + ", ".join(str(item) for item in shape) + "]"


def _set_shape(value: ValueInfoProto, shape: tuple[int, ...]) -> None:
    value.type.tensor_type.shape.CopyFrom(onnx.helper.make_tensor_type_proto(1, shape).tensor_type.shape)


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
                f"tensor '{value.name}' has the shape {_shown(shape)}, larger than any that is meant to run on an NPU",
                hint="check input_shapes, and the pads and shapes in the model",
            )


def static_shapes(model: LightModel) -> dict[str, Shape]:
    """The shapes of all tensors and constants that are known in numbers."""
    graph = model.proto.graph
    stated = {value.name: stated_shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
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
    stated = {value.name: stated_shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    constant = {"", *model.weights, *(tensor.name for tensor in graph.initializer)}
    dynamic: set[str] = set()
    found: dict[str, str] = {}
    for node in graph.node:
        decided = (node.input[index] for index in _DECIDED_BY.get(node.op_type, ()) if index < len(node.input))
        may_vary = any(name not in constant for name in decided) or any(name in dynamic for name in node.input)
        for name in filter(None, node.output):
            shape = stated.get(name)
            if shape is not None and all(isinstance(item, int) for item in shape):
                continue
            if may_vary:
                dynamic.add(name)
            if shape is None or not may_vary:
                where = f"output of node '{node.name}' ({node.op_type})"
                found[name] = f"tensor '{name}', {where}: {_shown(shape) if shape is not None else 'unknown'}"
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
            raise ShapeInferenceError(f"output '{value.name}' {why}", hint="remove it from the model's outputs")
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
