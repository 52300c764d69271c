"""An input that is no picture, taken as bytes at run time."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import axbuild

BUILD = """
[[float_model]]
name = "float"
src = "m.onnx"

[[calibration_set]]
name = "calib"
src = "samples"
format = "Numpy"

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"
"""
AXMODEL = """
[[axmodel]]
name = "{name}"
quant = ":quant"
target_hardware = "AX650"
input_processors = [{{ tensor_name = "DEFAULT", src_dtype = "{type}" }}]
"""


def test_bytes_on_a_flat_input_give_what_their_values_as_floats_give(tmp_path):
    rng = np.random.default_rng(7)
    weights = numpy_helper.from_array(rng.normal(size=(8, 4)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "flat",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [weights],
    )
    (tmp_path / "samples").mkdir()
    for number in range(8):
        np.save(tmp_path / f"samples/{number}.npy", rng.integers(0, 256, (1, 8)).astype(np.float32))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    models = [AXMODEL.format(name=name, type=type_) for name, type_ in (("bytes", "U8"), ("floats", "FP32"))]
    (tmp_path / "BUILD.toml").write_text("".join([BUILD, *models]))
    (tmp_path / "axbuild.toml").write_text("")
    command = [sys.executable, "-m", "axbuild.cli.entry", "build", "//:bytes", "//:floats"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    sessions = [axbuild.InferenceSession(tmp_path / f"axbuild-out/{n}/compiled.axmodel") for n in ("bytes", "floats")]
    x = np.load(tmp_path / "samples/0.npy").astype(np.uint8)
    assert [session.get_inputs()[0].type for session in sessions] == ["tensor(uint8)", "tensor(float)"]
    (taken,), (given,) = sessions[0].run(None, {"x": x}), sessions[1].run(None, {"x": x.astype(np.float32)})
    assert np.array_equal(taken, given)
    exact = x.astype(np.float32) @ numpy_helper.to_array(weights)
    assert np.abs(taken - exact).max() < 0.02 * np.abs(exact).max()
