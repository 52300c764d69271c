"""The ONNX bodies, with onnxruntime's optimiser off and on, against the oracle: not one element may differ."""

import numpy as np
import onnx
import pytest
from bodies import LEVELS, kind_model, run_body, run_chain
from kind_cases import CASES, conv
from oracle import oracle

from axbuild.toolchain.kinds.arithmetic import add_multipliers, multiplier_of, softmax_table
from axbuild.toolchain.kinds.binary import Add
from axbuild.toolchain.kinds.border import Dequantize, Quantize
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
