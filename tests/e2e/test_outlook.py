"""`axbuild inspect MODEL.onnx`: what a float model holds, what becomes of it, and a BUILD file that builds as it is."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from quantised import quantised
from tune_net import residual_net

from axbuild.toolchain.quant.precision import LayerConfig
from zoo_workspace import ZOO, Zoo

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.random.default_rng(7).standard_normal(shape, dtype=np.float32), name)


def two_inputs() -> onnx.ModelProto:
    """y = hardmax(relu(conv(x))) + table[ids]; an odd name, a Dropout, an operator that runs on the CPU only."""
    nodes = [
        helper.make_node("Conv", ["x\x1b[31m", "w"], ["c"], name="conv\n1"),
        helper.make_node("Relu", ["c"], ["r"], name="act"),
        helper.make_node("Dropout", ["r"], ["d"], name="drop"),
        helper.make_node("Hardmax", ["d"], ["a"], name="hardmax"),
        helper.make_node("Gather", ["table", "ids"], ["g"], name="pick"),
        helper.make_node("Add", ["a", "g"], ["y"], name="join"),
    ]
    value = helper.make_tensor_value_info
    inputs = [value("x\x1b[31m", FLOAT, ["n", 2, 4, 4]), value("ids", INT64, [1])]
    graph = helper.make_graph(
        nodes, "g", inputs, [value("y", FLOAT, None)], [weight("w", 4, 2, 1, 1), weight("table", 5, 4)]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    root = tmp_path / "ws"
    root.mkdir()
    (root / "axbuild.toml").touch()
    return Zoo(root, tmp_path / "cache")


def test_the_report_of_a_float_model_is_lines_without_anything_hidden(zoo: Zoo) -> None:
    onnx.save(two_inputs(), zoo.root / "m.onnx")
    done = zoo.run("inspect", "m.onnx", "--chip", "AX650")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert re.fullmatch(r"m\.onnx: [\d,]+ bytes, opset ai\.onnx 17, IR version 9", lines[0])
    assert lines[1:5] == [
        r"inputs      x\x1b[31m float32 [n, 2, 4, 4]",
        "            ids int64 [1]",
        "outputs     y float32 [?]",
        "parameters  28",
    ]
    assert lines[5] == "operators   Conv 1, Relu 1, Dropout 1, Hardmax 1, Gather 1, Add 1"
    assert lines[6] == "optimised   5 nodes, 128 multiply-accumulates"
    assert lines[7:13] == [
        r"becomes     Conv x1 ('conv\n1'): NPU",
        "            Relu x1 ('act'): part of Conv, NPU",
        "            Hardmax x1 ('hardmax'): CPU: Hardmax has no integer form",
        "            Gather x1 ('pick'): NPU",
        "            Add x1 ('join'): NPU",
        "left out    Dropout 1: constant, cut off, or without effect",
    ]
    assert not {character for character in done.out if ord(character) < 32} - {"\n"}


def test_the_same_for_programs_and_for_every_chip(zoo: Zoo) -> None:
    onnx.save(two_inputs(), zoo.root / "m.onnx")
    found = json.loads(zoo.run("inspect", "--json", "m.onnx").out)
    assert {"AX650", "AX620E"} <= set(found["chips"])
    hardmax = next(row for row in found["rows"] if row["operator"] == "Hardmax")
    assert hardmax == {
        "operator": "Hardmax",
        "count": 1,
        "nodes": ["hardmax"],
        "becomes": "",
        "on_cpu": dict.fromkeys(found["chips"], "Hardmax has no integer form"),
    }
    assert found["inputs"][0] == {"name": "x\x1b[31m", "dtype": "float32", "shape": ["n", 2, 4, 4]}
    assert (found["macs"], found["parameters"], found["file"]) == (128, 28, "m.onnx")


def start(zoo: Zoo, *arguments: str) -> str:
    """The BUILD file that the report ends with."""
    done = zoo.run("inspect", *arguments)
    assert done.code == 0, done.err
    return done.out.partition("To start with, in BUILD.toml beside ")[2].partition("\n\n")[2]


def test_its_build_file_builds_a_model_of_arrays(zoo: Zoo) -> None:
    proto = two_inputs()
    for items in (proto.graph.input, *(node.input for node in proto.graph.node)):
        for index, item in enumerate(items):
            if isinstance(item, str):
                items[index] = item.replace("\x1b[31m", "é")
            else:
                item.name = item.name.replace("\x1b[31m", "é")
    onnx.save(proto, zoo.root / "m.onnx")
    (zoo.root / "BUILD.toml").write_text(start(zoo, "m.onnx", "--input_shapes", "xé=1,2,4,4"))
    rng = np.random.default_rng(3)
    for number, array in enumerate([rng.standard_normal((1, 2, 4, 4), dtype=np.float32), np.array([3])]):
        (zoo.root / f"calib_{number}").mkdir()
        np.save(zoo.root / f"calib_{number}" / "a.npy", array)
    assert zoo.build("//:check").counts["executed"]


def test_a_model_is_looked_at_as_it_would_be_cut(zoo: Zoo) -> None:
    onnx.save(two_inputs(), zoo.root / "m.onnx")
    cut = ("--inputs", "c", "--fix", "ids=[2]", "--outputs", "y", "--outputs", "r", "--rename", "y=sum")
    found = json.loads(zoo.run("inspect", "--json", "m.onnx", *cut).out)
    settings = 'inputs = ["c"]\nfix = { ids = [2] }\noutputs = ["y", "r"]\nrename = { y = "sum" }\n'
    assert sorted(settings.splitlines()) == sorted(found["build"].partition('src = "m.onnx"\n')[2].splitlines()[:4])
    becomes = {row["operator"]: row["becomes"] for row in found["rows"]}
    assert (becomes["Conv"], becomes["Gather"]) == ("a constant", "a constant")


def test_its_build_file_builds_a_model_of_pictures(zoo: Zoo) -> None:
    shutil.copy(ZOO / "digits" / "digits.onnx", zoo.root)
    (zoo.root / "BUILD.toml").write_text(start(zoo, "digits.onnx"))
    (zoo.root / "calib").mkdir()
    for picture in sorted((ZOO / "fetched" / "digits" / "calibration").iterdir())[:2]:
        shutil.copy(picture, zoo.root / "calib")
    assert zoo.build("//:check").counts["executed"]


def test_a_model_that_the_front_end_refuses_is_shown_as_far_as_it_can_be_read(zoo: Zoo) -> None:
    proto = two_inputs()
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(proto, zoo.root / "m.onnx")
    done = zoo.run("inspect", "m.onnx")
    assert done.code == 2
    assert "parameters  28" in done.out
    assert "becomes" not in done.out
    assert "error AX304: input 'x\\x1b[31m' has unknown dimensions: [n, 2, height, 4]" in done.err
    assert "; here --input_shapes NAME=SIZE,SIZE,... says it" in done.err


def test_it_is_stopped_at_the_limits_of_the_workspace(zoo: Zoo) -> None:
    onnx.save(two_inputs(), zoo.root / "m.onnx")
    (zoo.root / "axbuild.toml").write_text("[resources]\noptimize_memory_gb = 0.001\n")
    done = zoo.run("inspect", "m.onnx")
    assert done.code == 1
    assert "error AX552: stage 'outlook' was stopped" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("m.onnx", "--chip", "AX65"), "AX258: --chip takes the name of a chip, got 'AX65'"),
        (("m.onnx", "--fix", "ids=three"), "AX258: --fix takes NAME=VALUE, a number, true, false, or a list of these"),
        (("m.onnx", "--outputs", "z"), "AX311: outputs names 'z', and the model has no tensor of that name"),
        (("m.onnx", "--input_shapes", "x"), "AX258: --input_shapes takes NAME=SIZE,SIZE,..., got 'x'"),
        (("m.onnx", "--rename", "y="), "AX258: --rename takes NAME=NEW, got 'y='"),
        (("m.axmodel", "--chip", "AX650"), "AX258: every option but --json is for float models, and m.axmodel is none"),
        (("m.axmodel",), "AX480: m.axmodel is not an axmodel"),
        (("cut.onnx",), "AX112: cut.onnx is not a readable ONNX model"),
        (("far.onnx",), "AX118: far.onnx keeps weights in '../w.bin', which is not a path inside the model's folder"),
    ],
)
def test_what_cannot_be_shown_is_said(zoo: Zoo, arguments, told) -> None:
    content = two_inputs()
    onnx.save(content, zoo.root / "m.onnx")
    (zoo.root / "m.axmodel").write_bytes(b"none")
    (zoo.root / "cut.onnx").write_bytes(content.SerializeToString()[:100])
    tensor = content.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../w.bin")
    (zoo.root / "far.onnx").write_bytes(content.SerializeToString())
    done = zoo.run("inspect", *arguments)
    assert done.code == 2
    assert not done.out or "AX311" in told
    assert f"error {told}" in done.err


def test_outside_of_a_workspace_the_defaults_hold(tmp_path: Path) -> None:
    onnx.save(two_inputs(), tmp_path / "m.onnx")
    assert Zoo(tmp_path, tmp_path / "cache").run("inspect", "m.onnx").code == 0
    assert not (tmp_path / "cache").exists()


def test_a_recurrent_layer_counts_the_products_of_every_step_and_long_names_are_cut_at_their_front(zoo: Zoo) -> None:
    name = "/".join(["a_module_in_a_module"] * 8)
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y", "", ""], name=name, hidden_size=3)]
    value = helper.make_tensor_value_info
    weights = [weight("w", 1, 12, 4), weight("r", 1, 12, 3)]
    graph = helper.make_graph(nodes, "g", [value("x", FLOAT, [5, 1, 4])], [value("y", FLOAT, None)], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), zoo.root / "m.onnx")
    lines = zoo.run("inspect", "m.onnx").out.splitlines()
    assert f"optimised   1 nodes, {5 * 12 * (4 + 3)} multiply-accumulates" in lines
    assert any(line.startswith(f"becomes     LSTM x1 ('...{name[-45:]}'): CPU: LSTM has no") for line in lines)


def test_what_a_node_becomes_is_the_operator_that_computes_it_and_not_what_stands_around(zoo: Zoo) -> None:
    """A pool over one axis is one over two between Reshapes."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("MaxPool", ["c"], ["y"], name="pool", kernel_shape=[2], strides=[2]),
    ]
    value = helper.make_tensor_value_info
    inputs, outputs = [value("x", FLOAT, [1, 2, 8])], [value("y", FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [weight("w", 4, 2, 1)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), zoo.root / "m.onnx")
    found = json.loads(zoo.run("inspect", "--json", "m.onnx", "--chip", "AX650").out)
    assert [(row["operator"], row["becomes"]) for row in found["rows"]] == [("Conv", ""), ("MaxPool", "")]


def test_a_quantised_model_is_shown_by_its_layers_and_the_types_of_their_weights(zoo: Zoo) -> None:
    net = residual_net()
    net.add("Hardmax", ["y"], "z")
    rules = (
        LayerConfig(layer_name="first", data_type="U16", weight_data_type="S16"),
        LayerConfig(layer_name="wide", weight_data_type="S4"),
    )
    onnx.save(quantised(net.model("z"), net.samples(2), rules=rules).model, zoo.root / "quant_axmodel.onnx")
    done = zoo.run("inspect", "quant_axmodel.onnx")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[-11:] == [
        "weights     216 in S16, of 1 layer",
        "            128 in S4, of 1 layer",
        "            1,232 in S8, of 2 layers",
        "layers      AxQuantizeLinear 'x/quantize' makes 'x/codes': FP32 -> U16",
        "            AxQuantizedConv 'first' makes 'seen': U16 -> U8, weights S16",
        "            AxQuantizedConv 'wide' makes 'inner': U8 -> U8, weights S4",
        "            AxQuantizedConv 'narrow' makes 'narrow': U8 -> U8, weights S8",
        "            AxQuantizedAdd 'sum' makes 'sum': U8, U8 -> U8",
        "            AxQuantizedConv 'y' makes 'y/codes': U8 -> U8, weights S8",
        "            AxDequantizeLinear 'y/dequantize' makes 'y': U8 -> FP32",
        "            Hardmax 'z' makes 'z': in float",
    ]
    found = json.loads(zoo.run("inspect", "--json", "quant_axmodel.onnx").out)
    assert found["layers"][1] == {
        "name": "first",
        "operator": "AxQuantizedConv",
        "outputs": ["seen"],
        "reads": ["U16"],
        "writes": "U8",
        "weight": "S16",
        "weights": 216,
    }
