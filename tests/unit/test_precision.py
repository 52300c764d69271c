"""What quantisation cost: measured side by side, judged by limits that can fail."""

import json
import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from axbuild.errors import AxError, AxNote, AxWarning
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.likeness import snr_db, sums_of
from axbuild.toolchain.precision.channels import ChannelSums
from axbuild.toolchain.precision.judge import JudgeParams, judge, verdict_of
from axbuild.toolchain.precision.measure import MeasureParams, measure
from axbuild.toolchain.precision.measured import Measured, SideBySide, read, write
from axbuild.toolchain.precision.side import UnmeasuredError


def row(sample, exact, coded, output="y"):
    a, b = np.asarray(exact, np.float32), np.asarray(coded, np.float32)
    return Measured(sample, output, sums_of(a, b), bool(a.argmax() == b.argmax()))


def measured(*rows):
    """With two channels each, the second of which is worse."""
    return SideBySide(list(rows), {one.output: [0.99, 0.9] for one in rows})


ROWS = [row("a", [3, 4], [3, 4]), row("b", [3, 4], [4, 3])]


def test_the_sentence_of_a_verdict_that_passes_has_the_lowest_figures():
    verdict = verdict_of(measured(*ROWS), JudgeParams(min_cosine=0.9))
    assert verdict["passed"] is True
    assert verdict["sentence"] == (
        "lowest cosine 0.96 ('y'), 0.9 in channel 1 of 'y' alone, SNR 14.0 dB, "
        "50.0% of the answers the same on 2 samples"
    )
    figures = {"cosine": 0.96, "lowest_sample": "b", "snr_db": 13.9794, "agreement": 0.5}
    assert verdict["outputs"] == {"y": figures | {"channel_cosine": 0.9, "lowest_channel": 1}}


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"min_cosine": 0.97}, "sample 'b', output 'y': the cosine is 0.96, below 0.97"),
        ({"min_snr_db": 20}, "output 'y': the SNR is 14.0 dB, below 20 dB"),
        (
            {"min_channel_cosine": 0.95},
            "output 'y', channel 1: the cosine is 0.9, below 0.95 (1 of 2 channels are)",
        ),
        ({"min_agreement": 0.9}, "output 'y': 50.0% of the answers are the float model's, below 90.0%"),
    ],
)
def test_each_limit_can_fail(limits, sentence):
    verdict = verdict_of(measured(*ROWS), JudgeParams(**limits))
    assert verdict["passed"] is False
    assert verdict["sentence"] == sentence


def test_a_value_that_is_not_finite_fails_every_cosine_and_can_be_written(tmp_path):
    write(measured(row("a", [1.0], [math.nan])), tmp_path)
    with pytest.warns(AxNote, match="against the float model: sample 'a', output 'y': a value is not finite, below -1"):
        judge(tmp_path / "precision.json", tmp_path, params=JudgeParams(min_cosine=-1))
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["passed"] is False
    assert verdict["outputs"]["y"]["cosine"] == "-inf"


def test_which_of_several_outputs_is_the_answer_must_be_said():
    rows = [*ROWS, row("a", [1, 2], [1, 2], "z"), row("b", [1, 2], [1, 2], "z")]
    with pytest.raises(AxError, match="AX471: min_agreement needs the output whose largest value is the answer"):
        verdict_of(measured(*rows), JudgeParams(min_agreement=1))
    with pytest.raises(AxError, match="AX471: logits names 'x'; the model's outputs are y, z"):
        verdict_of(measured(*rows), JudgeParams(logits="x"))
    assert verdict_of(measured(*rows), JudgeParams(min_agreement=1, logits="z"))["passed"] is True
    assert verdict_of(measured(*rows), JudgeParams(min_agreement=1, logits="y"))["passed"] is False


@pytest.mark.parametrize(
    ("shape", "channels"), [((1, 3, 4, 5), 3), ((1, 6, 3), 3), ((2, 3), 3), ((3,), 1), ((), 1), ((1, "n"), 1)]
)
def test_channels_are_compared_by_themselves_over_all_samples(shape, channels):
    rng = np.random.default_rng(4)
    drawn = [tuple(2 if size == "n" else size for size in shape) for _ in range(3)]
    pairs = [(rng.normal(size=one), rng.normal(size=one)) for one in drawn]
    sums = ChannelSums(shape)
    for a, b in pairs:
        sums.add(a, b)
    axis = 1 if len(shape) == 4 else -1
    for channel, cosine in enumerate(sums.cosines()):
        a, b = (
            np.concatenate([x.reshape(-1) if channels == 1 else x.take(channel, axis).reshape(-1) for x in side])
            for side in zip(*pairs, strict=True)
        )
        assert cosine == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-8)
    assert len(sums.cosines()) == channels


