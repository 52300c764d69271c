"""Attributes for transformers through the command line: what runs, what is said, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from quantised import Net

from net_workspace import AXMODEL, CHECK, PRECISION, QUANT, net_workspace
from zoo_workspace import Outcome, Zoo

LEVEL = "transformer_opt_level = 1\n"
SMOOTH = "enable_smooth_quant = true\n"
BUILD = f"{QUANT}{LEVEL}{SMOOTH}{AXMODEL}{CHECK}{PRECISION}"
FOLDER = "axbuild-out/m/quant/quant"
SIZE, TOKENS = 16, 8
LOUD = 5


def attention_block(net: Net, x: str, name: str) -> str:
    """One block of a transformer: norm, attention, sum, norm, two layers with Gelu, sum."""
    for part in ("first", "second"):
        gain = np.ones(SIZE, np.float32)
        gain[LOUD] = 80.0
        net.constant(f"{name}_{part}_gain", gain)
        net.constant(f"{name}_{part}_shift", net.rng.normal(size=SIZE).astype(np.float32))
    net.add("LayerNormalization", [x, f"{name}_first_gain", f"{name}_first_shift"], f"{name}_norm", axis=-1)
    for role in ("q", "k", "v", "o"):
        net.constant(f"{name}_w{role}", net.rng.normal(size=(SIZE, SIZE), scale=0.1).astype(np.float32))
    for role in ("q", "k", "v"):
        net.add("MatMul", [f"{name}_norm", f"{name}_w{role}"], f"{name}_{role}")
    net.add("Transpose", [f"{name}_k"], f"{name}_turned", perm=[0, 2, 1])
    net.add("MatMul", [f"{name}_q", f"{name}_turned"], f"{name}_scores")
    net.add("Softmax", [f"{name}_scores"], f"{name}_shares", axis=-1)
    net.add("MatMul", [f"{name}_shares", f"{name}_v"], f"{name}_mixed")
    net.add("MatMul", [f"{name}_mixed", f"{name}_wo"], f"{name}_out")
    net.add("Add", [x, f"{name}_out"], f"{name}_sum")
    inputs = [f"{name}_sum", f"{name}_second_gain", f"{name}_second_shift"]
    net.add("LayerNormalization", inputs, f"{name}_again", axis=-1)
    net.constant(f"{name}_w1", net.rng.normal(size=(SIZE, 32), scale=0.1).astype(np.float32))
    net.constant(f"{name}_w2", net.rng.normal(size=(32, SIZE), scale=0.1).astype(np.float32))
    net.add("MatMul", [f"{name}_again", f"{name}_w1"], f"{name}_wide")
    net.add("Gelu", [f"{name}_wide"], f"{name}_gelu")
    net.add("MatMul", [f"{name}_gelu", f"{name}_w2"], f"{name}_narrow")
    return net.add("Add", [f"{name}_sum", f"{name}_narrow"], f"{name}_y")


def workspace(root: Path, build: str = BUILD) -> Zoo:
    net = Net(1, TOKENS, SIZE)
    attention_block(net, "x", "one")
    attention_block(net, "one_y", "two")
    return net_workspace(root, build, net.model("two_y"), (sample["x"] for sample in net.samples(8)))


@pytest.fixture(scope="module")
def smoothed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    zoo = workspace(tmp_path_factory.mktemp("smoothed") / "workspace")
    return zoo, zoo.build("//m:quant")


def decibels(zoo: Zoo) -> float:
    """Of the precision check on the calibration samples."""
    done = zoo.run("build", "//m:precision")
    return float(done.out.partition("SNR ")[2].partition(" dB")[0])


def test_outliers_move_into_the_weights_and_the_log_says_so(smoothed: tuple[Zoo, Outcome]) -> None:
    zoo, first = smoothed
    log = (zoo.root / FOLDER / "smooth_quant.log").read_text().splitlines()
    assert log[0] == "Analysing Smooth Quantization Error(Phrase 1)"
    assert sum(line.endswith(", smoothed") for line in log) >= 2
    assert log[-2] == "Analysing Smooth Quantization Error(Phrase 2)"
    assert " tensors smoothed; whole model: output error " in log[-1]
    table = (zoo.root / FOLDER / "outliers.txt").read_text().splitlines()
    assert table[0] == "Ratio of outliers in tensor【 level=Log(Max_Pertensor/Max_Perchannel) 】"
    assert table[1].split("  ")[0] == "Op outputs"
    norm = next(line for line in table if line.startswith("one_norm ")).split()
    assert float(norm[2]) >= 0.9  # all channels but one are an eighth of it, or less
    assert "Enable Smooth Quant, this pass is used for outlier activation." in first.out
    assert zoo.build("//m:quant").executed == []


def test_smoothing_brings_the_whole_model_nearer(smoothed: tuple[Zoo, Outcome]) -> None:
    zoo = smoothed[0]
    ours = decibels(zoo)
    with zoo.edited("m/BUILD.toml", SMOOTH, ""):
        assert decibels(zoo) < ours


def test_what_is_compiled_is_the_smoothed_model_to_the_last_bit(smoothed: tuple[Zoo, Outcome]) -> None:
    assert "observe" not in smoothed[0].build("//m:check").executed


def test_another_strength_observes_only_what_it_changes(smoothed: tuple[Zoo, Outcome]) -> None:
    zoo = smoothed[0]
    zoo.build("//m:quant")
    with zoo.edited("m/BUILD.toml", SMOOTH, f"{SMOOTH}smooth_quant_strength = 0.9\n"):
        done = zoo.build("//m:quant")
    actions = [event["action"] for event in done.finished("executed")]
    expected = ["smooth", "observe_smoothed", "merge_smoothed", "keep_pairs", "calibrate", "quantize"]
    assert actions == expected


def test_another_method_judges_the_pairs_anew_and_observes_nothing(smoothed: tuple[Zoo, Outcome]) -> None:
    zoo = smoothed[0]
    with zoo.edited("m/BUILD.toml", SMOOTH, f'{SMOOTH}method = "MSE"\n'):
        executed = zoo.build("//m:quant").executed
    assert "keep_pairs" in executed
    assert not {"observe", "merge", "smooth"} & set(executed)


def test_each_level_builds_and_says_its_number(smoothed: tuple[Zoo, Outcome]) -> None:
    zoo = smoothed[0]
    found = {}
    for level in (0, 1, 2):
        with zoo.edited("m/BUILD.toml", f"{LEVEL}{SMOOTH}", f"transformer_opt_level = {level}\n"):
            assert f"Transformer optimize level: {level}" in zoo.build("//m:quant").out
            found[level] = decibels(zoo)
            assert not {"observe", "merge"} & set(zoo.build("//m:check").executed)
    assert found[1] > found[0]
    assert found[2] > found[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("transformer_opt_level = 3", "transformer_opt_level takes a whole number from 0 to 2, got 3"),
        ("smooth_quant_threshold = 2", "smooth_quant_threshold takes a number from 0 to 1, got 2"),
        ("smooth_quant_strength = -0.1", "smooth_quant_strength takes a number from 0 to 1, got -0.1"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, line: str, said: str) -> None:
    done = workspace(tmp_path / "workspace", BUILD.replace(f"{LEVEL}{SMOOTH}", f"{line}\n")).run("build", "//m:quant")
    assert done.code == 2
    assert said in done.err
