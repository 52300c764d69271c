"""Resizing by the rules that held before opset 11, which ONNX's own converter forgets.

Until then a pixel's place was its index over the scale (`asymmetric`) in every mode, and the nearest pixel the one
below, or where an axis shrinks the one above (onnxruntime, NearestPixelSimple). From opset 11 the default is another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
from onnx import ModelProto, NodeProto

from axbuild.toolchain.frontend.support import UnsupportedModelError

CHANGED_IN = 11
"""the opset in which Resize began to say where a pixel stands"""

Rules = dict[str, str]
"""attributes of a Resize"""


def old_rules(model: ModelProto, opset: int) -> dict[str, Rules]:
    """Output -> how today's Resize says what the Upsample or old Resize that makes it does."""
    if opset >= CHANGED_IN:
        return {}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    return {
        node.output[0]: _rules(node, constants) for node in model.graph.node if node.op_type in ("Upsample", "Resize")
    }


def _rules(node: NodeProto, constants: Mapping[str, onnx.TensorProto]) -> Rules:
    given = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    rules = {"coordinate_transformation_mode": "asymmetric"}
    if given.get("mode", b"nearest") != b"nearest":
        return rules
    scales = given.get("scales")
    if scales is None and len(node.input) > 1 and node.input[1] in constants:
        scales = onnx.numpy_helper.to_array(constants[node.input[1]]).tolist()
    if scales is None or (min(scales) < 1 < max(scales)):
        raise UnsupportedModelError(
            f"node '{node.name}' ({node.op_type}) resizes by scales that only opsets before {CHANGED_IN} can say",
            hint=f"export the model at opset {CHANGED_IN} or later",
        )
    return rules | {"nearest_mode": "ceil" if min(scales) < 1 else "floor"}


def state_rules(nodes: Iterable[NodeProto], rules: Mapping[str, Rules]) -> None:
    """Write the old rules into the nodes that the conversion has made of those."""
    for node in nodes:
        if node.op_type == "Resize" and node.output[0] in rules:
            for name, value in rules[node.output[0]].items():
                node.attribute.append(onnx.helper.make_attribute(name, value))