def test_a_silenced_channel_a_constant_one_and_one_that_is_not_finite_have_their_cosines():
    sums = ChannelSums((1, 3))
    sums.add(np.array([[5.0, 0.0, 1.0]]), np.array([[0.0, 0.0, np.nan]]))
    sums.add(np.array([[1.0, 0.0, 1.0]]), np.array([[0.0, 0.0, 1.0]]))
    assert sums.cosines() == [0.0, 1.0, -1.0]


def test_energies_become_decibels():
    assert snr_db(100.0, 1.0) == 20.0
    assert snr_db(1.0, 0.0) == math.inf
    assert snr_db(0.0, 1.0) == -math.inf


def scaled(path, factor, output="y", shape=(1, 2)):
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape)) for name in ("x", output)]
    factors = helper.make_tensor("k", onnx.TensorProto.FLOAT, [2], factor)
    graph = helper.make_graph([helper.make_node("Mul", ["x", "k"], [output])], "g", info[:1], info[1:], [factors])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def test_both_models_run_on_the_same_samples(tmp_path):
    scaled(tmp_path / "float.onnx", [1.0, 1.0])
    scaled(tmp_path / "quant.onnx", [1.0, 0.5])
    (tmp_path / "samples").mkdir()
    np.save(tmp_path / "samples" / "a.npy", np.array([[3.0, 4.0]], np.float32))
    data = MeasureParams((InputData("", "Numpy"),))
    measure(tmp_path / "float.onnx", tmp_path / "quant.onnx", [tmp_path / "samples"], [], tmp_path, params=data)
    both = read(tmp_path / "precision.json")
    assert both.channels == {"y": [1.0, 1.0]}
    (found,) = both.rows
    assert (found.sample, found.output, found.agrees) == ("a", "y", False)
    assert vars(found.sums) == {"aa": 25.0, "bb": 13.0, "ab": 17.0, "dd": 4.0}
    scaled(tmp_path / "other.onnx", [1.0, 0.5], "z")
    with pytest.raises(UnmeasuredError, match="the float model has the outputs y, and the quantised one z"):
        measure(tmp_path / "float.onnx", tmp_path / "other.onnx", [tmp_path / "samples"], [], tmp_path, params=data)


def test_samples_that_calibrated_are_counted(tmp_path):
    scaled(tmp_path / "float.onnx", [1.0, 1.0])
    for folder, values in (("samples", (1.0, 2.0, 3.0)), ("calibration", (3.0, 4.0, 1.0))):
        (tmp_path / folder).mkdir()
        for number, value in enumerate(values):
            np.save(tmp_path / folder / f"{folder}{number}.npy", np.full((1, 2), value, np.float32))
    model, data = tmp_path / "float.onnx", MeasureParams((InputData("", "Numpy"),))
    with pytest.warns(AxWarning, match="AX472: 2 of 3 samples calibrated the model as well"):
        measure(model, model, [tmp_path / "samples"], [tmp_path / "calibration"], tmp_path, params=data)


def test_samples_with_one_input_in_common_are_other_samples(tmp_path, recwarn):
    """Sentences of one length have the same mask."""
    pairs = helper.make_graph(
        [helper.make_node("Add", ["x", "mask"], ["y"])],
        "pairs",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "mask")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
    )
    onnx.save(helper.make_model(pairs, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "m.onnx")
    folders = {}
    for part, value in (("samples", 1.0), ("calibration", 2.0)):
        for name, content in (("x", value), ("mask", 0.0)):
            folders[part, name] = tmp_path / part / name
            folders[part, name].mkdir(parents=True)
            np.save(folders[part, name] / "a.npy", np.full((1, 2), content, np.float32))
    data = MeasureParams((InputData("x", "Numpy"), InputData("mask", "Numpy")))
    samples, calibration = ([folders[part, name] for name in ("x", "mask")] for part in ("samples", "calibration"))
    measure(tmp_path / "m.onnx", tmp_path / "m.onnx", samples, calibration, tmp_path, params=data)
    assert [str(warning.message) for warning in recwarn if warning.category is AxWarning] == []
    with pytest.warns(AxWarning, match="AX472: 1 of 1 sample calibrated the model as well"):
        measure(tmp_path / "m.onnx", tmp_path / "m.onnx", samples, samples, tmp_path, params=data)
