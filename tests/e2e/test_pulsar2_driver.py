"""A real Pulsar2 as toolchain, played by a stand-in: quantised once, compiled for each mode, asked again when it is
another."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import helper, numpy_helper

from axbuild import InferenceSession
from net_workspace import QUANT, net_workspace
from pulsar2_world import standin

BUILD = (
    QUANT
    + """
[[axmodel]]
name = "one"
quant = ":quant"

[[axmodel]]
name = "two"
quant = ":quant"
npu_mode = "NPU2"
static_batch_sizes = [1, 2]
"""
)
SETTINGS = """
[toolchain]
pulsar2 = {command}

[defaults.quant_model]
toolchain = "pulsar2"
"""


def net():
    rng = np.random.default_rng(3)
    weight = numpy_helper.from_array(rng.standard_normal((4, 3, 3, 3)).astype(np.float32), "w")
    ports = [helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", [1, 3, 8, 8]), ("y", None))]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"], "relu"),
    ]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    rng = np.random.default_rng(4)
    samples = [rng.standard_normal((1, 3, 8, 8)).astype(np.float32) for _ in range(3)]
    zoo = net_workspace(tmp_path_factory.mktemp("driven") / "ws", BUILD, net(), samples)
    (zoo.root / "axbuild.toml").write_text(SETTINGS.format(command=json.dumps(standin())))
    return zoo


@pytest.fixture(scope="module")
def built(zoo):
    return [zoo.build("//m:one"), zoo.build("//m:two"), zoo.build("//m:one", "//m:two")]


def test_a_second_mode_with_other_batches_is_compiled_from_the_quantisation_of_the_first(built):
    assert [outcome.executed for outcome in built] == [
        ["pulsar2_preflight", "pulsar2_quantise", "pulsar2_compile"],
        ["pulsar2_preflight", "pulsar2_compile"],
        [],
    ]


def test_what_was_compiled_is_handed_over_with_the_quantised_model(zoo, built):
    out = zoo.root / "axbuild-out/m/two"
    session = InferenceSession(str(out / "compiled.axmodel"))
    assert session.get_inputs()[0].shape == [2, 3, 8, 8]
    assert sorted(path.name for path in (out / "quant").iterdir()) == [
        "quant_axmodel.data", "quant_axmodel.json", "quant_axmodel.onnx",
    ]  # fmt: skip
    report = json.loads((out / "pulsar2/compilation.json").read_text())
    assert report["macs"] > 0
    assert report["max_cycle"]["0"][0] > 0
    assert report["batches"] == {"subgraph_npu_0": [1, 2]}


def test_a_warning_of_the_vendors_is_told_and_told_again(built):
    told = "warning AX585: //m:one pulsar2_quantise: Pulsar2: apply default output processor configuration to ['y']"
    assert [told.partition(": Pulsar2")[2] in outcome.err for outcome in built] == [True, True, True]
