"""Static shapes for every tensor: what the user fixes, what the batch defaults to, what follows from the operators."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto

from axbuild.errors import AxError

MAX_ELEMENTS = 2**28
"""elements of one tensor, and a quarter of what all activations may have; more is a mistake, not a model for an NPU"""


SMALL = 4096
"""elements of an initialiser that shape inference sees with its values"""


class InputShapeError(AxError):
    """`input_shapes` does not fit the model's inputs, or leaves one with unknown dimensions."""

    code = "AX304"


class ShapeInferenceError(AxError):
    """A shape does not follow from the inputs' shapes, or contradicts them."""

    code = "AX305"


def model_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """The graph's inputs that are not initialisers."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def fix_input_shapes(model: ModelProto, wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Set the inputs' shapes in place; an unknown batch (dimension 0) that nobody sets becomes 1.

    Every shape the file states beyond the inputs is dropped, since it may speak of the old ones.
    Raises InputShapeError naming the input, and the attribute to set where a dimension is left unknown.
    """
    inputs = {value.name: value for value in model_inputs(model)}
    for name in wanted:
        if name not in inputs:
            near = difflib.get_close_matches(name, inputs, 1)
            raise InputShapeError(
                f"input_shapes names '{name}', and the model's inputs are {', '.join(inputs)}",
                hint=f"did you mean '{near[0]}'?" if near else "",
            )
    for name, value in inputs.items():
        _set_shape(value, _settled(name, stated_shape(value), wanted.get(name)))
    del model.graph.input[:]
    model.graph.input.extend(inputs.values())
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def _settled(name: str, stated: tuple[int | str, ...] | None, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
    if wanted is not None:
        if stated is not None and len(stated) != len(wanted):
            raise InputShapeError(
                f"input_shapes gives '{name}' {len(wanted)} dimensions {list(wanted)}, and the model has "
                f"{len(stated)}: {_shown(stated)}"
            )
        if any(dimension < 1 for dimension in wanted):
            raise InputShapeError(f"input_shapes gives '{name}' {list(wanted)}; every dimension must be 1 or more")
        if math.prod(wanted) > MAX_ELEMENTS:
            raise InputShapeError(f"input_shapes gives '{name}' {list(wanted)}, more than {MAX_ELEMENTS} elements")
        return wanted
    shape = tuple(1 if index == 0 and isinstance(item, str) else item for index, item in enumerate(stated or ("?",)))
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


def infer(model: ModelProto) -> None:
    """Add value_info for every tensor whose shape is known, in place; raises ShapeInferenceError on conflict.

    Inference copies the model back and forth, so weights take part by their types only; what a shape may be computed
    from is small.
    """
    light = _without_weights(model)
    try:
        inferred = onnx.shape_inference.infer_shapes(light, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise ShapeInferenceError(
            f"shapes do not follow through the model: {_first_fault(str(error))}",
            hint="check input_shapes against what the model can take",
        ) from None
    weights = {tensor.name for tensor in model.graph.initializer}
    del model.graph.value_info[:]
    model.graph.value_info.extend(value for value in inferred.graph.value_info if value.name not in weights)
    del model.graph.output[:]
    model.graph.output.extend(inferred.graph.output)


_FAULT = re.compile(r"\(op_type:(\w+), node name: (.*?)\): (?:\[\w+\] )?(.*?)(?= \(op_type:|$)")


def _first_fault(text: str) -> str:
    """The first node that ONNX complains of; the others only follow from it."""
    line = " ".join(text.split())
    found = _FAULT.search(line)
    return f"node '{found[2]}' ({found[1]}): {found[3]}" if found else line[:200]


def _without_weights(model: ModelProto) -> ModelProto:
    """The same graph with every initialiser above SMALL elements as an input of its type and shape."""
    light = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    graph = light.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= SMALL:
            graph.initializer.append(tensor)
        else:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return light


def require_reasonable(model: ModelProto) -> None:
    """Raise ShapeInferenceError where a known shape, or all of them together, has too many elements to be meant."""
    total = 0
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        shape = stated_shape(value) or ()
        elements = math.prod(item for item in shape if isinstance(item, int))
        total += elements
        if elements > MAX_ELEMENTS or total > 4 * MAX_ELEMENTS:
            raise ShapeInferenceError(
                f"tensor '{value.name}' has the shape {_shown(shape)}, larger than any that is meant to run on an NPU",
                hint="check input_shapes, and the pads and shapes in the model",
            )


def require_static(model: ModelProto) -> None:
    """Raise ShapeInferenceError for an output that is a constant, or the first tensor whose shape is not known."""
    known = {value.name: value for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)}
    made = {name for node in model.graph.node for name in node.output}
    for value in model.graph.output:
        if value.name not in made:
            inputs = {value.name for value in model.graph.input}
            why = "is an input handed through" if value.name in inputs else "does not depend on any input"
            raise ShapeInferenceError(f"output '{value.name}' {why}", hint="remove it from the model's outputs")
    for node in model.graph.node:
        for name in filter(None, node.output):
            shape = stated_shape(known[name]) if name in known else None
            if shape is None or not all(isinstance(item, int) for item in shape):
                raise ShapeInferenceError(
                    f"the shape of tensor '{name}', output of node '{node.name}' ({node.op_type}), depends on data: "
                    f"{_shown(shape) if shape is not None else 'unknown'}",
                    hint="every shape must follow from the inputs' shapes",
                )


def interface(model: ModelProto) -> dict[str, list[dict[str, Any]]]:
    """{"inputs": [{"name", "shape", "dtype"}], "outputs": [...]} in the graph's order; dtype is numpy's name."""
    return {
        "inputs": [_described(value) for value in model.graph.input],
        "outputs": [_described(value) for value in model.graph.output],
    }


def _described(value: ValueInfoProto) -> dict[str, Any]:
    kind = value.type.tensor_type.elem_type
    dtype = "float32" if kind == TensorProto.FLOAT else str(onnx.helper.tensor_dtype_to_np_dtype(kind))
    return {"name": value.name, "shape": list(stated_shape(value) or ()), "dtype": dtype}
