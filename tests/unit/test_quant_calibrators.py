"""From what was seen to ranges, and from a range and an element type to a grid."""

import numpy as np
import pytest

from axbuild.toolchain.kinds.codes import S8, S16, U8, U16, Grid
from axbuild.toolchain.quant.calibrators import METHODS, Range, grid_of
from axbuild.toolchain.quant.histogram import Histogram
from axbuild.toolchain.quant.statistics import Observed


def seen(values: np.ndarray) -> Observed:
    values = values.astype(np.float32)
    return Observed(float(values.min()), float(values.max()), Histogram.of(values))


@pytest.mark.parametrize(
    ("lo", "hi", "scale", "zero"),
    [
        (0.0, 255.0, 1.0, 0),
        (-255.0, 0.0, 1.0, 255),
        (-128.0, 127.0, 1.0, 128),
        (2.0, 510.0, 2.0, 0),
        (-51.0, -1.0, 0.2, 255),
        (0.0, 0.0, 1.0, 0),
    ],
)
def test_an_unsigned_grid_keeps_zero_a_code_and_the_ends_in_reach(lo, hi, scale, zero):
    grid = grid_of(Range(lo, hi), U8)
    assert grid.scale == pytest.approx(scale, rel=1e-7)
    assert grid.zero == zero


def test_sixteen_bits_have_257_times_the_steps():
    assert grid_of(Range(-1.0, 1.0), U8).scale / grid_of(Range(-1.0, 1.0), U16).scale == pytest.approx(257, rel=1e-6)


@pytest.mark.parametrize(("kind", "scale"), [(S8, 4.0 / 127), (S16, 4.0 / 32767)])
def test_a_signed_grid_is_symmetric(kind, scale):
    assert grid_of(Range(-4.0, 1.0), kind) == Grid(float(np.float32(scale)), 0, kind)


@pytest.mark.parametrize("kind", [U8, S8, U16, S16])
def test_the_grid_of_the_smallest_range_has_a_normal_scale(kind):
    assert grid_of(Range(0.0, 1e-44), kind) == Grid(2.0**-126, 0, kind)


def test_min_max_takes_everything_that_was_seen():
    assert METHODS["MinMax"](seen(np.array([-3.0, 0.1, 40.0])), U8) == Range(-3.0, 40.0)


def test_mse_cuts_an_outlier_off_and_leaves_an_even_spread_alone():
    rng = np.random.default_rng(3)
    normal = rng.normal(0, 1, 1_000_000)
    cut = METHODS["MSE"](seen(np.append(normal, 12.0)), U8)
    assert 4.0 < cut.hi < 8.0
    assert cut.lo > normal.min() - 0.01
    even = METHODS["MSE"](seen(rng.uniform(-1, 1, 20_000)), U8)
    assert even.hi > 0.97


def test_mse_has_the_smaller_squared_error_on_the_values_themselves():
    rng = np.random.default_rng(4)
    values = rng.standard_t(3, 50_000)
    errors = {}
    for name in ("MinMax", "MSE"):
        grid = grid_of(METHODS[name](seen(values), U8), U8)
        codes = np.clip(np.floor(values / grid.scale + 0.5) + grid.zero, 0, 255)
        errors[name] = float(((values - (codes - grid.zero) * grid.scale) ** 2).mean())
    assert errors["MSE"] < 0.95 * errors["MinMax"]


def test_mse_in_sixteen_bits_cuts_less():
    values = np.random.default_rng(5).standard_t(3, 50_000)
    assert METHODS["MSE"](seen(values), U16).width > METHODS["MSE"](seen(values), U8).width
