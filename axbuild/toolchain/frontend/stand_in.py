"""ONNX operators that onnxruntime does not run at an opset -> the same in our domain, with a function that it runs."""

from __future__ import annotations

from onnx import helper

from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.support import opset_of
from axbuild.toolchain.named import DOMAIN, STAND_INS


def stand_in(model: LightModel) -> None:
    """In place; a model of an older opset, at which onnxruntime has a kernel, stays as it is."""
    proto, version = model.proto, opset_of(model.proto)
    lacking = {name: own for name, (first, own) in STAND_INS.items() if version >= first}
    found = [node for node in proto.graph.node if not node.domain and node.op_type in lacking]
    for node in found:
        node.domain = DOMAIN
        kept = [item for item in node.attribute if item.name not in lacking[node.op_type].fixed]
        del node.attribute[:]
        node.attribute.extend(kept)
    proto.functions.extend(lacking[name].function(version) for name in sorted({node.op_type for node in found}))
    if found and all(entry.domain != DOMAIN for entry in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid(DOMAIN, 1))
