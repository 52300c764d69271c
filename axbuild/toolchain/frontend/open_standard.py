"""Operators that ONNX itself defines by others, opened where nothing behind the front end knows them whole."""

from __future__ import annotations

import onnx
from onnx import inliner

from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.light import LightModel, lift_constants
from axbuild.toolchain.frontend.naming import name_nodes
from axbuild.toolchain.frontend.support import UnsupportedModelError
from axbuild.toolchain.frontend.version import producers_of, trace_origins

OPENED = (
    "MeanVarianceNormalization",
    "ReduceL1",
    "ReduceLogSum",
    "ReduceSumSquare",
)
"""by the bodies in ONNX's own schemas"""


def open_standard(model: LightModel) -> None:
    """In place; the model is at our opset."""
    found = [node for node in model.proto.graph.node if node.op_type in OPENED and not node.domain]
    if not found:
        return
    for node in found:
        _state_defaults(node)
    before = producers_of(model.proto.graph.node)
    with door(lambda said: UnsupportedModelError(f"operators of ONNX cannot be opened: {said}")):
        proto = inliner.inline_selected_functions(
            model.proto, [("", name) for name in OPENED], inline_schema_functions=True
        )
    name_nodes(proto.graph.node)
    trace_origins(proto.graph.node, before)
    lift_constants(proto)
    model.proto = proto


def _state_defaults(node: onnx.NodeProto) -> None:
    """Write what the node leaves at its operator's default: ONNX's inliner loses it."""
    given = {attribute.name for attribute in node.attribute}
    for name, attribute in onnx.defs.get_schema(node.op_type).attributes.items():
        if name not in given and attribute.default_value.name:
            node.attribute.append(attribute.default_value)
