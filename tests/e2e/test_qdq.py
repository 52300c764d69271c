"""A QDQ model from BUILD.toml to a checked axmodel, and what is refused before anything slow runs."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from qdq_world import written_by_onnxruntime

from element_types import pictures, reals
from zoo_workspace import Zoo, copy_zoo

BUILD = """
[[float_model]]
name = "float"
src = "qdq.onnx"
model_type = "QuantONNX"

[[quant_model]]
name = "quant"
model = ":float"
calibration = "//digits:calib"

[[axmodel]]
name = "axmodel"
quant = ":quant"
target_hardware = "AX650"
input_processors = [{ src_dtype = "U8", src_layout = "NHWC" }]

[[check]]
name = "equal"
axmodel = ":axmodel"
level = "equal"
"""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    room = tmp_path_factory.mktemp("qdq")
    zoo = Zoo(copy_zoo(room / "workspace"), room / "cache")
    zoo.build("//digits:float")
    folder = zoo.root / "qdq"
    folder.mkdir()
    shown = reals(pictures(zoo.root, "digits", "calibration"))
    model = onnx.load(zoo.root / "digits/digits.onnx")
    name = model.graph.input[0].name
    written = written_by_onnxruntime(model, [{name: x[np.newaxis]} for x in shown], "per channel")
    onnx.save(written, folder / "qdq.onnx")
    (folder / "BUILD.toml").write_text(BUILD)
    return zoo


def test_a_qdq_model_is_built_and_checked_without_any_observation(zoo: Zoo) -> None:
    done = zoo.build("//qdq:equal", "//qdq:quant")
    assert not {"watch", "observe", "merge", "calibrate"} & set(done.executed)
    assert {"separate", "adopt", "quantize", "compare"} <= set(done.executed)
    records = json.loads((zoo.root / "axbuild-out/qdq/quant/quant/quant_axmodel.json").read_text())
    qdq = onnx.load(zoo.root / "qdq/qdq.onnx")
    name = qdq.graph.input[0].name
    first = next(node for node in qdq.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == name)
    given = next(tensor for tensor in qdq.graph.initializer if tensor.name == first.input[1])
    (scale,) = {own[name]["scale"] for own in records.values() if name in own}
    assert scale == float(onnx.numpy_helper.to_array(given))


def test_ranges_are_observed_for_the_rest_where_a_method_is_given(zoo: Zoo) -> None:
    with zoo.edited("qdq/BUILD.toml", 'model = ":float"\n', 'model = ":float"\nmethod = "MSE"\n'):
        done = zoo.build("//qdq:quant")
    assert {"observe", "adopt_observed"} <= set(done.executed)


def test_a_layer_rule_for_what_has_scales_gives_way_to_them_and_is_told(zoo: Zoo) -> None:
    rule = 'model = ":float"\nlayer_configs = [{ op_type = "Conv", data_type = "U16" }]\n'
    before = zoo.build("//qdq:quant")
    with zoo.edited("qdq/BUILD.toml", 'model = ":float"\n', rule):
        done = zoo.build("//qdq:quant")
    told = "the model's own scales are kept, and layer_configs asks for other types"
    assert "AX382" in done.out + done.err
    assert told in " ".join((done.out + done.err).split())
    assert told not in before.out + before.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("AX650", "AX620E", "a QuantONNX model cannot be compiled for AX620E"),
        (
            'model = ":float"\n',
            'model = ":float"\nenable_lsq = true\n',
            "enable_lsq has no effect on a QuantONNX model",
        ),
        ('model_type = "QuantONNX"\n', "", "the model is quantised already"),
    ],
    ids=["another chip", "fine-tuning", "no model_type"],
)
def test_what_cannot_be_is_said_before_the_slow_steps(zoo: Zoo, old: str, new: str, said: str) -> None:
    with zoo.edited("qdq/BUILD.toml", old, new):
        done = zoo.run("build", "//qdq:axmodel")
    assert done.code == 2
    assert said in done.err
    assert not {"observe", "quantize"} & set(done.executed)


def test_m76h_takes_them_too(zoo: Zoo) -> None:
    with zoo.edited("qdq/BUILD.toml", '"AX650"', '"M76H"'):
        zoo.build("//qdq:axmodel")


def test_a_float_model_is_no_qdq_model(zoo: Zoo) -> None:
    with zoo.replaced("qdq/qdq.onnx", (zoo.root / "digits/digits.onnx").read_bytes()):
        done = zoo.run("build", "//qdq:float")
    assert done.code == 2
    assert "the model has no QuantizeLinear and no DequantizeLinear" in done.err


def test_the_scheme_is_written_as_a_plain_qdq_model_and_its_distance_told(zoo: Zoo) -> None:
    with zoo.edited("digits/BUILD.toml", 'name = "quant"\n', 'name = "quant"\nexport_qdq = true\n'):
        done = zoo.build("//digits:quant")
    folder = zoo.root / "axbuild-out/digits/quant/quant"
    record = json.loads((folder / "qdq.json").read_text())
    assert record["samples"] == 8
    ((name, found),) = record["outputs"].items()
    assert found["snr_db"] > 30
    apart = f"is {found['snr_db']:.1f} dB from the exact integers at '{name}'"
    told = "gives what the integers give" if found["largest"] == 0 else apart
    assert f"qdq.onnx under onnxruntime {told}" in done.out
    onnx.checker.check_model(onnx.load(folder / "qdq.onnx"), full_check=True)
    onnx.save(onnx.load(folder / "qdq.onnx"), zoo.root / "qdq/again.onnx")
    with zoo.edited("qdq/BUILD.toml", 'src = "qdq.onnx"', 'src = "again.onnx"'):
        zoo.build("//qdq:equal")
