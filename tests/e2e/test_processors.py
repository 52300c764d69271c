"""A float model that is patched, NV12 in front of it, NHWC behind it, in a compressed file: built, checked, run."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from net_workspace import AXMODEL, CHECK, QUANT, net_workspace

MODEL = "axbuild-out/m/axmodel/compiled.axmodel"
PATCHES = """
op_processors = [{ op_name = "pool6", attrs = { ceil_mode = 1 } }]
const_processors = [{ name = "gain", data_path = "gain.txt" }]
"""
PROCESSED = """
input_processors = [{ src_format = "YUV420SP", src_dtype = "U8", csc_mode = "LimitedRange" }]
output_processors = [{ tensor_name = "y", dst_perm = [0, 2, 3, 1] }]
enable_data_soft_compression = true
"""
PICTURES = """
[[calibration_set]]
name = "calib"
src = "pictures"
tensor_format = "BGR"
mean = [103.939, 116.779, 123.68]
std = [58.0, 58.0, 58.0]
"""


def pooled():
    weight = np.random.default_rng(0).standard_normal((8, 3, 3, 3), np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("AveragePool", ["c"], ["p"], name="pool6", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Mul", ["p", "gain"], ["y"], name="mul"),
    ]
    value, kind = helper.make_tensor_value_info, TensorProto.FLOAT
    constants = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.ones((8, 1, 1), np.float32), "gain")]
    graph = helper.make_graph(nodes, "g", [value("x", kind, [1, 3, 15, 18])], [value("y", kind, None)], constants)
    graph.input[0].type.tensor_type.shape.dim[2].dim_value = 16
    graph.node[0].attribute.append(helper.make_attribute("pads", [0, 0, 1, 0]))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def stages(done):
    return [stage.rpartition(":")[2] for stage in done.executed]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    start, end = QUANT.index("[[calibration_set]]"), QUANT.index("[[quant_model]]")
    build = QUANT[:start].rstrip() + PATCHES + PICTURES + "\n" + QUANT[end:] + AXMODEL + PROCESSED + CHECK
    zoo = net_workspace(tmp_path_factory.mktemp("processors") / "workspace", build, pooled(), [])
    (zoo.root / "m/pictures").mkdir()
    (zoo.root / "m/gain.txt").write_text(" ".join(map(str, range(1, 9))))
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 18, 3), np.uint8)
        Image.fromarray(pixels).save(zoo.root / f"m/pictures/{number}.png")
    zoo.build("//m:check", "//m:axmodel")
    return zoo


@pytest.fixture(scope="module")
def inspected(zoo):
    return json.loads(zoo.run("inspect", "--json", MODEL).out)


def test_every_patch_is_told_and_the_whole_is_equal_bit_for_bit(zoo):
    done = zoo.build("//m:check", "//m:float")
    assert done.executed == []
    assert "1 of 1 checks passed" in done.out
    assert "set op 'pool6' (AveragePool) attr 'ceil_mode' to 1, which was 0" in done.out
    assert "update data of const tensor 'gain' to [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], FP32" in done.out


def test_the_compiled_model_takes_nv12_and_gives_nhwc(zoo, inspected):
    (image,), (output,) = inspected["inputs"], inspected["outputs"]
    assert (image["dtype"], image["shape"], image["layout"], image["color"]) == (
        "U8",
        [1, 24, 18, 1],
        "NHWC",
        "YUV420SP",
    )
    assert output["shape"] == [1, 8, 8, 8]  # 15 rows and 16 columns halved, the last row kept: ceil_mode
    (zoo.root / "x.bin").write_bytes(bytes(24 * 18))
    done = zoo.run("run", MODEL, "--input", "x.bin", "--output_dir", "out")
    assert done.code == 0, done.err
    assert np.load(zoo.root / "out/x/y.npy").shape == (1, 8, 8, 8)


def test_inspect_names_the_sources_by_their_digests(zoo, inspected):
    found = inspected
    sources = {name: digest for one in found["provenance"] for name, digest in one["sources"].items()}
    files = {"model/model.onnx": "net.onnx", "source/0.png": "pictures/0.png", "values": "gain.txt"}
    assert {name: sources[name] for name in files} == {
        name: hashlib.sha256((zoo.root / "m" / file).read_bytes()).hexdigest() for name, file in files.items()
    }
    assert found["provenance"][0]["params"]["compressed"] is True
    assert found["stored_bytes"]["subgraph_npu_0_b1_neu"] < found["subgraphs"][0]["bytes"]["subgraph_npu_0_b1_neu"]


def test_another_order_of_axes_reruns_the_subgraph_that_it_touches_and_never_quantises(zoo):
    with zoo.edited("m/BUILD.toml", "dst_perm = [0, 2, 3, 1]", "dst_perm = [0, 3, 1, 2]"):
        assert stages(zoo.build("//m:axmodel")) == ["preflight", "partition", "split", "compile_subgraph", "fuse"]


def test_a_file_without_compression_is_fused_alone(zoo):
    with zoo.edited("m/BUILD.toml", "enable_data_soft_compression = true\n", ""):
        assert stages(zoo.build("//m:axmodel")) == ["fuse"]


def test_other_values_of_a_constant_start_at_the_patch(zoo):
    with zoo.edited("m/gain.txt", "1 2", "2 2"):
        done = zoo.build("//m:float")
    assert stages(done) == ["patch", "optimize"]
