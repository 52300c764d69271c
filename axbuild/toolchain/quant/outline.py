"""The float graph inside a quantised model: its operators, shapes and small constants, without its weights.

What a chip's NPU takes is said of float operators, and the CPU runs them where it does not. With their outline a
quantised model can be compiled for any chip by itself. It is a property of the model, a serialised ONNX model in base64
in which each weight stands as one more input behind the model's own, as in `LightModel`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx import TensorProto

from axbuild.errors import AxError
from axbuild.toolchain.frontend.light import from_graph
from axbuild.toolchain.graph import MODEL_FILE, OPERATORS_FILE, OUTLINE, Array
from axbuild.toolchain.quant.tensors import LEFT_OUT


class NoOutlineError(AxError):
    """A model without an outline, or with something else in its place."""

    code = "AX590"


def attach_outline(quantised: onnx.ModelProto, model: ir.Model) -> None:
    """Note the outline of the float model in the one that was quantised from it; `model` is used up."""
    light = from_graph(model).proto
    del light.functions[:]  # the same in every model: what they are called says it
    content = light.SerializeToString(deterministic=True)
    quantised.metadata_props.add(key=OUTLINE, value=base64.b64encode(content).decode())


def outline_of(quantised: onnx.ModelProto) -> onnx.ModelProto:
    """As it was attached; raises NoOutlineError."""
    found = [entry.value for entry in quantised.metadata_props if entry.key == OUTLINE]
    if len(found) != 1:
        raise NoOutlineError("it does not hold the outline of its float model")
    try:
        outline: onnx.ModelProto = onnx.ModelProto.FromString(base64.b64decode(found[0], validate=True))
    except (binascii.Error, ValueError, DecodeError):
        raise NoOutlineError("the outline of its float model is damaged") from None
    return outline


def completed(outline: onnx.ModelProto, inputs: int, known: Mapping[str, Array]) -> onnx.ModelProto:
    """The outline as a model whose weights are initialisers: of `known` with their values, of the others where no file
    is. inputs: how many of its inputs are the model's own; the rest are weights."""
    model = onnx.ModelProto()
    model.CopyFrom(outline)
    graph = model.graph
    weights = list(graph.input)[inputs:]
    del graph.input[inputs:]
    for value in weights:
        kind = value.type.tensor_type
        dims = [dim.dim_value for dim in kind.shape.dim]
        tensor = TensorProto(name=value.name, data_type=kind.elem_type, dims=dims, metadata_props=value.metadata_props)
        if value.name in known:
            tensor.raw_data = onnx.numpy_helper.from_array(known[value.name]).raw_data
        else:
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=LEFT_OUT)
        graph.initializer.append(tensor)
    return model


def write_outline(outline: onnx.ModelProto, folder: Path) -> None:
    """Write a completed outline as the front end writes a float model; `folder` is new."""
    folder.mkdir()
    (folder / MODEL_FILE).write_bytes(outline.SerializeToString(deterministic=True))
    operators = Counter(node.op_type for node in outline.graph.node)
    text = json.dumps(operators, indent=1, sort_keys=True) + "\n"
    (folder / OPERATORS_FILE).write_text(text, encoding="utf-8")
