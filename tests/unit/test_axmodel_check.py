"""Simulate, reference, compare: what they write and what a verdict says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import count

import numpy as np
import onnx
import pytest

from axbuild.errors import AxError
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.compare import CompareParams, compare
from axbuild.toolchain.axmodel.reference import ReferenceParams, ReferenceRunError, open_session, reference, run
from axbuild.toolchain.axmodel.simulate import SimulateParams, simulate
from axbuild.toolchain.data.inputs import InputData, SampleMismatchError, bind, paired, tensor_input
from axbuild.toolchain.data.processors import InputProcessor, source_input
from axbuild.toolchain.likeness import cosine_of
from axmodel_world import build, expected

NAN, INF = math.nan, math.inf
EQUAL = CompareParams("equal")
CLOSE = CompareParams("close", rtol=0.1)
COSINE = CompareParams("cosine", cosine=0.99)


@pytest.fixture
def judge(tmp_path):
    """verdict of ours against theirs; both map sample -> tensor -> values."""
    numbers = count()

    def run_compare(ours, theirs, params):
        folder = tmp_path / str(next(numbers))
        for side, trees in (("ours", ours), ("theirs", theirs)):
            (folder / side).mkdir(parents=True)
            for sample, tensors in trees.items():
                arrays = {name: np.asarray(value, np.float32) for name, value in tensors.items()}
                outputs.save(folder / side, sample, arrays)
        compare(folder / "ours", folder / "theirs", folder, params=params)
        return json.loads((folder / "verdict.json").read_text())

    return run_compare


def test_equal_outputs_pass_at_every_level(judge):
    verdict = judge({"a": {"y": [1, 2]}, "b": {"y": [3, NAN]}}, {"a": {"y": [1, 2]}, "b": {"y": [3, NAN]}}, EQUAL)
    assert verdict["passed"] is True
    assert verdict["sentence"] == "4 elements of 1 output on 2 samples: equal bit for bit"
    assert (verdict["elements"], verdict["differing"], verdict["failing"]) == (4, 0, 0)


def test_the_sentence_names_sample_tensor_index_both_values_and_the_limit(judge):
    ours = {"a": {"y": [[1.0, 2.0]]}, "b": {"y": [[1.0, 2.5]], "z": [1.0]}}
    theirs = {"a": {"y": [[1.0, 2.1]]}, "b": {"y": [[1.0, 2.0]], "z": [1.0]}}
    verdict = judge(
        {"a": ours["a"] | {"z": [1.0]}, "b": ours["b"]}, {"a": theirs["a"] | {"z": [1.0]}, "b": theirs["b"]}, CLOSE
    )
    assert verdict["passed"] is False
    assert verdict["sentence"] == (
        "sample 'b', output 'y' (float32 [1, 2]) at [0, 1]: simulated 2.5, reference 2.0, limit 0.2; "
        "1 of 6 elements failed, the first of this tensor at [0, 1]"
    )
    assert verdict["worst"] == {
        "sample": "b",
        "tensor": "y",
        "dtype": "float32",
        "shape": [1, 2],
        "index": [0, 1],
        "first": [0, 1],
        "simulated": 2.5,
        "reference": 2.0,
        "limit": 0.2,
    }
    assert verdict["differing"] == 2
    assert verdict["outputs"]["y"] == {"elements": 4, "differing": 2, "failing": 1}


def test_layer_by_layer_the_first_tensor_that_fails_is_named_and_where_it_begins(judge):
    theirs = {"late": [0.0, 0.0], "early": [0.0, 0.0, 0.0], "fine": [1.0]}
    theirs = {name: theirs[name] for name in ("fine", "early", "late")}  # as they run
    ours = {"fine": [1.0], "late": [9.0, 9.0], "early": [0.0, 1.0, 2.0]}
    verdict = judge({"a": ours}, {"a": theirs}, CompareParams("equal", layers=True))
    assert verdict["sentence"] == (
        "sample 'a', the first tensor that fails is 'early' (float32 [3]) at [2]: simulated 2.0, reference 0.0, "
        "limit 0.0; 4 of 6 elements failed, the first of this tensor at [1]"
    )
    assert judge({"a": ours}, {"a": theirs}, EQUAL)["worst"]["tensor"] == "late"


def test_tensors_that_a_pattern_names_whole_are_not_compared(judge):
    ours, theirs = {"Add_1": [1.0], "PreAdd": [2.0], "y": [3.0]}, {"Add_1": [0.0], "PreAdd": [2.0], "y": [3.0]}
    params = CompareParams("equal", layers=True, tensor_black_list=("Add.*",))
    verdict = judge({"a": ours}, {"a": theirs}, params)
    assert verdict["passed"] is True
    assert sorted(verdict["outputs"]) == ["PreAdd", "y"]
    assert verdict["sentence"] == "2 elements of 2 tensors on 1 sample: equal bit for bit"


def test_a_pattern_that_matches_nothing_is_told_and_one_that_matches_all_fails(judge, recwarn):
    params = CompareParams("equal", tensor_black_list=("y", "Mul"))
    verdict = judge({"a": {"y": [1.0]}}, {"a": {"y": [1.0]}}, params)
    assert verdict["sentence"] == "tensor_black_list leaves no tensor to compare"
    assert verdict["passed"] is False
    assert [str(one.message) for one in recwarn] == [
        "warning AX488: tensor_black_list: 'Mul' matches no tensor that is compared"
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "params", "passed"),
    [
        ([1.05], [1.0], CLOSE, True),
        ([1.2], [1.0], CLOSE, False),
        ([0.05], [0.0], CLOSE, False),
        ([0.05], [0.0], CompareParams("close", rtol=0.0, atol=0.1), True),
        ([1.05], [1.0], EQUAL, False),
        ([0.0], [-0.0], EQUAL, False),
        ([0.0], [-0.0], CompareParams("close"), True),
        ([NAN], [1.0], CLOSE, False),
        ([1.0], [NAN], CLOSE, False),
        ([NAN], [NAN], CLOSE, True),
        ([INF], [INF], CLOSE, True),
        ([INF], [-INF], CLOSE, False),
        ([1.0], [INF], CLOSE, False),
        ([1.0, 0.0], [1.0, 0.1], COSINE, True),
        ([1.0, 0.0], [1.0, 1.0], COSINE, False),
        ([1.0, NAN], [1.0, NAN], COSINE, False),
        ([0.0, 0.0], [0.0, 0.0], COSINE, True),
        ([0.0, 0.0], [1.0, 0.0], COSINE, False),
    ],
)
def test_what_passes_at_each_level(judge, ours, theirs, params, passed):
    verdict = judge({"a": {"y": ours}}, {"a": {"y": theirs}}, params)
    assert verdict["passed"] is passed
    assert verdict["level"] == params.level
    assert passed or "sample 'a', output 'y'" in verdict["sentence"]


@pytest.mark.parametrize(
    ("ours", "theirs", "sentence"),
    [
        ({"a": {"y": [1]}}, {"b": {"y": [1]}}, "sample 'a' ran on one side only"),
        ({"a": {"y": [1]}}, {"a": {"z": [1]}}, "sample 'a': output 'y' is on one side only"),
        ({"a": {"y": [1]}}, {"a": {"y": [[1]]}}, "is float32 [1] simulated and float32 [1, 1] in the reference"),
        ({}, {}, "there is no sample to compare"),
    ],
)
def test_sides_that_do_not_match_fail_in_words(judge, ours, theirs, sentence):
    verdict = judge(ours, theirs, EQUAL)
    assert verdict["passed"] is False
    assert sentence in verdict["sentence"]


def test_the_cosine_of_equal_tensors_is_exactly_one():
    rng = np.random.default_rng(3)
    for size in range(1, 400):
        x = (rng.standard_normal(size) * 10.0 ** rng.integers(-30, 30)).astype(np.float32)
        assert cosine_of(x, x) == 1.0


def test_cosine_is_that_of_the_textbook():
    assert cosine_of(np.array([3.0, 4.0]), np.array([4.0, 3.0])) == pytest.approx(0.96)
    assert cosine_of(np.array([1e-30], np.float32), np.array([1e30], np.float32)) == 1.0


def test_tensor_names_survive_the_file_system(tmp_path):
    names = ["a/b:c", "..", "~", "~" + "0" * 64, "输出" * 14, "输出" * 100, "x" * 5000]
    outputs.save(tmp_path, "s", {name: np.full(1, number) for number, name in enumerate(names)})
    loaded = outputs.load(tmp_path, "s")
    assert {name: array.tolist() for name, array in loaded.items()} == {name: [n] for n, name in enumerate(names)}


def pictures(folder, count):
    folder.mkdir()
    rng = np.random.default_rng(count)
    made = {f"p{index:02}": rng.integers(0, 256, (3, 2, 2), dtype=np.uint8) for index in range(count)}
    for name, picture in made.items():
        np.save(folder / f"{name}.npy", picture)
    return made


@pytest.mark.parametrize("count", [1, 7, 9])
def test_simulation_writes_every_output_of_every_sample(tmp_path, count):
    build(tmp_path / "model")
    made = pictures(tmp_path / "samples", count)
    params = SimulateParams((InputData("", "Image", (1.0, 2.0), (3.0, 4.0)),))
    simulate(tmp_path / "model/out/compiled.axmodel", [tmp_path / "samples"], tmp_path, params=params)
    folder = tmp_path / "outputs"
    assert outputs.samples(folder) == sorted(made)
    for name, picture in made.items():
        assert np.array_equal(outputs.load(folder, name)["out/put"], expected(picture[np.newaxis]))


def test_samples_that_the_model_cannot_take_are_named(tmp_path):
    build(tmp_path / "model")
    (tmp_path / "samples").mkdir()
    np.save(tmp_path / "samples/a.npy", np.full((1, 2, 3, 2), 0.5, np.float32))
    params = SimulateParams((InputData("image", "Numpy"),))
    with pytest.raises(
        SampleMismatchError, match=r"'image' of the compiled model is uint8, and of a sample it would hold 0\.5"
    ):
        simulate(tmp_path / "model/out/compiled.axmodel", [tmp_path / "samples"], tmp_path, params=params)


def identity_model():
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "x"], ["y"])],
        "g",
        [value("x", onnx.TensorProto.FLOAT, [1, 2, 3, 2])],
        [value("y", onnx.TensorProto.FLOAT, [1, 2, 3, 2])],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


def processor(mean, std):
    return InputProcessor("DEFAULT", "BGR", "BGR", "U8", "NHWC", mean, std)


def test_the_reference_runs_behind_the_preprocessing_of_the_compiled_model(tmp_path):
    onnx.save(identity_model(), tmp_path / "m.onnx")
    made = pictures(tmp_path / "samples", 3)
    mean, std = (103.939, 1.5), (58.0, 3.0)
    params = ReferenceParams((InputData("x", "Image"),), (processor(mean, std),))
    reference(tmp_path / "m.onnx", [tmp_path / "samples"], tmp_path, params=params)
    for name, picture in made.items():
        normal = (picture.astype(np.float32) - np.float32(mean)) / np.float32(std)
        assert np.array_equal(outputs.load(tmp_path / "outputs", name)["y"], normal.transpose(2, 0, 1)[np.newaxis] * 2)


@pytest.mark.parametrize("optimized", [False, True])
def test_the_reference_runs_with_optimisation_off_and_on(optimized):
    session = open_session(identity_model().SerializeToString(), optimized=optimized)
    assert np.array_equal(run(session, {"x": np.ones((1, 2, 3, 2), np.float32)})["y"], np.full((1, 2, 3, 2), 2.0))


def test_a_reference_that_onnxruntime_refuses_is_an_error():
    model = identity_model()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ReferenceRunError, match="NoSuchOperator"):
        open_session(model.SerializeToString())


def test_a_default_entry_serves_the_inputs_without_one_of_their_own():
    inputs = (InputData("", "Image"), InputData("b", "Numpy"))
    assert bind(inputs, ["a", "b"]) == [(InputData("a", "Image"), 0), (InputData("b", "Numpy"), 1)]
    with pytest.raises(SampleMismatchError, match="there are no samples for the model's input 'a'"):
        bind(inputs[1:], ["a", "b"])
    with pytest.raises(SampleMismatchError, match="samples are given for 'b'; the model's inputs are a"):
        bind(inputs, ["a"])
    with pytest.raises(SampleMismatchError, match='samples for "DEFAULT" have no effect'):
        bind((InputData("", "Image"), InputData("a", "Image")), ["a"])


def test_samples_of_several_inputs_are_paired_by_name(tmp_path):
    pictures(tmp_path / "one", 2)
    pictures(tmp_path / "two", 2)
    folders = [tmp_path / "one", tmp_path / "two"]
    inputs = (InputData("image", "Image"), InputData("mask", "Image"))
    assert [name for name, _ in paired(folders, inputs)] == ["p00", "p01"]
    (tmp_path / "two/p01.npy").unlink()
    with pytest.raises(SampleMismatchError, match="'p01' is in the set of input 'image' and not in that of 'mask'"):
        paired(folders, inputs)
    with pytest.raises(SampleMismatchError, match="'p01' is in the set of input 'mask' and not in that of 'image'"):
        paired(folders[::-1], inputs)


def test_what_a_float_model_and_a_session_take_in_is_the_same_picture():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    data = InputData("x", "Image", (1.0, 2.0, 3.0), (2.0,))
    assert tensor_input(picture, data)[0, 1].tolist() == [[-0.5, 1.0], [2.5, 4.0]]
    last = tensor_input(picture, replace(data, tensor_layout="NHWC"))
    assert np.array_equal(last, tensor_input(picture, data).transpose(0, 2, 3, 1))
    assert source_input(picture, data, "uint8", "NHWC").shape == (1, 2, 2, 3)
    assert source_input(picture, data, "float32", "NCHW")[0, 1].tolist() == [[1.0, 4.0], [7.0, 10.0]]
    array = np.zeros((1, 3, 4, 5), np.float32)
    assert source_input(array, InputData("x", "Numpy"), "float32", "NHWC").shape == (1, 4, 5, 3)
    with pytest.raises(AxError, match="mean and std have 2 values and the samples 3 channels"):
        tensor_input(picture, InputData("x", "Image", (1.0, 2.0)))
