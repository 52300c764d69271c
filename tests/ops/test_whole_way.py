"""From float op to simulated NPU: every op's own ONNX cases, quantised, partitioned, compiled and run, bit for bit."""

import json

import numpy as np
import onnx
import pytest
from node_cases import OWN, settled
from npu_world import run, support_of
from quantised import Net, quantised

from axbuild.toolchain.data.inputs import InputProcessor
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition


def simulated(content: bytes, feeds: dict[str, np.ndarray], folder) -> np.ndarray:
    """The one output of a quantised model on the AX650, fed with what the float model takes in."""
    (folder / "quant_axmodel.onnx").write_bytes(content)
    partition(folder / "quant_axmodel.onnx", folder, params=PartitionParams(support_of(), ()))
    model = onnx.load(folder / "partition" / "subgraph_npu_0.onnx")
    names = [value.name for value in model.graph.input]
    (y,) = run(model, dict(zip(names, feeds.values(), strict=True))).values()
    return y


@pytest.mark.parametrize("name", [name for _, name in OWN])
def test_simulated_npu_equals_the_quantised_model_bit_for_bit(tmp_path, name):
    model, feeds, _ = settled(name)
    result = quantised(model, [feeds])
    (expected,) = result.run(feeds)
    y = simulated(result.content, feeds, tmp_path)
    assert y.dtype == expected.dtype
    assert y.shape == expected.shape
    assert y.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("given", "recorded"), [("BGR", "BGR"), ("GRAY", "GRAY"), ("AutoColorSpace", "")])
def test_only_a_pictures_colour_order_is_recorded(tmp_path, given, recorded):
    net = Net(1, 3, 4, 4)
    net.add("Relu", ["x"], "y")
    (tmp_path / "quant_axmodel.onnx").write_bytes(quantised(net.model("y"), net.samples(1)).content)
    processor = InputProcessor("x", given, given, "FP32", "NCHW", (), ())
    partition(tmp_path / "quant_axmodel.onnx", tmp_path, params=PartitionParams(support_of(), (processor,)))
    record = json.loads((tmp_path / "partition" / "partition.json").read_text())
    assert record["inputs"][0]["color"] == recorded
