"""Three witnesses of every kind: the ONNX body under onnxruntime, the simulator, the oracle. Not one bit differs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from bodies import LEVELS, kind_model, run_body
from npu_world import carried, one_kind, random_tiling, run
from witness.all import CASES
from witness.base import oracle

from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.registry import CLASSES, KINDS, read_node
from axbuild.toolchain.npu.lower.registry import LOWERINGS
from axbuild.toolchain.npu.net import net_of


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")


def feeds(case) -> dict[str, np.ndarray]:
    return {f"x{i}": carried(x) for i, x in enumerate(case.inputs())}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_simulator_body_and_oracle_agree_to_the_last_bit(case):
    expected = oracle(case.kind, *case.inputs())
    assert expected.dtype.name == type_of(case.kind.writes).dtype
    for level in LEVELS:
        same(run_body(case.kind, *case.inputs(), level=level), expected)
    same(run(one_kind(case.kind, case.shapes), feeds(case))["y"], carried(expected))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_tiling_changes_a_bit(case):
    model = one_kind(case.kind, case.shapes)
    expected = run(model, feeds(case))["y"]
    for seed in range(4):
        same(run(model, feeds(case), tiling=random_tiling(net_of(model), seed))["y"], expected)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_model_of_a_kind_is_valid_onnx(case):
    onnx.checker.check_model(kind_model(case.kind, *case.inputs()), full_check=True)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_kind_comes_back_from_its_node_as_it_was(case):
    model = kind_model(case.kind, *case.inputs())
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    kind, activations = read_node(model.graph.node[0], constants)
    assert type(kind) is type(case.kind)
    assert kind.attributes() == case.kind.attributes()
    assert activations == tuple(f"x{i}" for i in range(len(case.shapes)))
    for name, array in case.kind.constants().items():
        same(kind.constants()[name], array)


def test_every_kind_has_a_case_and_a_lowering():
    assert {case.kind.op_type for case in CASES} == set(KINDS)
    assert set(LOWERINGS) == set(CLASSES)


def test_nodes_with_one_overload_have_one_body():
    bodies = {}
    for case in CASES:
        key, text = (case.kind.op_type, case.kind.overload), case.kind.text()
        assert bodies.setdefault(key, text) == text, key
