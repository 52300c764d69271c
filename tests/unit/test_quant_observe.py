"""Observation: exact ranges of the float model's own tensors, one sample at a time."""

import numpy as np
import onnx
import pytest
from quantised import Net, float_run, loaded, write_samples

from axbuild.toolchain.data.inputs import InputData, SampleMismatchError
from axbuild.toolchain.quant.observe import FloatPass, ObserveParams, observe, one_ahead
from axbuild.toolchain.quant.observer import SampleNotFiniteError
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.quant.watch import WatchParams, watch, watched
from axbuild.toolchain.quant.watched import WatchListError, read_watched
from axbuild.toolchain.refused import SampleRefusedError


def net() -> onnx.ModelProto:
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3, 3, pads=[1] * 4)
    n.add("Relu", ["c"], "r")
    n.add("GlobalAveragePool", ["r"], "g")
    n.add("Flatten", ["g"], "f")
    n.add("Gemm", ["f", n.weight("w", 5, 4), n.weight("b", 5)], "y", transB=1)
    return n.model("y")


def run(tmp_path, model, folders, *inputs) -> Statistics:
    onnx.save(model, tmp_path / "optimized.onnx")
    watch(tmp_path / "optimized.onnx", tmp_path, params=WatchParams())
    params = ObserveParams(inputs)
    observe(tmp_path / "optimized.onnx", tmp_path / "watch.json", folders, tmp_path, params=params)
    return Statistics.read(tmp_path / "statistics.msgpack")


def exposed(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in names)
    return copy


def test_every_tensor_that_may_get_a_grid_is_watched_and_none_that_only_moves_others_values():
    rows = watched(loaded(net()).graph)
    assert [(row.name, row.axis) for row in rows] == [("x", 1), ("r", 1), ("g", 1), ("y", 1)]


def clamped(*outputs: str, also: str = "") -> list[str]:
    """What is watched of a convolution behind which a Clip stands. also: what another operator reads."""
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3, 3, pads=[1] * 4)
    n.add("Clip", ["c", n.constant("lo", np.float32(-0.1)), n.constant("hi", np.float32(0.2))], "r")
    if also:
        n.add("Neg", [also], "n")
    return [row.name for row in watched(loaded(n.model(*outputs)).graph)]


def test_what_a_clamp_alone_reads_is_watched_behind_it():
    assert clamped("r") == ["x", "r"]
    assert clamped("n", also="r") == ["x", "r", "n"]
    assert clamped("r", "n", also="c") == ["x", "c", "r", "n"]
    assert clamped("r", "c") == ["x", "c", "r"]


def test_the_bounds_that_a_clamp_reads_are_watched():
    n = Net(1, 4)
    n.input("m")
    n.add("Neg", ["m"], "bound")
    n.add("Clip", ["x", "", "bound"], "y")
    assert [row.name for row in watched(loaded(n.model("y")).graph)] == ["x", "m", "bound", "y"]


def test_channels_are_followed_through_what_moves_them():
    n = Net(1, 6, 3, 3)
    n.add("Transpose", ["x"], "t", perm=[0, 2, 3, 1])
    n.add("Relu", ["t"], "r")
    n.add("MatMul", ["r", n.weight("w", 6, 5)], "y")
    rows = watched(loaded(n.model("y")).graph)
    assert [(row.name, row.axis) for row in rows] == [("x", 1), ("r", 3), ("y", 3)]


def test_integers_and_shapes_that_depend_on_data_are_not_watched():
    n = Net(1, 4)
    n.add("NonZero", ["x"], "i")
    n.add("Cast", ["i"], "f", to=1)
    n.add("Relu", ["x"], "y")
    rows = watched(loaded(n.model("f", "y")).graph)
    assert [row.name for row in rows] == ["x", "y"]


