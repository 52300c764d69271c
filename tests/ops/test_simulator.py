"""The simulator runs what the bodies define: every kind, any tiling, any size of the on-chip memory, any batch."""

from __future__ import annotations

import numpy as np
import pytest
from bodies import LEVELS, run_body
from kind_cases import CASES, Case
from npu_world import Chain, random_tiling, run
from oracle import oracle

from axbuild.toolchain.npu.net import net_of

SMALL = 40 << 10


def one_kind(case: Case):
    chain = Chain()
    names = [chain.input(f"x{i}", shape, case.dtype) for i, shape in enumerate(case.shapes)]
    return chain.model(chain.add(case.kind, *names, name="y"))


def feeds(case: Case) -> dict[str, np.ndarray]:
    return {f"x{i}": x for i, x in enumerate(case.inputs())}


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_simulator_body_and_oracle_agree_to_the_last_bit(case):
    found = run(one_kind(case), feeds(case))["y"]
    same(found, oracle(case.kind, *case.inputs()))
    for level in LEVELS:
        same(found, run_body(case.kind, *case.inputs(), level=level))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_tiling_changes_a_bit(case):
    model = one_kind(case)
    expected = run(model, feeds(case))["y"]
    for seed in range(4):
        same(run(model, feeds(case), tiling=random_tiling(net_of(model), seed))["y"], expected)
