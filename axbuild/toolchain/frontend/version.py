"""One opset for everything after the front end, so that an operator has one meaning."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import onnx
from onnx import FunctionProto, ModelProto, NodeProto, inliner, version_converter

from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.light import LightModel, array_of, is_large, lift_constants
from axbuild.toolchain.frontend.naming import name_nodes
from axbuild.toolchain.frontend.old_resize import old_rules, state_rules
from axbuild.toolchain.frontend.shapes import forget_shapes
from axbuild.toolchain.frontend.support import UnsupportedModelError
from axbuild.toolchain.graph import IR_VERSION, OPSET, ORIGINS
from axbuild.toolchain.named import state_defaults

MAX_NODES = 200_000
"""of a graph whose functions are opened; functions that call others twice double at each step"""


def open_functions(model: LightModel) -> None:
    """Put the bodies of the model's functions where they are called, and make every Constant an initialiser."""
    proto = model.proto
    if proto.functions:
        _check_growth(proto)
        before = producers_of(proto.graph.node)
        state_defaults(proto)
        with door(lambda said: UnsupportedModelError(f"the model's functions cannot be opened: {said}")):
            proto = inliner.inline_local_functions(proto, convert_version=True)
        name_nodes(proto.graph.node)
        trace_origins(proto.graph.node, before)
    lift_constants(proto)
    large = [tensor for tensor in proto.graph.initializer if is_large(tensor.ByteSize())]
    model.proto = proto
    for tensor in large:
        model.move_out(tensor.name, array_of(tensor), tensor.data_type)
        proto.graph.initializer.remove(tensor)


FunctionKey = tuple[str, str, str]
"""domain, name, overload"""


def _check_growth(model: ModelProto) -> None:
    sizes: dict[FunctionKey, int] = {}

    def size(nodes: Iterable[NodeProto]) -> int:
        return sum(sizes.get((node.domain, node.op_type, node.overload), 1) for node in nodes)

    for function in _inner_first(model.functions):
        sizes[function.domain, function.name, function.overload] = min(size(function.node), MAX_NODES + 1)
    if size(model.graph.node) > MAX_NODES:
        raise UnsupportedModelError(f"the model's functions open into more than {MAX_NODES} nodes")


def _inner_first(functions: Iterable[FunctionProto]) -> Iterator[FunctionProto]:
    """Functions behind those they call; ONNX's checker has refused those that call themselves."""
    waiting = {(function.domain, function.name, function.overload): function for function in functions}
    while waiting:
        ready = [
            key
            for key, function in waiting.items()
            if not any((node.domain, node.op_type, node.overload) in waiting for node in function.node)
        ]
        yield from (waiting.pop(key) for key in ready)


def to_opset(model: LightModel) -> LightModel:
    """The model at OPSET, a node that the conversion adds with the user's node it stands for.

    The converter states shapes by the rules of the old opset, which for pooling with ceil_mode are not onnxruntime's
    before opset 22: they are dropped.
    """
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    version = next(entry.version for entry in proto.opset_import if not entry.domain)
    if version < OPSET:
        before = {node.name: list(node.metadata_props) for node in proto.graph.node}
        producers = producers_of(proto.graph.node)
        resizing = old_rules(proto, version)
        sentence = f"the model cannot be converted from opset {version} to {OPSET}"
        with door(lambda said: UnsupportedModelError(f"{sentence}: {said}", hint=f"export it with opset {OPSET}")):
            proto = version_converter.convert_version(proto, OPSET)
        state_rules(proto.graph.node, resizing)
        name_nodes(proto.graph.node)
        for node in proto.graph.node:
            if not node.metadata_props:
                node.metadata_props.extend(before.get(node.name, ()))
        trace_origins(proto.graph.node, producers)
    forget_shapes(proto)
    del proto.opset_import[:]
    proto.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    proto.ir_version = IR_VERSION
    return LightModel(proto, model.weights)


Producers = dict[str, str]
"""tensor -> the node that makes it"""


def producers_of(nodes: Iterable[NodeProto]) -> Producers:
    return {tensor: node.name for node in nodes for tensor in node.output if tensor}


def trace_origins(nodes: Iterable[NodeProto], before: Producers) -> None:
    """Nodes that were not there before stand for the node whose output they make, or else help to make."""
    known = set(before.values())
    stands_for: Producers = {}
    for node in reversed(list(nodes)):
        if node.name in known:
            origin = node.name
        else:
            makes = (before.get(tensor) or stands_for.get(tensor) for tensor in node.output)
            origin = next(filter(None, makes), "")
            if origin and all(entry.key != ORIGINS for entry in node.metadata_props):
                node.metadata_props.add(key=ORIGINS, value=json.dumps([origin]))
        for tensor in node.input:
            stands_for.setdefault(tensor, origin)
