"""Weights rounded by samples: what a weight meets, errors that cancel, and a model that has to gain by it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from quantised import Feeds, Net, float_run, loaded, quantised, sqnr, write_samples

from axbuild.errors import AxNote
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.kinds.codes import Edge
from axbuild.toolchain.ops.fused import fused_nodes
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrated
from axbuild.toolchain.quant.calibrators import expected_damage
from axbuild.toolchain.quant.precision import LayerConfig
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.rounding.cancel import cancelling
from axbuild.toolchain.rounding.choose_ranges import ChooseRangesParams, choose_ranges
from axbuild.toolchain.rounding.judge import OutputJudge
from axbuild.toolchain.rounding.met import Met
from axbuild.toolchain.rounding.round_weights import RoundWeightsParams, round_weights
from axbuild.toolchain.tune.passes import coded_outputs

INPUTS = (InputData("x", "Numpy"),)
FOUR_BITS = (LayerConfig(op_types=("Conv",), weight_data_type="S4"),)


@pytest.mark.parametrize(
    ("op", "shape", "weight", "attributes"),
    [
        ("Conv", (1, 4, 7, 6), (6, 4, 3, 3), {}),
        ("Conv", (1, 4, 7, 6), (6, 4, 3, 2), {"pads": [0, 2, 1, 0], "strides": [2, 1]}),
        ("Conv", (2, 4, 7, 6), (6, 2, 3, 3), {"group": 2, "pads": [1, 1, 1, 1]}),
        ("Conv", (1, 4, 7, 6), (4, 1, 3, 3), {"group": 4, "pads": [2, 2, 2, 2], "dilations": [2, 2]}),
        ("ConvTranspose", (1, 4, 5, 6), (4, 6, 2, 2), {"strides": [2, 2]}),
        ("ConvTranspose", (1, 4, 5, 6), (4, 3, 3, 3), {"group": 2, "pads": [1, 0, 0, 1], "strides": [2, 3]}),
        ("Gemm", (5, 4), (4, 3), {"alpha": 0.5}),
        ("Gemm", (4, 5), (3, 4), {"transA": 1, "transB": 1}),
        ("MatMul", (2, 5, 4), (4, 3), {}),
    ],
    ids=str,
)
def test_a_weight_gives_the_output_of_what_it_meets(op, shape, weight, attributes):
    net = Net(*shape)
    net.add(op, ["x", net.constant("w", net.rng.normal(size=weight))], "y", **attributes)
    feeds = {"x": net.rng.normal(size=shape).astype(np.float32)}
    (y,) = float_run(net.model("y"), feeds)
    (node,) = loaded(net.model("y")).graph
    known = op_of(node)
    assert known is not None
    exact, axis = known.weight(node), known.channel_axis(node, 0)
    by_place = np.moveaxis(y, axis, -1).reshape(-1, len(exact))
    places = np.array([0, 1, len(by_place) // 2, len(by_place) - 1])
    met = known.columns(node, feeds["x"], places)
    rows = exact.reshape(len(met), -1, met.shape[2])
    found = (met @ rows.swapaxes(1, 2)).swapaxes(0, 1).reshape(len(places), -1)
    assert found == pytest.approx(by_place[places], rel=1e-5, abs=1e-5)


def together(*rows: tuple[float, ...]) -> np.ndarray:
    """The covariance of inputs, of one group."""
    return np.cov(np.array(rows, float).T, bias=True).reshape(1, len(rows[0]), len(rows[0]))


def test_what_one_element_loses_is_taken_up_by_one_that_moves_with_it() -> None:
    """Two inputs that are always equal: 0.4 and 0.4 are 0.8 of either, which is nearest to one code."""
    covariance = together((-2, -2), (-1, -1), (1, 1), (2, 2))
    assert cancelling(np.array([[[0.4, 0.4]]]), np.ones((1, 1)), 127, covariance).tolist() == [[[0.0, 1.0]]]


def test_elements_that_do_not_move_together_are_rounded_by_themselves() -> None:
    covariance = together((1, 1), (1, -1), (-1, 1), (-1, -1))
    weight = np.array([[[0.4, 0.4], [1.6, -0.7]]])
    assert cancelling(weight, np.ones((1, 2)), 127, covariance).tolist() == [[[0.0, 0.0], [2.0, -1.0]]]


def test_groups_are_rounded_each_by_its_own_inputs() -> None:
    covariance = np.concatenate([together((-1, -1), (1, 1)), together((-1, 1), (1, -1))])
    weight = np.full((2, 1, 2), 0.4)
    assert cancelling(weight, np.ones((2, 1)), 127, covariance).tolist() == [[[0.0, 1.0]], [[0.0, 0.0]]]


def test_codes_stay_within_their_type() -> None:
    assert cancelling(np.array([[[9.0]]]), np.ones((1, 1)), 7, np.ones((1, 1, 1))).tolist() == [[[7.0]]]


def test_inputs_that_never_vary_leave_rounding_to_nearest() -> None:
    assert cancelling(np.array([[[0.4, 0.6]]]), np.ones((1, 1)), 127, np.zeros((1, 2, 2))).tolist() == [[[0.0, 1.0]]]


def test_what_varies_little_around_a_large_value_is_told_apart() -> None:
    """Two inputs around 1000: their float32 squares have steps of a sixteenth, and they vary by a thousandth."""
    net = Net(64, 2)
    net.add("MatMul", ["x", net.constant("w", np.ones((2, 1)))], "y")
    fused = next(iter(fused_nodes(loaded(net.model("y")).graph)))
    values = np.repeat(1000 + net.rng.normal(0, 1e-3, (64, 1)), 2, axis=1).astype(np.float32)
    met = Met(fused)
    for part in (values[:32], values[32:]):
        met.see(part[np.newaxis])
    exact = values.astype(np.float64)
    assert met.means == pytest.approx(exact.mean(axis=0)[np.newaxis], rel=1e-9)
    assert met.covariance[0] == pytest.approx(np.cov(exact.T, bias=True), rel=1e-3)


def test_a_weight_that_reads_an_output_of_the_model_is_rounded_too(tmp_path: Path) -> None:
    net = Net(1, 2, 8, 8)
    net.conv("x", "inner", 4, 2)
    net.conv("inner", "y", 4, 4)
    start, found, _ = rounded(net.model("y", "inner"), samples_of(net, 8), tmp_path)
    assert [site.nodes for site in found.sites] == [site.nodes for site in start.sites]


def mixing() -> Net:
    """Channels that move together, as behind a convolution to more channels than it has, mixed and mixed again."""
    net = Net(1, 2, 8, 8)
    net.conv("x", "wide", 24, 2)
    net.add("Relu", ["wide"], "even")
    net.conv("even", "narrow", 8, 24)
    net.conv("narrow", "y", 4, 8)
    return net


def samples_of(net: Net, count: int) -> list[Feeds]:
    return [{"x": net.rng.normal(0.5, 1, (1, 2, 8, 8)).astype(np.float32)} for _ in range(count)]


def rounded(model: onnx.ModelProto, samples: list[Feeds], folder: Path) -> tuple[Scheme, Scheme, str]:
    """The scheme as calibrated, and as the stage has it, with what it said."""
    start = quantised(model, samples, rules=FOUR_BITS).scheme
    onnx.save(model, folder / "optimized.onnx")
    start.write(folder / "scheme.msgpack")
    (out := folder / "out").mkdir()
    files = write_samples(folder / "samples", [feeds["x"] for feeds in samples])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        params = RoundWeightsParams(INPUTS)
        round_weights(folder / "optimized.onnx", folder / "scheme.msgpack", [files], out, params=params)
    return start, Scheme.read(out / "scheme.msgpack"), str(caught[-1].message)


def test_a_model_comes_nearer_to_the_float_one_on_other_samples(tmp_path: Path) -> None:
    net = mixing()
    model, others = net.model("y"), samples_of(net, 8)
    start, found, said = rounded(model, samples_of(net, 16), tmp_path)
    before, after = (decibels(model, scheme, others) for scheme in (start, found))
    assert after > before + 2.0
    assert "weights rounded by" in said
    assert not said.endswith("as calibrated")
    assert [site.reads for site in found.sites] == [site.reads for site in start.sites]


def decibels(model: onnx.ModelProto, scheme: Scheme, samples: list[Feeds]) -> float:
    inputs = {"x": np.stack([feeds["x"] for feeds in samples])}
    coded = coded_outputs(loaded(model).graph, scheme, inputs)
    return sqnr(np.stack([float_run(model, feeds)[0] for feeds in samples]), coded["y"])


def test_a_model_that_does_not_gain_stays_as_calibrated(tmp_path: Path) -> None:
    net = Net(1, 1, 4, 4)
    net.add("Conv", ["x", net.constant("w", np.ones((1, 1, 1, 1)))], "y", kernel_shape=[1, 1])
    start, _, said = rounded(
        net.model("y"), [{"x": np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 1, 4, 4)}], tmp_path
    )
    assert said.endswith("so they stay as calibrated")
    start.write(tmp_path / "again.msgpack")
    assert (tmp_path / "out/scheme.msgpack").read_bytes() == (tmp_path / "again.msgpack").read_bytes()


@pytest.mark.parametrize(
    ("errors", "best"),
    [
        ((1e-3, 1e-3, 1e-3, 1e-3), 4),
        ((1e-3, 5e-4, 4e-4, 2e-3), 2),
        ((1e-3, 9e-4, 9e-4, 9e-4), 4),  # half a dB may be chance
        ((1e-3, 5e-4, 5e-4, 5e-4), 1),
    ],
)
def test_what_is_cut_off_counts_as_often_as_clearly_gains(tmp_path, monkeypatch, errors, best):
    """errors: of the model with cut off values counted 4, 1, 2 and 8 times."""
    net = Net(1, 1, 64, 64)
    net.conv("x", "y", 2, 1)
    model, samples = net.model("y"), [{"x": net.rng.laplace(size=(1, 1, 64, 64)).astype(np.float32)} for _ in range(16)]
    onnx.save(model, tmp_path / "optimized.onnx")
    known = quantised(model, samples).statistics
    known.write(tmp_path / "statistics.msgpack")
    files = write_samples(tmp_path / "samples", [feeds["x"] for feeds in samples])
    given = iter(errors)
    monkeypatch.setattr(OutputJudge, "error", lambda self, scheme: next(given))
    auto = CalibrateParams("Auto")
    file, params = tmp_path / "optimized.onnx", ChooseRangesParams(INPUTS, auto)
    with pytest.warns(AxNote, match=f"what ranges cut off counts {best} times \\(4: 30.00 dB SQNR, 1: "):
        choose_ranges(file, tmp_path / "statistics.msgpack", [files], tmp_path, params=params)
    wanted = {count: calibrated(loaded(model).graph, known, auto, expected_damage(count)) for count in (1, 2, 4, 8)}
    assert edges(Scheme.read(tmp_path / "scheme.msgpack")) == edges(wanted[best])
    assert edges(wanted[1]) != edges(wanted[4])


def edges(scheme: Scheme) -> list[dict[str, Edge]]:
    return [dict(site.reads) for site in scheme.sites]
