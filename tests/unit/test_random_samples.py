"""Samples that are made up for a check: their ranges, their form, and that they are the same every time."""

import numpy as np
import pytest
from npu_world import support_of
from onnx import TensorProto
from quantised import Net, quantised

from axbuild.errors import AxWarning
from axbuild.toolchain.axmodel.feed import Feed, files_in
from axbuild.toolchain.axmodel.random_samples import RandomSamplesParams, random_samples
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.quant.outline import write_outline
from axbuild.toolchain.quant.sound import sound_outline


def processor(dtype, layout, mean=(), std=()):
    return InputProcessor("x", "RGB", "RGB", dtype, layout, mean, std)


@pytest.fixture(scope="module")
def made():
    n = Net(1, 3, 6, 5)
    n.conv("x", "a", 4, 3)
    n.input("ids", 1, 7, kind=TensorProto.INT64)
    n.add("Gather", [n.weight("table", 9, 4), "ids"], "rows")
    samples = [one | {"ids": np.arange(7, dtype=np.int64).reshape(1, 7)} for one in n.samples()]
    return quantised(n.model("a", "rows"), samples)


def drawn(made, folder, *processors, count=3):
    """input -> its samples, and what was said."""
    folder.mkdir()
    (folder / "q.onnx").write_bytes(made.content)
    write_outline(sound_outline(made.model), folder / "outline")
    partition(folder / "q.onnx", folder / "outline", folder, params=PartitionParams(support_of(), processors))
    with pytest.warns(AxWarning) as warned:
        random_samples(folder / "q.onnx", folder / "partition", folder, params=RandomSamplesParams(count, processors))
    feed = Feed(files_in(folder / "samples", list(Partition.read(folder / "partition").inputs)))
    rows = [sample for _, sample in feed]
    said = [str(one.message) for one in warned if "AX592" in str(one.message)]
    return {name: np.array([row[name] for row in rows]) for name in ("x", "ids")}, said


def grid(made):
    return next(made.kind(node.name).y for node in made.model.graph.node if node.input[0] == "x")


def test_floats_spread_over_the_calibrated_range_and_ids_are_small(made, tmp_path):
    found, (said,) = drawn(made, tmp_path / "a", count=50)
    low, high = grid(made).real(0), grid(made).real(255)
    assert found["x"].dtype == np.float32
    assert found["x"].shape == (50, 1, 3, 6, 5)
    assert low <= found["x"].min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < found["x"].max() <= high
    assert abs(found["x"].mean() - (low + high) / 2) < 0.05 * (high - low)
    assert set(found["ids"].ravel()) == {0, 1}
    ranges = f"'x' from {low:.4g} to {high:.4g}, 'ids' 0 and 1"
    assert (
        f"compared on 50 random samples, since the quantised model came without its calibration data: {ranges}" in said
    )


def test_they_are_the_same_every_time_and_each_another(made, tmp_path):
    one, other = (drawn(made, tmp_path / name)[0] for name in "ab")
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert len({sample.tobytes() for sample in one["x"]}) == 3


@pytest.mark.parametrize(("layout", "axis"), [("NCHW", 2), ("NHWC", 4)])
def test_mean_and_std_are_undone_channel_by_channel(made, tmp_path, layout, axis):
    mean, std = (10.0, 200.0, -3000.0), (2.0, 0.5, 64.0)
    found, _ = drawn(made, tmp_path / "a", processor("FP32", layout, mean, std), count=40)
    low, high = grid(made).real(0), grid(made).real(255)
    for channel in range(3):
        values = (found["x"].take(channel, axis).astype(np.float64) - mean[channel]) / std[channel]
        assert low - 1e-3 <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high + 1e-3


def test_bytes_are_all_bytes(made, tmp_path):
    found, (said,) = drawn(made, tmp_path / "a", processor("U8", "NHWC", (1.0,), (2.0,)), count=40)
    assert (found["x"].dtype, found["x"].shape) == (np.uint8, (40, 1, 6, 5, 3))
    assert len(set(found["x"].ravel())) == 256
    assert "'x' of all values" in said


def test_an_input_that_nothing_quantises_is_from_the_normal_distribution(tmp_path):
    n = Net(1, 3, 8, 8)
    n.add("Mod", ["x", n.constant("steps", np.full((1, 3, 8, 8), 2.0))], "m", fmod=1)
    n.conv("m", "y", 4, 3)
    result = quantised(n.model("y"), n.samples())
    (tmp_path / "q.onnx").write_bytes(result.content)
    write_outline(sound_outline(result.model), tmp_path / "outline")
    partition(tmp_path / "q.onnx", tmp_path / "outline", tmp_path, params=PartitionParams(support_of(), ()))
    with pytest.warns(AxWarning, match="'x' from the normal distribution"):
        random_samples(tmp_path / "q.onnx", tmp_path / "partition", tmp_path, params=RandomSamplesParams(8))
    values = np.array([np.load(file) for file in (tmp_path / "samples/x").iterdir()])
    assert 0.9 < values.std() < 1.1