def test_a_new_operator_changes_no_watch_list_unless_it_moves(tmp_path):
    """Sin and Relu are watched alike, though only one has an integer form."""
    lists = []
    for op in ("Sin", "Relu"):
        n = Net(1, 4)
        n.add(op, ["x"], "y")
        onnx.save(n.model("y"), tmp_path / "m.onnx")
        watch(tmp_path / "m.onnx", tmp_path, params=WatchParams())
        lists.append((tmp_path / "watch.json").read_bytes())
    assert lists[0] == lists[1]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "x"}', '{"format": "axbuild-watch/2", "tensors": [{"nam": 1}]}']
)
def test_a_damaged_watch_list_is_refused(tmp_path, text):
    (tmp_path / "watch.json").write_text(text)
    with pytest.raises(WatchListError):
        read_watched(tmp_path / "watch.json")


def test_ranges_are_those_of_the_float_model_behind_the_stated_preprocessing(tmp_path):
    rng = np.random.default_rng(2)
    pictures = [rng.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(5)]
    mean, std = (103.939, 116.779, 123.68), (58.0, 57.0, 59.0)
    folder = write_samples(tmp_path / "samples", pictures)
    statistics = run(tmp_path, net(), [folder], InputData("", "Image", mean, std))
    normal = [(p.astype(np.float32) - np.float32(mean)) / np.float32(std) for p in pictures]
    feeds = [{"x": n.transpose(2, 0, 1)[None]} for n in normal]
    outputs = [float_run(exposed(net(), ["r", "g"]), feed) for feed in feeds]
    assert statistics.samples == 5
    assert list(statistics.tensors) == ["x", "r", "g", "y"]
    for name, values in {
        "x": [feed["x"] for feed in feeds],
        "y": [output[0] for output in outputs],
        "r": [output[1] for output in outputs],
        "g": [output[2] for output in outputs],
    }.items():
        stacked = np.concatenate(values)
        axes = (0, 2, 3) if stacked.ndim == 4 else 0
        np.testing.assert_allclose(
            statistics.tensors[name].channel_minimum, stacked.min(axis=axes), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            statistics.tensors[name].channel_maximum, stacked.max(axis=axes), rtol=1e-5, atol=1e-6
        )
    assert statistics.tensors["x"].whole.minimum == min(feed["x"].min() for feed in feeds)


def test_observing_twice_gives_the_same_bytes(tmp_path):
    folder = write_samples(tmp_path / "samples", [f["x"] for f in Net(1, 3, 8, 8).samples(3)])
    run(tmp_path, net(), [folder], InputData("x", "Numpy"))
    first = (tmp_path / "statistics.msgpack").read_bytes()
    run(tmp_path, net(), [folder], InputData("x", "Numpy"))
    assert (tmp_path / "statistics.msgpack").read_bytes() == first


def two_inputs() -> onnx.ModelProto:
    n = Net(1, 4, name="a")
    n.input("b", 1, 4)
    n.add("Add", ["a", "b"], "y")
    return n.model("y")


def test_samples_of_several_inputs_are_paired_by_name(tmp_path):
    a = write_samples(tmp_path / "a", [np.full((1, 4), v, np.float32) for v in (1, 2)])
    b = write_samples(tmp_path / "b", [np.full((1, 4), v, np.float32) for v in (10, 20)])
    statistics = run(tmp_path, two_inputs(), [b, a], InputData("b", "Numpy"), InputData("a", "Numpy"))
    assert (statistics.tensors["y"].whole.minimum, statistics.tensors["y"].whole.maximum) == (11, 22)


def test_default_samples_serve_every_input_without_its_own(tmp_path):
    a = write_samples(tmp_path / "a", [np.full((1, 4), v, np.float32) for v in (1, 2)])
    statistics = run(tmp_path, two_inputs(), [a], InputData("", "Numpy"))
    assert (statistics.tensors["y"].whole.minimum, statistics.tensors["y"].whole.maximum) == (2, 4)


