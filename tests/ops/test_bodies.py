"""The ONNX bodies, with onnxruntime's optimiser off and on, against the oracle: not one element may differ."""

import numpy as np
import onnx
import pytest
from bodies import LEVELS, kind_model, run_body, run_chain, session
from kind_cases import CASES, conv, fully_connected
from oracle import oracle

from axbuild.toolchain.kinds.arithmetic import add_multipliers, multiplier_of, multipliers_of, softmax_table
from axbuild.toolchain.kinds.binary import Add
from axbuild.toolchain.kinds.border import Dequantize, Quantize
from axbuild.toolchain.kinds.mac import Conv, FullyConnected
from axbuild.toolchain.kinds.reduce import GlobalAveragePool
from axbuild.toolchain.kinds.registry import KINDS, write_node
from axbuild.toolchain.kinds.table import Softmax


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_body_and_oracle_agree_to_the_last_bit(case):
    inputs = case.inputs()
    expected = oracle(case.kind, *inputs)
    for level in LEVELS:
        assert same_bits(run_body(case.kind, *inputs, level=level), expected), level


def test_every_kind_has_a_case():
    assert {case.kind.op_type for case in CASES} == set(KINDS)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_model_of_a_kind_is_valid_onnx(case):
    onnx.checker.check_model(kind_model(case.kind, *case.inputs()), full_check=True)


def test_the_cases_of_split_reductions_are_split():
    overloads = {str(case): case.kind.body().overload for case in CASES if isinstance(case.kind, Conv | FullyConnected)}
    assert overloads["Conv split in two"] == "split2"
    assert overloads["Conv split unevenly"] == "split3"
    assert overloads["Conv split inside groups"] == "groups_split2"
    assert overloads["Conv kernel of 23 x 23"] == "groups_halves_split1"
    assert overloads["Conv weights in halves"] == "halves_split1"
    assert overloads["Conv weights in halves, split"] == "halves_split2"
    assert overloads["FullyConnected sum just below 2^24"] == ""
    assert overloads["FullyConnected sum just above 2^24"] == "split2"


def test_an_unsplit_float32_sum_would_have_been_wrong():
    """What the split is for: the same codes summed by one float32 product lose bits."""
    kind = fully_connected(1, 1200, x_zero=0, fill=127)
    x = np.full((1, 1200), 255, np.uint8)
    x[0, 0] = 254
    exact = int((x.astype(np.int64) * 127).sum())
    assert exact % 2 == 1
    assert exact > 2**24
    assert float(np.float32(exact)) != exact
    narrow = FullyConnected(kind.weight, -np.array([exact - 1], np.int32), np.array([1.0]), 0, 100, 0, 255)
    assert run_body(narrow, x)[0, 0] == 101


@pytest.mark.parametrize("seed", range(6))
def test_random_convolutions_agree(seed):
    rng = np.random.default_rng(seed)
    group = int(rng.choice([1, 1, 2, 3]))
    depth, per_group = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    kernel, dilations = rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    kind = conv(
        (group * per_group, depth, *map(int, kernel)),
        group=group,
        strides=tuple(map(int, rng.integers(1, 4, 2))),
        pads=tuple(map(int, rng.integers(0, 3, 4))),
        dilations=tuple(map(int, dilations)),
        x_zero=int(rng.integers(0, 256)),
        y_zero=int(rng.integers(0, 256)),
    )
    x = rng.integers(0, 256, (int(rng.integers(1, 4)), group * depth, 7, 8)).astype(np.uint8)
    expected = oracle(kind, x)
    for level in LEVELS:
        assert same_bits(run_body(kind, x, level=level), expected)


@pytest.mark.parametrize("level", LEVELS)
def test_one_session_serves_every_batch(level):
    kind = conv((4, 3, 3, 3), pads=(1, 1, 1, 1))
    x = np.random.default_rng(1).integers(0, 256, (4, 3, 5, 5)).astype(np.uint8)
    run = session(kind_model(kind, x[:1]), level)
    whole = run.run(None, {"x0": x})[0]
    for i in range(4):
        assert np.array_equal(run.run(None, {"x0": x[i : i + 1]})[0][0], whole[i])


@pytest.mark.parametrize("level", LEVELS)
def test_a_whole_net_of_bodies_equals_the_oracle_node_by_node(level):
    """Side by side in one graph the bodies give the optimiser its chances to fuse across their borders."""
    image = np.random.default_rng(3).normal(0, 1, (2, 3, 8, 8)).astype(np.float32)
    first = conv((8, 3, 3, 3), strides=(2, 2), pads=(0, 0, 1, 1), x_zero=120, y_zero=0)
    depthwise = conv((8, 1, 3, 3), group=8, pads=(1, 1, 1, 1), x_zero=0, y_zero=0)
    project = conv((8, 8, 1, 1), x_zero=0, y_zero=130)
    steps = [
        (Quantize(float(np.float32(0.02)), 120), ("image",), "q"),
        (first, ("q",), "c1"),
        (depthwise, ("c1",), "c2"),
        (project, ("c2",), "c3"),
        (Add(0, 130, 111, *add_multipliers(0.02, 0.03, 0.04), 111, 255), ("c1", "c3"), "sum"),
        (GlobalAveragePool(multiplier_of(1.2 / 16), 111, 90, 0, 255), ("sum",), "mean"),
        (conv((5, 8, 1, 1), x_zero=90, y_zero=100), ("mean",), "head"),
        (Softmax(softmax_table(0.05), 1), ("head",), "soft"),
        (Dequantize(float(np.float32(1 / 255)), 0), ("soft",), "y"),
    ]
    values = {"image": image}
    for kind, inputs, output in steps:
        values[output] = oracle(kind, *(values[name] for name in inputs))
    written = [write_node(kind, inputs, [output], output) for kind, inputs, output in steps]
    assert same_bits(run_chain(written, {"image": image}, "y", 4, "float32", level), values["y"])
    assert len(np.unique(values["y"])) > 3


def test_multiplier_of_one_half_rounds_ties_up():
    kind = FullyConnected(
        np.ones((1, 1), np.int8), np.zeros(1, np.int32), multipliers_of(np.array([0.5])), 128, 100, 0, 255
    )
    x = np.array([[125], [126], [127], [128], [129], [130], [131]], np.uint8)
    assert run_body(kind, x).ravel().tolist() == [99, 99, 100, 100, 101, 101, 102]
