"""From what was seen to ranges, and from a range and an element type to a grid."""

import math

import numpy as np
import pytest
from quantised import Net, quantised

from axbuild.toolchain.kinds.codes import S8, S16, U8, U16, Grid
from axbuild.toolchain.quant.calibrators import METHODS
from axbuild.toolchain.quant.divergence import divergences
from axbuild.toolchain.quant.exact import ExactSum
from axbuild.toolchain.quant.histogram import Histogram, stride_of
from axbuild.toolchain.quant.moments import Moments
from axbuild.toolchain.quant.ranges import Range, grid_of, grids_of
from axbuild.toolchain.quant.statistics import Missed, Observed, TensorStatistics


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
        (0.0, 0.0, 1.0 / 255.0, 0),
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


def chosen(method: str, values: np.ndarray, kind=U8) -> Range:
    return METHODS[method](seen(values), kind).measured


def squared_error(values: np.ndarray, grid: Grid) -> float:
    codes = np.clip(np.floor(values / grid.scale + 0.5) + grid.zero, grid.type.lo, grid.type.hi)
    return float(((values - (codes - grid.zero) * grid.scale) ** 2).sum())


def with_outliers() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(0, 1, 200_000), [12.0, 14.0, 15.0, -9.0]])


def test_min_max_takes_everything_that_was_seen():
    assert chosen("MinMax", np.array([-3.0, 0.1, 40.0])) == Range(-3.0, 40.0)


def test_every_method_gives_a_range_of_its_own_of_values_with_outliers():
    widths = {method: chosen(method, with_outliers()).width for method in METHODS}
    assert len(set(widths.values())) == len(METHODS)
    assert widths["MSE"] < widths["Auto"] < widths["MinMax"]
    assert widths["MinMax"] == 24.0
    assert all(5.0 < width < 24.0 for method, width in widths.items() if method != "MinMax")


def test_percentile_leaves_out_half_of_one_in_ten_thousand_at_either_end():
    values = np.linspace(-1.0, 3.0, 1 << 20)
    found = chosen("Percentile", values)
    assert found.lo == pytest.approx(-1.0 + 4.0 * 5e-5, abs=4.0 / 1024)
    cut = Range(found.lo, found.hi)
    outside = (values < cut.lo).sum() + (values > cut.hi).sum()
    assert outside <= 1e-4 * len(values)


def test_percentile_leaves_out_outliers_but_no_value_of_a_small_tensor():
    assert chosen("Percentile", with_outliers()).hi < 6.0
    few = np.random.default_rng(0).standard_t(1, 10_000).astype(np.float32)
    assert chosen("Percentile", few) == Range(float(few.min()), float(few.max()))


def test_mse_cuts_an_outlier_off_and_leaves_an_even_spread_alone():
    rng = np.random.default_rng(3)
    normal = rng.normal(0, 1, 1_000_000)
    cut = chosen("MSE", np.append(normal, 12.0))
    assert 4.0 < cut.hi < 8.0
    assert cut.lo > normal.min() - 0.01
    assert chosen("MSE", rng.uniform(-1, 1, 20_000)).hi > 0.97


def test_mse_has_the_smaller_squared_error_on_the_values_themselves():
    values = np.random.default_rng(4).standard_t(3, 50_000)
    errors = {name: squared_error(values, grid_of(chosen(name, values), U8)) for name in METHODS}
    assert errors["MSE"] < 0.95 * errors["MinMax"]
    assert errors["MSE"] == min(errors.values())


@pytest.mark.parametrize("kind", [U8, S8, U16, S16])
def test_the_expected_error_is_that_of_the_values_themselves(kind):
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(0, 1, 100_000), np.zeros(100_000)])
    lows, highs = np.array([-5.0, -2.0, -1.0, -0.3]), np.array([5.0, 1.0, 2.0, 0.9])
    grids = grids_of(lows, highs, kind)
    expected = Moments.of(seen(values)).errors(grids)
    actual = [squared_error(values, grids[index]) for index in range(len(lows))]
    assert expected == pytest.approx(actual, rel=0.03)


def test_mse_in_sixteen_bits_cuts_less():
    values = np.random.default_rng(5).standard_t(3, 50_000)
    assert chosen("MSE", values, U16).width > chosen("MSE", values, U8).width


def plain_divergence(histogram: Histogram, grid: Grid) -> float:
    """By loops over bins and codes."""
    codes: dict[int, list[int]] = {}
    below = above = 0
    for index, count in enumerate(histogram.counts.tolist()):
        middle = (histogram.first + index + 0.5) * 2.0**histogram.exponent
        code = math.ceil(middle / grid.scale + grid.zero - 0.5)
        place = math.floor(middle / grid.scale + grid.zero + 0.5)
        if place < grid.type.lo:
            below += count
        elif place > grid.type.hi:
            above += count
        elif count:
            assert code == place
            codes.setdefault(place, []).append(count)
    inside = sum(map(sum, codes.values()))
    total, found = inside + below + above, 0.0
    for place, counts in codes.items():
        for position, count in enumerate(counts):
            first = place == min(codes) and position == 0
            last = place == max(codes) and position == len(counts) - 1
            p = (count + first * below + last * above) / total
            q = sum(counts) / len(counts) / inside
            found += p * math.log(p / q)
    return found


