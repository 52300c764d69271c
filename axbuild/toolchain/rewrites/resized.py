"""What a Resize does along one axis, as onnxruntime does it: the float model is the truth, rounded places and all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from axbuild.toolchain.graph import (
    IR_VERSION,
    OPSET,
    Array,
    constant_input,
    input_of,
    integers,
    is_activation,
    needed_input,
    shape_of,
    text,
)
from axbuild.toolchain.ort import bare_session
from axbuild.toolchain.rewrites.rewrite import NoMatch

OPERANDS = ("roi", "scales", "sizes")
ALONG_AN_AXIS = (
    *("mode", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "antialias"),
    "extrapolation_value",
)
"""attributes that say what happens along each axis by itself"""


def is_known(node: ir.Node) -> bool:
    """Whether a Resize says in constants how large it makes what."""
    return not any(is_activation(input_of(node, index)) for index in (1, 2, 3))


def taken(node: ir.Node, axis: int) -> Array | NoMatch:
    """int64 [out]: the positions along an axis that a Resize to the nearest takes."""
    shape = shape_of(needed_input(node, 0))
    numbers = np.arange(1, shape[axis] + 1, dtype=np.float32)
    along = numbers.reshape(-1, *(1,) * (len(shape) - axis - 1))
    constants = {name: constant_input(node, index) for index, name in enumerate(OPERANDS, 1)}
    settings = {name: attribute.value for name, attribute in node.attributes.items()}
    found = np.moveaxis(_evaluated(np.broadcast_to(along, shape), settings, constants), axis, -1)
    (positions, *_) = found.reshape(-1, found.shape[-1])
    if positions.min() < 1:
        return NoMatch("Resize fills with a value what lies outside")
    return positions.astype(np.int64) - 1


def matrix(node: ir.Node, axis: int) -> Array | NoMatch:
    """float32 [out, size]: how much each element along an axis is of every one before."""
    if text(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        return NoMatch("Resize keeps an aspect ratio")
    size = shape_of(needed_input(node, 0))[axis]
    if np.any(_of_one_axis(node, axis, np.zeros((1, size), np.float32))):
        return NoMatch("Resize fills with a value what lies outside")
    return _of_one_axis(node, axis, np.eye(size, dtype=np.float32)).T


def _of_one_axis(node: ir.Node, axis: int, x: Array) -> Array:
    """The node over rows [n, size], as it runs along `axis` of its own input."""
    rank = len(shape_of(needed_input(node, 0)))
    named = [given % rank for given in integers(node, "axes", tuple(range(rank)))]
    scales, roi = constant_input(node, 2), constant_input(node, 1)
    constants: dict[str, Array | None] = dict.fromkeys(OPERANDS)
    ends = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32)
    if roi is not None and roi.size and axis in named:
        ends[[2, 6]] = roi.reshape(2, -1)[:, named.index(axis)]
    constants["roi"] = ends
    if scales is not None and scales.size:
        own = scales.reshape(-1)[named.index(axis)] if axis in named else 1
        constants["scales"] = np.array([1, 1, own, 1], np.float32)
    else:
        constants["sizes"] = np.array([len(x), 1, shape_of(node.outputs[0])[axis], 1])
    settings = {name: node.attributes[name].value for name in ALONG_AN_AXIS if name in node.attributes}
    return _evaluated(x[:, None, :, None], settings, constants)[:, 0, :, 0]


def _evaluated(x: Array, settings: Mapping[str, Any], constants: Mapping[str, Array | None]) -> Array:
    given = {name: array for name, array in constants.items() if array is not None and array.size}
    inputs = ["x", *(name if name in given else "" for name in constants)]
    graph = helper.make_graph(
        [helper.make_node("Resize", inputs, ["y"], **settings)],
        "resize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in given.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    y: Array = bare_session(model.SerializeToString()).run(None, {"x": np.ascontiguousarray(x)})[0]
    return y
