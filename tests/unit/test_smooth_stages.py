"""SmoothQuant's stages: the table of outliers, and pairs that are kept only where the integers gain by them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from quantised import Net, float_run, quantised, write_samples

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.quant.calibrate import CalibrateParams
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.smooth.keep_pairs import KeepPairsParams, keep_pairs
from axbuild.toolchain.smooth.outliers import HEADS, Outliers, outliers, table
from axbuild.toolchain.smooth.pairs import Pair, PairsError, read_pairs, write_pairs
from axbuild.toolchain.smooth.smooth import SmoothParams, smooth
from smooth_world import LOUD, norm_net, write_optimised

INPUTS = (InputData("x", "Numpy"),)


class SmoothWorld:
    """A net observed, and the stages on it, in `folder`."""

    def __init__(self, folder: Path, net: Net, threshold: float = 0.5) -> None:
        self.folder, self.feeds = folder, net.samples(6)
        self.model = net.model("y")
        self.optimised = write_optimised(self.model, folder / "optimized_before")
        self.samples = write_samples(folder / "samples", [feeds["x"] for feeds in self.feeds])
        self.statistics = folder / "before.msgpack"
        quantised(self.model, self.feeds).statistics.write(self.statistics)
        smooth(self.optimised, self.statistics, folder, params=SmoothParams(threshold, 0.6))
        params = ObserveParams(INPUTS)
        observe(folder / "smoothed", folder / "watch.json", [self.samples], folder, params=params)

    def keep(self) -> list[str]:
        """The log."""
        moved = self.folder / "moved.msgpack"
        shutil.move(self.folder / "statistics.msgpack", moved)
        keep_pairs(
            self.optimised,
            self.statistics,
            self.folder / "pairs.json",
            moved,
            [self.samples],
            self.folder,
            params=KeepPairsParams(INPUTS, CalibrateParams()),
        )
        return (self.folder / "smooth_quant.log").read_text().splitlines()


def test_the_second_observation_watches_what_changed_and_no_more(tmp_path: Path) -> None:
    world = SmoothWorld(tmp_path, norm_net())
    assert list(Statistics.read(world.folder / "statistics.msgpack").tensors) == ["norm"]


def test_a_pair_that_helps_is_kept_with_its_statistics(tmp_path: Path) -> None:
    world = SmoothWorld(tmp_path, norm_net())
    log = world.keep()
    assert log[-1].startswith("1 of 1 tensors smoothed; whole model: output error ")
    before, after = (Statistics.read(path) for path in (world.statistics, tmp_path / "statistics.msgpack"))
    assert after.tensors["norm"].whole.maximum < before.tensors["norm"].whole.maximum / 4
    assert after.tensors["a"].whole.maximum == before.tensors["a"].whole.maximum
    kept = onnx.load(tmp_path / "optimized/optimized.onnx")
    for feeds in world.feeds:
        assert np.array_equal(float_run(kept, feeds)[0], float_run(world.model, feeds)[0])


def test_a_pair_that_harms_leaves_the_model_and_its_statistics_as_they_were(tmp_path: Path) -> None:
    """A list of pairs whose factors make the loud channel louder."""
    world = SmoothWorld(tmp_path, norm_net())
    (pair,) = read_pairs(tmp_path / "pairs.json")
    write_pairs([replace(pair, exponents=tuple(-e for e in pair.exponents))], tmp_path / "pairs.json")
    statistics = Statistics.read(tmp_path / "statistics.msgpack")
    tensor = statistics.tensors["norm"]
    loud = replace(tensor.whole, minimum=-3e4, maximum=3e4)
    channels = np.full(8, 3e4, np.float32)
    worse = replace(tensor, whole=loud, channel_minimum=-channels, channel_maximum=channels)
    Statistics(statistics.samples, {"norm": worse}).write(tmp_path / "statistics.msgpack")
    log = world.keep()
    assert log[1].endswith(", left as it was")
    assert log[-1] == "0 of 1 tensors smoothed"
    assert (tmp_path / "optimized/optimized.onnx").read_bytes() == onnx.load(
        world.optimised / "optimized.onnx"
    ).SerializeToString()
    assert (tmp_path / "statistics.msgpack").read_bytes() == world.statistics.read_bytes()


def test_a_model_without_pairs_goes_through(tmp_path: Path) -> None:
    net = Net(1, 6, 8)
    net.add("Relu", ["x"], "y")
    assert SmoothWorld(tmp_path, net).keep()[-1] == "0 of 0 tensors smoothed"


def test_levels_are_bits_below_the_loudest_channel(tmp_path: Path) -> None:
    net = norm_net()
    statistics = quantised(net.model("y"), net.samples(4)).statistics
    row = Outliers.of("norm", statistics.tensors["norm"])
    loud = statistics.tensors["norm"].channel_maximum[LOUD]
    quiet = [float(c) for i, c in enumerate(statistics.tensors["norm"].channel_maximum) if i != LOUD]
    assert max(quiet) < loud / 8
    assert row.sparse == 0.0
    assert row.ratios[0] == 7 / 8
    assert sorted(row.ratios, reverse=True) == list(row.ratios)
    assert outliers(statistics)[0].tensor == "norm"


def test_a_long_name_is_cut_in_the_table() -> None:
    lines = table([Outliers("n" * 60, 0.25, (0.5, 0.25, 0.0, 0.0))])
    assert lines[0] == "Ratio of outliers in tensor【 level=Log(Max_Pertensor/Max_Perchannel) 】"
    assert re.split(" {2,}", lines[1]) == list(HEADS)
    assert lines[2].split() == [f"{'n' * 37}...", "0.2500", "0.5000", "0.2500", "0.0000", "0.0000"]


@pytest.mark.parametrize("content", ["", "{}", '{"format": "axbuild-pairs/1", "pairs": [{"tensor": "x"}]}'])
def test_a_damaged_list_of_pairs_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "pairs.json").write_text(content)
    with pytest.raises(PairsError, match="the list of pairs is damaged"):
        read_pairs(tmp_path / "pairs.json")


def test_a_list_of_pairs_reads_back(tmp_path: Path) -> None:
    pairs = [Pair("x", 2, ("a", "b"), True, (0, 3, -1))]
    write_pairs(pairs, tmp_path / "pairs.json")
    assert read_pairs(tmp_path / "pairs.json") == pairs