def test_an_input_without_samples_is_named(tmp_path):
    a = write_samples(tmp_path / "a", [np.zeros((1, 4), np.float32)])
    with pytest.raises(SampleMismatchError, match="'b'"):
        run(tmp_path, two_inputs(), [a], InputData("a", "Numpy"))


@pytest.mark.parametrize("sample", [np.zeros((1, 3, 8, 9), np.float32), np.zeros((1, 3, 8, 8), np.float64)])
def test_a_sample_of_another_shape_or_dtype_is_refused_with_both(tmp_path, sample):
    folder = write_samples(tmp_path / "samples", [sample])
    with pytest.raises(SampleMismatchError, match=r"'s000' is .* 'x' takes float32 \[1, 3, 8, 8\]"):
        run(tmp_path, net(), [folder], InputData("x", "Numpy"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_tensor_that_is_not_finite_is_named_with_its_sample(tmp_path, value):
    good, bad = np.zeros((1, 3, 8, 8), np.float32), np.zeros((1, 3, 8, 8), np.float32)
    bad[0, 1, 2, 3] = value
    folder = write_samples(tmp_path / "samples", [good, bad])
    with pytest.raises(SampleNotFiniteError, match="tensor 'x' of the float model is not finite for sample 's001'"):
        run(tmp_path, net(), [folder], InputData("x", "Numpy"))


def test_an_overflow_inside_the_model_is_named(tmp_path):
    folder = write_samples(tmp_path / "samples", [np.full((1, 3, 8, 8), 3e38, np.float32)])
    with pytest.raises(SampleNotFiniteError, match="tensor 'r' of the float model"):
        run(tmp_path, net(), [folder], InputData("x", "Numpy"))


def test_an_id_that_the_table_does_not_have_is_told_with_its_sample(tmp_path):
    n = Net(1, 3)
    n.add("Cast", ["x"], "ids", to=onnx.TensorProto.INT64)
    n.add("Gather", [n.weight("table", 5, 4), "ids"], "e")
    n.add("Relu", ["e"], "y")
    folder = write_samples(tmp_path / "samples", [np.array([[0, 1, 4]], np.float32), np.array([[0, 1, 5]], np.float32)])
    with pytest.raises(SampleRefusedError, match=r"on sample 's001': .*idx=5 must be within the inclusive range"):
        run(tmp_path, n.model("y"), [folder], InputData("x", "Numpy"))


def test_an_output_whose_shape_depends_on_data_does_not_stop_observation(tmp_path):
    n = Net(1, 4)
    n.add("NonZero", ["x"], "i")
    n.add("Relu", ["x"], "y")
    n.add("Cast", ["i"], "f", to=onnx.TensorProto.FLOAT)
    model = n.model("y", "f")
    folder = write_samples(tmp_path / "samples", [feeds["x"] for feeds in n.samples()])
    assert list(run(tmp_path, model, [folder], InputData("x", "Numpy")).tensors) == ["x", "y"]


def test_what_is_seen_of_a_sample_is_its_own_while_the_next_is_computed(tmp_path):
    levels = range(1, 9)
    folder = write_samples(tmp_path / "samples", [np.full((1, 4), level, np.float32) for level in levels])
    n = Net(1, 4)
    n.add("Neg", ["x"], "y")
    onnx.save(n.model("y"), tmp_path / "m.onnx")
    float_pass = FloatPass(tmp_path / "m.onnx", ("y",))
    feeds = ((f"{level}", {"x": np.full((1, 4), level, np.float32)}) for level in levels)
    seen = [(name, float(values["x"].max()), float(values["y"].min())) for name, values in one_ahead(float_pass, feeds)]
    assert seen == [(f"{level}", level, -level) for level in levels]
    statistics = run(tmp_path, n.model("y"), [folder], InputData("", "Numpy"))
    assert (statistics.tensors["y"].whole.minimum, statistics.tensors["y"].whole.maximum) == (-8, -1)