def test_the_divergence_from_running_sums_is_that_of_loops_over_bins():
    rng = np.random.default_rng(8)
    histogram = Histogram.of(rng.standard_t(3, 20_000).astype(np.float32))
    lows, highs = np.array([-5.0, -2.0, -1.0]), np.array([4.0, 1.0, 2.0])
    grids = grids_of(lows, highs, U8)
    expected = [plain_divergence(histogram, grids[index]) for index in range(3)]
    assert divergences(histogram, grids) == pytest.approx(expected, rel=1e-9)


def test_kl_cuts_a_long_tail():
    values = np.random.default_rng(9).exponential(1.0, 100_000)
    found = METHODS["KL"](seen(values), U8)
    assert found.instead == ""
    assert found.measured.hi < 0.9 * values.max()


def test_kl_leaves_a_small_tensor_to_mse_and_says_why():
    values = np.random.default_rng(9).standard_t(3, 1_000)
    found = METHODS["KL"](seen(values), U8)
    assert found.measured == chosen("MSE", values)
    assert found.instead == "only 1000 values of it were counted, and a distribution takes 16384"


def test_kl_does_not_destroy_a_tensor_of_two_answers():
    """Nearly all values lie at zero: their shape is what KL keeps, and the few that decide would be cut off."""
    rng = np.random.default_rng(10)
    values = np.concatenate([rng.normal(0, 0.01, 200_000), rng.uniform(0.8, 1.0, 60)])
    found = METHODS["KL"](seen(values), U8)
    assert found.instead.startswith("its squared error would be ")
    assert found.measured == chosen("MSE", values)


def test_kl_in_sixteen_bits_takes_everything():
    values = np.random.default_rng(9).standard_t(3, 100_000)
    assert chosen("KL", values, U16) == chosen("MinMax", values)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [U8, S8, U16, S16])
@pytest.mark.parametrize(
    "values",
    [
        np.zeros(5),
        np.full(40_000, 3.0),
        np.full(40_000, -3.0),
        np.array([7.0]),
        np.array([-1e-44, 1e-44]),
        np.array([3e38, -3e38, 1.0]),
        np.concatenate([np.full(40_000, 1.0), [1e30]]),
        np.concatenate([np.zeros(40_000), [-1.0]]),
    ],
    ids=["zeros", "constant", "negative", "one", "subnormal", "huge", "outlier", "one not zero"],
)
def test_every_method_makes_a_sound_grid_of_odd_values(method, kind, values):
    values = values.astype(np.float32)
    found = chosen(method, values, kind)
    assert values.min() <= found.lo <= found.hi <= values.max()
    assert grid_of(found, kind).sound


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_is_exact_within_half_a_step(method):
    grid = grid_of(chosen(method, np.full(40_000, 3.0)), U8)
    assert abs(grid.real(grid.code(3.0)) - 3.0) <= grid.scale / 2


@pytest.mark.parametrize("method", ["MSE", "Auto", "KL"])
def test_in_16_bits_values_that_the_histogram_missed_are_kept(method):
    """It is of a sample: a loud channel of a transformer may lie between what is counted."""
    quiet = np.random.default_rng(0).normal(0, 1, 1 << 15).astype(np.float32)
    loud = Observed(-300.0, 500.0, Histogram.of(quiet))
    assert METHODS[method](loud, U16).measured == Range(-300.0, 500.0)
    assert METHODS[method](loud, U8).measured.hi < 500.0


def test_what_the_histogram_missed_is_worth_its_counts():
    quiet = seen(np.random.default_rng(5).normal(0, 1, 1 << 17))
    loud = Observed(quiet.minimum, 60.0, quiet.histogram, Missed(np.array([60.0]), np.array([1.0])))
    rare = Observed(quiet.minimum, 60.0, quiet.histogram, Missed(np.array([60.0]), np.array([1e-6])))
    assert METHODS["MSE"](loud, U8).measured.hi > 30.0
    assert METHODS["MSE"](rare, U8).measured.hi < 6.0


def test_ends_of_channels_beyond_the_histogram_are_what_it_missed():
    whole = Observed(-9.0, 7.0, Histogram.of(np.array([-2.0, 3.0], np.float32)))
    low, high = np.array([-9.0, -1.0, -2.0], np.float32), np.array([1.0, 7.0, 3.0], np.float32)
    missed = TensorStatistics(whole, low, high, ExactSum()).with_missed(0.5).missed
    assert (missed.reals.tolist(), missed.counts.tolist()) == ([-9.0, 7.0], [0.5, 0.5])


@pytest.mark.parametrize("method", ["MSE", "Auto"])
def test_a_loud_channel_between_the_values_that_are_counted_is_not_cut_off(method):
    net = Net(1, 64, 96)
    net.add("Relu", ["x"], "y")
    assert stride_of((1, 64, 96)) == 5
    samples = [{"x": np.random.default_rng(number).normal(0, 1, (1, 64, 96)).astype(np.float32)} for number in range(8)]
    for sample in samples:
        sample["x"][0, 0, 1] = 300.0
    assert quantised(net.model("y"), samples, method).scale("x") * 255 > 200.0
