"""Small float models for the front end's tests, and how to compare two of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from axbuild.toolchain.frontend import check, shapes
from axbuild.toolchain.frontend.light import LightModel, to_graph
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize, with_and_without
from axbuild.toolchain.graph import MODEL_FILE, ORIGINS
from axbuild.toolchain.rewrites.rewrite import Edit, NoMatch, Rewrite, apply

node = helper.make_node
LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
"""network topologies that the onnx wheel carries"""


def normal(*shape):
    return np.random.default_rng(shape).standard_normal(shape, dtype=np.float32)


def model(nodes, weights=None, *, inputs=(("x", [1, 3, 8, 8]),), outputs=("y",), opset=18, kind=onnx.TensorProto.FLOAT):
    """A model of those nodes; weights: name -> array, stored as initialisers."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def with_shapes(proto):
    """The model with every tensor's shape, as rewrites see it."""
    light = LightModel(proto)
    shapes.infer(light)
    return to_graph(light)


def after_edit(graph, edit, inputs):
    """The rewritten model, every match of it compared on `inputs`."""
    both, after = with_and_without(graph, edit)
    check.check_matches(both, inputs, edit.matches)
    return after.proto


class DoubleRelu(Rewrite[bool]):
    """Relu(x) -> Relu(x + x): wrong, and looks the same to every shape."""

    op = ("Relu",)

    def match(self, relu):
        source = relu.inputs[0].producer()
        return NoMatch("done") if source is not None and source.op_type == "Add" else True

    def replace(self, relu, found, steps):
        shape = tuple(relu.outputs[0].shape)
        doubled = steps.insert("Add", [relu.inputs[0], relu.inputs[0]], name="double", shape=shape)
        return steps.insert("Relu", [doubled])


def place(proto, folder: Path) -> Path:
    """A folder that holds the model, as the front end's stage takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
    return folder


def optimized(proto, folder: Path, *, params=None, **input_shapes):
    """The optimised model of a model, through the stage."""
    out = folder / "out"
    out.mkdir(parents=True)
    optimize(place(proto, folder / "in"), out, params=params or OptimizeParams(input_shapes))
    return onnx.load(out / "optimized" / MODEL_FILE)


def op_types(proto):
    return [item.op_type for item in proto.graph.node]


def assert_same_results(before, after, tolerance=1e-4):
    """Both compute the same on the same random input, relative to the largest magnitude of each output."""
    inputs = check.random_inputs(LightModel(before))
    expected, found = (check.run(LightModel(proto), inputs) for proto in (before, after))
    for name, array in expected.items():
        assert not check.differs(name, array, found[name], tolerance * check.largest(array))


def with_random_weights(proto):
    """The light models make all weights by ConstantOfShape of one value; random ones let a wrong rewrite show."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    kept = []
    for index, item in enumerate(proto.graph.node):
        if item.op_type != "ConstantOfShape":
            kept.append(item)
            continue
        shape = tuple(int(size) for size in weights[item.input[0]])
        array = np.random.default_rng(index).standard_normal(shape, dtype=np.float32)
        scaled = array / np.sqrt(max(1, np.prod(shape[1:]))) if len(shape) > 1 else np.abs(array) + 0.5
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(scaled, np.float32), item.output[0]))
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    proto.ir_version = 10
    return proto


def rewritten(rewrite, proto):
    """(the model after the rewrite, why other nodes stay); every match was compared by itself."""
    graph = with_shapes(proto)
    edit = Edit(graph.graph)
    reasons = apply(rewrite, edit)
    return after_edit(graph, edit, check.random_inputs(LightModel(proto))), reasons


def describe(proto):
    return [(item.op_type, item.name) for item in proto.graph.node]


def origins(item):
    return [json.loads(entry.value) for entry in item.metadata_props if entry.key == ORIGINS]
