"""What the float and the quantised model take in and give, as files: values by onnxruntime, names by nobody's leave."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from quantised import quantised, write_samples

from axbuild.errors import AxError
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.file_names import LONGEST, file_names
from axbuild.toolchain.precision.io_data import IoDataParams, io_data
from frontend_world import model as bare_net
from precision_world import INPUTS, PrecisionWorld


def kept(out):
    record = json.loads((out / "io/io.json").read_text())
    return record, {
        (side, end, name): np.load(out / "io" / one["file"])
        for side in ("float", "quant")
        for end, tensors in record[side].items()
        for name, one in tensors.items()
    }


def answers(model, feed):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip([port.name for port in session.get_outputs()], session.run(None, feed), strict=True))


def net_of(*arguments, **inputs):
    return onnx.shape_inference.infer_shapes(bare_net(*arguments, **inputs))


def small(tmp_path, x="x"):
    weights = {"w": np.random.default_rng(3).standard_normal((4, 3, 1, 1), dtype=np.float32)}
    nodes = [
        helper.make_node("Conv", [x, "w"], ["c"], name="conv"),
        helper.make_node("Relu", ["c"], ["y"], name="relu"),
    ]
    rng = np.random.default_rng(4)
    feeds = [{x: rng.standard_normal((1, 3, 6, 6), dtype=np.float32)} for _ in range(3)]
    return PrecisionWorld.of(tmp_path, net_of(nodes, weights, inputs=((x, [1, 3, 6, 6]),)), feeds)


def test_the_first_sample_stands_in_files_as_both_models_have_it_at_their_borders(tmp_path):
    world = small(tmp_path)
    io_data(world.float_file, world.quantised_file, world.samples, tmp_path, params=IoDataParams(INPUTS))
    record, found = kept(tmp_path)
    first = world.feeds[0]
    assert record["sample"] == "s000"
    for side, model in (("float", world.model), ("quant", world.quantised.model)):
        ((name, expected),) = answers(model, first).items()
        np.testing.assert_array_equal(found[side, "inputs", "x"], first["x"])
        np.testing.assert_allclose(found[side, "outputs", name], expected, rtol=1e-5, atol=1e-6)
        assert record[side]["outputs"][name] == {
            "file": f"{side}/{name}.npy",
            "dtype": "float32",
            "shape": list(expected.shape),
        }
    assert (found["float", "outputs", name] != found["quant", "outputs", name]).any()


def test_several_inputs_come_from_their_own_sets_and_are_named_apart(tmp_path):
    nodes = [helper.make_node("Add", ["a/b", "a b"], ["y"], name="sum")]
    model = net_of(nodes, inputs=(("a/b", [1, 4]), ("a b", [1, 4])))
    rng = np.random.default_rng(6)
    feeds = [{name: rng.standard_normal((1, 4), dtype=np.float32) for name in ("a/b", "a b")} for _ in range(2)]
    onnx.save(model, tmp_path / "optimized.onnx")
    onnx.save(quantised(model, feeds).model, tmp_path / "quant.onnx")
    for place, name in enumerate(("a/b", "a b")):
        write_samples(tmp_path / f"samples{place}", [feed[name] for feed in feeds])
    about = (InputData("a/b", "Numpy"), InputData("a b", "Numpy"))
    trees = [tmp_path / "samples0", tmp_path / "samples1"]
    io_data(tmp_path / "optimized.onnx", tmp_path / "quant.onnx", trees, tmp_path, params=IoDataParams(about))
    record, found = kept(tmp_path)
    assert {one["file"] for one in record["float"]["inputs"].values()} == {"float/a_b.npy", "float/a_b_2.npy"}
    for name in ("a/b", "a b"):
        np.testing.assert_array_equal(found["float", "inputs", name], feeds[0][name])
        np.testing.assert_array_equal(found["quant", "inputs", name], feeds[0][name])


HOSTILE = [
    "../../etc/passwd",
    "/tmp/x",
    "..",
    ".",
    "a\0b",
    "nul\n",
    "x" * 400,
    "x" * 401,
    "X",
    "x",
    "é",
    "ü",
    "",
    "con:1",
]


def test_no_name_of_a_tensor_leaves_the_folder_or_takes_anothers_file(tmp_path):
    names = file_names(HOSTILE)
    assert list(names) == HOSTILE
    assert len({name.casefold() for name in names.values()}) == len(HOSTILE)
    for name in names.values():
        assert 0 < len(name) <= LONGEST + 3
        assert (tmp_path / f"{name}.npy").parent == tmp_path
        (tmp_path / f"{name}.npy").write_bytes(b"")
    assert names["../../etc/passwd"] == "______etc_passwd"
    assert [names[name] for name in ("X", "x", "é", "ü", "")] == ["X", "x_2", "__2", "__3", "__4"]


def test_a_name_that_is_a_path_stays_below_the_output(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    world = small(tmp_path / "in", "../../outside")
    io_data(world.float_file, world.quantised_file, world.samples, tmp_path / "out", params=IoDataParams(INPUTS))
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.npy"))
    assert "io/float/______outside.npy" in files
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


def test_samples_that_are_not_there_are_the_users_error(tmp_path):
    world = small(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(AxError, match="there is no sample in the set"):
        io_data(world.float_file, world.quantised_file, [tmp_path / "none"], tmp_path, params=IoDataParams(INPUTS))
