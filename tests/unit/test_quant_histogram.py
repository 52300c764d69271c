"""Histograms: the same counts however the values are split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from axbuild.toolchain.quant.histogram import BINS, Histogram, well_formed

values = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))


def same(a: Histogram, b: Histogram) -> bool:
    return a.exponent == b.exponent and a.first == b.first and np.array_equal(a.counts, b.counts)


@settings(max_examples=200, deadline=None)
@given(values, values)
def test_merged_parts_are_the_histogram_of_the_whole(a, b):
    whole = Histogram.of(np.concatenate([a, b]))
    assert same(Histogram.of(a).merged(Histogram.of(b)), whole)
    assert same(Histogram.of(b).merged(Histogram.of(a)), whole)
    assert whole.counts.sum() == len(a) + len(b)
    assert well_formed(whole.exponent, whole.first, whole.counts)


def test_bins_are_as_fine_as_2048_of_them_allow():
    histogram = Histogram.of(np.linspace(-1, 1, 5000, dtype=np.float32))
    assert BINS / 2 < len(histogram.counts) <= BINS
    assert (histogram.exponent, histogram.first) == (-9, -512)


def test_every_value_lies_in_its_bin():
    x = np.random.default_rng(3).normal(5, 2, 1000).astype(np.float32)
    histogram = Histogram.of(x)
    width = 2.0**histogram.exponent
    edges = (histogram.first + np.arange(len(histogram.counts) + 1)) * width
    assert np.array_equal(np.histogram(x.astype(np.float64), edges)[0][:-1], histogram.counts[:-1])


@pytest.mark.parametrize("value", [0.0, 1.0, -3e38, 1e-45, -1e-45, 255.0])
def test_one_value_makes_one_bin(value):
    histogram = Histogram.of(np.full(7, value, np.float32))
    assert histogram.counts.tolist() == [7]
    real = float(np.float32(value))
    assert histogram.first * 2.0**histogram.exponent <= real < (histogram.first + 1) * 2.0**histogram.exponent


def test_zeros_join_anything():
    zeros, large = Histogram.of(np.zeros(3, np.float32)), Histogram.of(np.array([-3e38, 3e38], np.float32))
    merged = zeros.merged(large)
    assert merged.counts.sum() == 5
    assert merged.counts[-merged.first] == 3


@pytest.mark.parametrize(
    ("exponent", "first", "counts"),
    [
        (0, 0, []),
        (0, 0, [0, 1]),
        (0, 0, [1, 0]),
        (0, 0, [1, -1, 1]),
        (200, 0, [1]),
        (0, 2**31, [1]),
        (0, 0, [1] * 2049),
    ],
)
def test_what_no_histogram_has_is_told_apart(exponent, first, counts):
    assert not well_formed(exponent, first, np.array(counts, np.int64))
