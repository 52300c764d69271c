"""Values made up for tensors: of each type what it holds, the same for the same generator."""

import numpy as np
import pytest

from axbuild.toolchain.made_up import made_up

SHAPE = (40, 50)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_reals_are_of_the_standard_normal_distribution(dtype):
    found = made_up(np.random.default_rng(0), dtype, SHAPE)
    assert (found.dtype, found.shape) == (np.dtype(dtype), SHAPE)
    assert abs(float(found.mean(dtype=np.float64))) < 0.1
    assert abs(float(found.std(dtype=np.float64)) - 1) < 0.1


@pytest.mark.parametrize(
    ("dtype", "below", "ends"),
    [
        ("bool", None, (0, 1)), ("bool", 9, (0, 1)), ("uint8", None, (0, 255)), ("int8", None, (-128, 127)),
        ("uint8", 3, (0, 2)), ("int32", None, (0, 1)), ("int64", None, (0, 1)), ("int64", 8, (0, 7)),
    ],
)  # fmt: skip
def test_whole_numbers_and_truth_values_reach_both_ends(dtype, below, ends):
    found = made_up(np.random.default_rng(0), dtype, SHAPE, below)
    assert found.dtype == np.dtype(dtype)
    assert (int(found.min()), int(found.max())) == ends


def test_the_same_generator_gives_the_same():
    first, again = (made_up(np.random.default_rng(3), "float32", SHAPE) for _ in range(2))
    assert first.tobytes() == again.tobytes()
