"""Sums that do not depend on the order of additions."""

from fractions import Fraction

import numpy as np
import pytest

from axbuild.toolchain.quant.exact import ExactSum, well_formed


@pytest.mark.parametrize("seed", range(6))
def test_the_sum_is_the_exact_one_for_float32_of_any_size(seed):
    rng = np.random.default_rng(seed)
    rows = [(rng.normal(size=4) * 10.0 ** rng.integers(-38, 38, 4)).astype(np.float32) for _ in range(50)]
    rows.append(np.array([np.float32(3.4e38), np.float32(-3.4e38), np.float32(1e-45), np.float32(-0.0)]))
    total = ExactSum()
    for row in rows:
        total.add(row)
    for channel in range(4):
        exact = sum((Fraction(float(row[channel])) for row in rows), Fraction())
        ours = sum((Fraction(int(c[channel])) * Fraction(2) ** place for place, c in total.parts.items()), Fraction())
        assert ours == exact
        assert total.values(4)[channel] == pytest.approx(float(exact), rel=1e-15)


def test_merging_gives_the_parts_of_adding_everything():
    rows = [np.random.default_rng(i).normal(size=3).astype(np.float32) for i in range(9)]
    whole, left, right = ExactSum(), ExactSum(), ExactSum()
    for index, row in enumerate(rows):
        whole.add(row)
        (left if index < 4 else right).add(row)
    for merged in (left.merged(right), right.merged(left)):
        assert merged.parts.keys() == whole.parts.keys()
        assert all(np.array_equal(merged.parts[place], whole.parts[place]) for place in whole.parts)


@pytest.mark.parametrize("value", [np.float32(2.0**-149), np.finfo(np.float32).tiny, np.finfo(np.float32).max])
def test_sums_of_the_smallest_and_largest_values_are_read_back(value):
    total = ExactSum()
    total.add(np.array([value, -value, np.float32(0)]))
    assert well_formed(total.parts, 3)
    assert total.values(3).tolist() == [float(value), -float(value), 0.0]


def test_the_sum_of_nothing_is_zero():
    assert ExactSum().values(2).tolist() == [0.0, 0.0]


def test_rows_added_at_once_give_the_parts_of_rows_added_one_by_one():
    rng = np.random.default_rng(7)
    rows = (rng.normal(size=(20, 5)) * 10.0 ** rng.integers(-30, 30, (20, 5))).astype(np.float32)
    rows[1] = -rows[0]  # what cancels leaves its part there, as it does one by one
    together, alone = ExactSum(), ExactSum()
    together.add(rows)
    for row in rows:
        alone.add(row)
    assert together.parts.keys() == alone.parts.keys()
    assert all(np.array_equal(together.parts[place], alone.parts[place]) for place in alone.parts)
