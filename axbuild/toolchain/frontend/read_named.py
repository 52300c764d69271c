"""Operators that chips have and ONNX has not, or not yet at the model's opset, in whatever domain they stand."""

from __future__ import annotations

import json

import onnx
from onnx import FunctionProto, ModelProto, NodeProto, helper

from axbuild.toolchain.graph import SPELLED
from axbuild.toolchain.named import DOMAIN, NAMED


def read_named(model: ModelProto) -> None:
    """Put them in our domain and their functions into the model, in place; functions of the model's own win."""
    version = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    local = {(function.domain, function.name) for function in model.functions}
    nodes = [node for owner in (model.graph, *model.functions) for node in owner.node]
    found = [node for node in nodes if (node.domain, node.op_type) not in local and _is_named(node, version)]
    for node in found:
        node.domain = DOMAIN
        kept = [item for item in node.attribute if item.name not in NAMED[node.op_type].fixed]
        del node.attribute[:]
        node.attribute.extend(kept)
    model.functions.extend(_spelled(name, version) for name in sorted({node.op_type for node in found}))
    for owner in (model, *model.functions) if found else ():
        if all(entry.domain != DOMAIN for entry in owner.opset_import):
            owner.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def _spelled(name: str, version: int) -> FunctionProto:
    """The operator's function; a chip that has the operator has every part of it that it can run."""
    function = NAMED[name].function(version)
    for node in function.node:
        node.metadata_props.add(key=SPELLED, value=json.dumps([name]))
    return function


def _is_named(node: NodeProto, version: int) -> bool:
    """Whether the operator is one of ours, in a form that is defined."""
    own = NAMED.get(node.op_type)
    if own is None or (not node.domain and onnx.defs.has(node.op_type, version)):
        return False
    return not own.refusal(node, version)
