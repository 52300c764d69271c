"""The front end's files: bytes around the weights, one file or two, and the record of a comparison."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import ModelProto, numpy_helper

from axbuild.toolchain.frontend import optimize as front_end
from axbuild.toolchain.frontend import wire
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.load import load
from axbuild.toolchain.frontend.model_check import ModelCheckParams, model_check
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.frontend.save import save
from axbuild.toolchain.graph import DATA_FILE, MODEL_FILE, model_file
from axbuild.toolchain.quant.observe import FloatPass
from frontend_world import model, node, normal, place

WEIGHTS = {"w": normal(16, 3, 3, 3), "b": normal(16), "v": normal(8, 16, 1, 1)[..., ::-1].astype(np.float32)}


def net():
    nodes = [
        node("Conv", ["x", "w", "b"], ["l"], name="one"),
        node("Relu", ["l"], ["c"], name="between"),
        node("Conv", ["c", "v"], ["y"], name="two"),
    ]
    return model(nodes, WEIGHTS)


def test_a_model_is_cut_and_put_together_with_the_same_meaning():
    before = net()
    light, cuts = wire.cut(before.SerializeToString(), 600)
    assert [(item.stub.name, item.length) for item in cuts] == [("w", 16 * 27 * 4)]
    written = io.BytesIO()
    wire.write(written, ModelProto.FromString(light), [(item.stub, WEIGHTS[item.stub.name]) for item in cuts])
    after = ModelProto.FromString(written.getvalue())
    assert [tensor.name for tensor in after.graph.initializer] == ["b", "v", "w"]
    for tensor in after.graph.initializer:
        assert np.array_equal(numpy_helper.to_array(tensor), WEIGHTS[tensor.name])
    del before.graph.initializer[:], after.graph.initializer[:]
    assert after == before


@pytest.mark.parametrize("length", [3, 20, 400, 2000])
def test_bytes_that_end_too_early_are_no_model(length):
    with pytest.raises(wire.NoMessageError):
        wire.cut(net().SerializeToString()[:length], 600)


@pytest.fixture(params=["one file", "two files"])
def saved(tmp_path, request):
    """The optimised folder of `net`, as for a small model and as for one above the limit."""
    light = load(place(net(), tmp_path / "in"))
    save(light, tmp_path / "optimized", limit=2**31 if request.param == "one file" else 1024)
    return tmp_path / "optimized"


def test_the_data_file_is_there_only_above_the_limit(tmp_path):
    for limit, files in ((2**31, [MODEL_FILE]), (1024, [MODEL_FILE, DATA_FILE])):
        folder = tmp_path / str(limit)
        save(load(place(net(), tmp_path / "in")), folder, limit=limit)
        assert sorted(path.name for path in folder.iterdir()) == files
    assert b"optimized.onnx.data" not in (tmp_path / str(2**31) / MODEL_FILE).read_bytes()


def test_small_constants_stay_in_the_model(saved):
    proto = onnx.load(model_file(saved), load_external_data=False)
    inline = {tensor.name for tensor in proto.graph.initializer if tensor.HasField("raw_data")}
    assert {"b"} <= inline
    assert [value.name for value in proto.graph.input] == ["x"]


def test_everything_that_reads_a_float_model_reads_both_forms(saved):
    expected = onnxruntime.InferenceSession(net().SerializeToString()).run(None, {"x": normal(1, 3, 8, 8)})[0]
    whole = onnx.load(model_file(saved))
    assert {tensor.name for tensor in whole.graph.initializer} == set(WEIGHTS)
    graph = ir.load(model_file(saved)).graph
    assert np.array_equal(graph.initializers["w"].const_value.numpy(), WEIGHTS["w"])
    session = onnxruntime.InferenceSession(str(model_file(saved)))
    assert np.array_equal(session.run(None, {"x": normal(1, 3, 8, 8)})[0], expected)
    again = load(saved)
    assert np.array_equal(again.weights["w"], WEIGHTS["w"])


def test_observation_runs_a_model_with_a_data_file(tmp_path, monkeypatch):
    monkeypatch.setattr(front_end, "save", lambda done, folder: save(done, folder, limit=1024))
    (tmp_path / "out").mkdir()
    optimize(place(net(), tmp_path / "in"), tmp_path / "out", params=OptimizeParams())
    assert (tmp_path / "out/optimized" / DATA_FILE).stat().st_size >= 1728
    float_pass = FloatPass(tmp_path / "out/optimized", ("c", "y"))
    values = float_pass.run({"x": normal(1, 3, 8, 8)})
    expected = onnxruntime.InferenceSession(net().SerializeToString()).run(None, {"x": normal(1, 3, 8, 8)})[0]
    assert np.allclose(values["y"], expected, rtol=1e-5, atol=1e-5)


def test_an_array_that_is_not_in_order_is_written_in_onnx_s_order(tmp_path):
    turned = np.asfortranarray(normal(32, 16))
    proto = model([node("Gemm", ["x", "w"], ["y"])], inputs=(("x", [2, 32]), ("w", [32, 16])))
    save(LightModel(proto, {"w": turned}), tmp_path / "o")
    (tensor,) = onnx.load(tmp_path / "o" / MODEL_FILE).graph.initializer
    assert np.array_equal(numpy_helper.to_array(tensor), normal(32, 16))


def checked(tmp_path, after, **params):
    """verdict.json of `net` against another model, and the folder it stands in."""
    (tmp_path / "out").mkdir()
    place(after, tmp_path / "optimized").joinpath("model.onnx").rename(tmp_path / "optimized" / MODEL_FILE)
    model_check(
        place(net(), tmp_path / "in"), tmp_path / "optimized", tmp_path / "out", params=ModelCheckParams(**params)
    )
    return json.loads((tmp_path / "out/verdict.json").read_text()), tmp_path / "out"


def test_a_model_that_computes_the_same_passes(tmp_path):
    verdict, out = checked(tmp_path, net())
    assert verdict["passed"]
    assert verdict["sentence"] == (
        "every output of the optimised model agrees with the original's (1 compared, largest difference 0)"
    )
    (output,) = verdict["outputs"]
    assert (output["name"], output["dtype"], output["shape"], output["elements"]) == ("y", "float32", [1, 8, 6, 6], 288)
    assert list((out / "tensors").iterdir()) == []


def other(change):
    proto = net()
    change(proto)
    return proto


def scaled(proto):
    array = WEIGHTS["b"] * np.float32(1.05)
    next(tensor for tensor in proto.graph.initializer if tensor.name == "b").raw_data = array.tobytes()


def renamed(proto):
    proto.graph.node[-1].output[0] = proto.graph.output[0].name = "z"


def padded(proto):
    proto.graph.node[0].attribute.append(onnx.helper.make_attribute("pads", [1, 1, 1, 1]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (scaled, r"the optimised model changed tensor 'y' by 0\.\d+, more than 0\.0\d+"),
        (renamed, r"the optimised model has the outputs z, and the original y"),
        (padded, r"the optimised model turned the shape of tensor 'y' from \(1, 8, 6, 6\) into \(1, 8, 8, 8\)"),
    ],
)
def test_a_model_that_computes_something_else_fails_with_names_shapes_and_values(tmp_path, change, sentence):
    verdict, _ = checked(tmp_path, other(change))
    assert not verdict["passed"]
    assert re.fullmatch(sentence, verdict["sentence"])


def test_what_was_compared_is_kept_where_asked(tmp_path):
    _, out = checked(tmp_path, net(), save_tensors_data=True)
    names = json.loads((out / "tensors/names.json").read_text())
    assert names == {"input_0.npy": "x", "original_0.npy": "y", "optimized_0.npy": "y"}
    given, answer = (np.load(out / "tensors" / name) for name in ("input_0.npy", "original_0.npy"))
    session = onnxruntime.InferenceSession(net().SerializeToString())
    assert np.allclose(session.run(None, {"x": given})[0], answer, rtol=1e-5, atol=1e-5)
