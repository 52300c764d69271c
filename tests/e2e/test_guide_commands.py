"""Every command that the vendor's build guide prints, typed as it stands there; its configs are files of the guide."""

from __future__ import annotations

import io
import re
import shlex
import tarfile
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from axbuild.toolchain.axmodel.read import read
from zoo_workspace import REPOSITORY, Outcome, Zoo

SEED = REPOSITORY / "tests/seed"
COMMANDS = tomllib.loads((SEED / "commands.toml").read_text(encoding="utf-8"))
PROMPT = re.compile(r"^\S+# ")
CONFIGS = {
    "641": "0606_two_cores",
    "726": "0606_two_cores",
    "768": "0732_precision_analysis",
    "994": "0961_numpy_data",
    "1240": "1113_mixed_precision",
    "1600": "0732_precision_analysis",
}
"""line of a command -> the config that the guide shows before it; the one of line 1600 needs a QDQ model"""
SIZE = 224


def mobile_net(size: int = SIZE) -> onnx.ModelProto:
    """Small, with the operators and tensors that the guide's configs name."""
    rng = np.random.default_rng(0)
    weights: list[onnx.TensorProto] = []

    def conv(name: str, x: str, y: str, ci: int, co: int, stride: int) -> onnx.NodeProto:
        weight = rng.normal(size=(co, ci, 3, 3), scale=0.2).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"{name}_w"))
        return helper.make_node("Conv", [x, f"{name}_w"], [y], name, strides=[stride] * 2, pads=[1] * 4)

    nodes = [
        conv("conv1", "input", "stem", 3, 4, 8),
        conv("conv2_1", "stem", "conv2_1_linear_bn", 4, 8, 4),
        conv("conv2_2", "conv2_1_linear_bn", "conv2_2_dwise", 8, 8, 1),
        helper.make_node("Relu", ["conv2_2_dwise"], ["relu2_2_dwise"], "relu2_2"),
        conv("conv4_3", "relu2_2_dwise", "four", 8, 8, 1),
        helper.make_node("Add", ["four", "conv2_1_linear_bn"], ["sum"], "add"),
        helper.make_node("Sub", ["sum", "relu2_2_dwise"], ["rest"], "sub"),
        conv("conv6_4", "rest", "six", 8, 10, 1),
        helper.make_node("GlobalAveragePool", ["six"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["output"], "flat"),
    ]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, size, size])]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 10])]
    graph = helper.make_graph(nodes, "mobile", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def archive(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as opened:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """The folder that the guide's commands stand in."""
    root = tmp_path_factory.mktemp("guide") / "data"
    for folder in ("model", "config", "path/to"):
        (root / folder).mkdir(parents=True)
    for model in ("model/mobilenetv2-sim.onnx", "path/to/model.onnx"):
        onnx.save(mobile_net(), root / model)
    rng = np.random.default_rng(1)
    pictures, arrays = {}, {}
    for number in range(4):
        picture, array = io.BytesIO(), io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(picture, "PNG")
        np.save(array, rng.normal(size=(1, 3, SIZE, SIZE)).astype(np.float32))
        pictures[f"{number}.png"], arrays[f"{number}.npy"] = picture.getvalue(), array.getvalue()
    archive(root / "dataset/imagenet-32-images.tar", pictures)
    archive(root / "dataset/npy_dataset.tar", arrays)
    return Zoo(root, root.parent / "cache")


@pytest.fixture(scope="module")
def done(data: Zoo) -> dict[str, Outcome]:
    """What each command did, in the guide's order."""
    found = {}
    for line, text in COMMANDS.items():
        words = shlex.split(PROMPT.sub("", text))
        config = data.root / words[words.index("--config") + 1]
        config.write_bytes((SEED / f"configs/{CONFIGS[line]}.json").read_bytes())
        found[line] = data.run(*words)
    return found


@pytest.mark.parametrize("line", COMMANDS)
def test_the_guides_command_builds_a_model(done: dict[str, Outcome], line: str) -> None:
    assert done[line].code == 0, done[line].out + done[line].err
    assert "max_cycle = " in done[line].out


def test_the_table_of_precision_is_shown_by_flag_and_by_file_and_not_without(done: dict[str, Outcome]) -> None:
    shown = {line: "Quant Precision Table【PerLayer Reference】" in outcome.out for line, outcome in done.items()}
    assert shown == {"641": False, "726": True, "768": True, "994": False, "1240": False, "1600": True}


def test_arrays_are_named_in_the_table_of_data_and_operators_of_16_bits_in_that_of_layers(
    done: dict[str, Outcome],
) -> None:
    data_format = [line for line in done["994"].out.splitlines() if "Numpy" in line]
    assert len(data_format) == 1
    layers = done["1240"].out.partition("Layer Config Table")[2]
    assert re.search(r"Add\s+\S?\s*U16", layers)
    assert re.search(r"conv6_4\s+\S?\s*U16", layers)


def test_two_cores_are_one_word_in_the_config(done: dict[str, Outcome]) -> None:
    cores = {line: re.search(r"MB for AX650 (NPU\d)", outcome.out) for line, outcome in done.items()}
    assert {line: found and found[1] for line, found in cores.items()} == dict.fromkeys(COMMANDS, "NPU1") | {
        "641": "NPU2",
        "726": "NPU2",
    }
    two, one = (int(done[line].out.partition("max_cycle = ")[2].split()[0].replace(",", "")) for line in ("726", "768"))
    assert two < one


def test_the_compiled_model_takes_bytes_with_channels_last_and_gives_floats(
    data: Zoo, done: dict[str, Outcome]
) -> None:
    assert done["1240"].code == 0
    compiled = read((data.root / "output/compiled.axmodel").read_bytes())
    sides = [(one.name, one.dtype, tuple(one.shape)) for one in (*compiled.inputs, *compiled.outputs)]
    assert sides == [("input", "uint8", (1, SIZE, SIZE, 3)), ("output", "float32", (1, 10))]


def test_data_of_the_model_s_own_size_is_refused_where_input_shapes_changed_it(
    data: Zoo, done: dict[str, Outcome]
) -> None:
    words = shlex.split(PROMPT.sub("", COMMANDS["994"]))
    words[words.index("--output_dir") + 1] = "wider"
    found = data.run(*words, "--input_shapes", "input:1x3x384x384")
    assert (done["994"].code, found.code) == (0, 2)
    assert f"is float32 [1, 3, {SIZE}, {SIZE}], and model input 'input' is float32 [1, 3, 384, 384]" in found.err
    assert not (data.root / "wider/compiled.axmodel").exists()


def test_a_further_size_is_a_subgraph_of_its_own_in_the_same_file(data: Zoo, done: dict[str, Outcome]) -> None:
    """As the guide has it, for DEFAULT; there it is 384."""
    text = (SEED / "configs/0732_precision_analysis.json").read_text(encoding="utf-8")
    said = '"src_layout": "NHWC", "src_extra_shapes": [{"shape": [1, 3, 256, 256]}],'
    (data.root / "config/two_sizes.json").write_text(text.replace('"src_layout": "NHWC",', said), encoding="utf-8")
    words = shlex.split(PROMPT.sub("", COMMANDS["768"]))
    words[words.index("--output_dir") + 1], words[words.index("--config") + 1] = "sizes", "config/two_sizes.json"
    found = data.run(*words, "--quant.precision_analysis", "0")
    assert (done["768"].code, found.code) == (0, 0), found.err
    assert "extra input shape, index: 1, shape: {'input': (1, 3, 256, 256)}" in found.out
    assert [line.split("group: ")[1] for line in found.out.splitlines() if "GraphType" in line] == [
        "0, type: GraphType.NPU",
        "1, type: GraphType.NPU",
    ]
    compiled = read((data.root / "sizes/compiled.axmodel").read_bytes())
    assert compiled.shape_groups() == (0, 1)
