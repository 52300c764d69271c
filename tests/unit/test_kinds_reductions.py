"""Pools, reductions, normalisation and selection as kinds: shapes, cost, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bodies import run_body
from witness.base import grid
from witness.norm import norm
from witness.pool import average, largest
from witness.select import select

from axbuild.errors import AxError
from axbuild.toolchain.kinds.base import Box, Rates, whole_box
from axbuild.toolchain.kinds.codes import FP32, S8, S16, U8, U16
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.reduce import Reduce

AX650 = Rates(2, 8, 32, 4, 32, 2, 0.85, 64, 256, 21.33, 10.67, 4.0, 2.0, 4.0)
X, Y = grid(0.1, 0), grid(0.1, 0)
WIDE = grid(0.1, 0, U16)


def reduce(op, x=X, y=X, axes=(2, 3), count=1) -> Reduce:
    return Reduce.of(op, x, y, axes, y.type.lo, y.type.hi, count)


def test_cycles_follow_the_published_model():
    image, whole = (1, 16, 14, 14), whole_box((1, 40, 14, 14))
    assert largest(U8, (3, 2), (1, 1), (0, 0, 0, 0)).cycles(whole, AX650, image) == 40 * 196 * 6 / 64
    assert reduce("mean", count=49).cycles(whole_box((2, 9, 1, 1)), AX650, (2, 9, 7, 7)) == 2 * 9 * 49 / 64
    assert norm(X, Y, (16,)).cycles(whole_box((2, 5, 16)), AX650, (2, 5, 16)) == 2 * 160 / 64
    assert select("max", X, X, Y).cycles(whole, AX650, image, image) == 40 * 196 / 64


def test_wide_codes_take_an_element_wise_engine_twice_as_long():
    assert reduce("max").slowdown(AX650) == 1.0
    assert reduce("sum", X, WIDE).slowdown(AX650) == 2.0
    assert norm(WIDE, Y, (16,)).slowdown(AX650) == 2.0


def test_reduced_axes_are_read_whole_and_never_cut():
    kind, x = reduce("sum", axes=(1, 3)), (2, 8, 5, 6)
    assert kind.output_shape(x) == (2, 1, 5, 1)
    assert kind.tile_axes(x) == (1, 0)
    (box,) = kind.input_boxes(Box(((0, 1), (2, 4), (0, 1), (0, 1))), x)
    assert box == Box(((0, 1), (2, 4), (0, 6), (0, 8)))


def test_normalised_axes_are_read_whole_and_never_cut():
    kind, x = norm(X, Y, (5, 6)), (2, 8, 5, 6)
    assert kind.tile_axes(x) == (3, 0)
    (box,) = kind.input_boxes(Box(((1, 2), (0, 5), (0, 6), (2, 4))), x)
    assert box == Box(((1, 2), (0, 5), (0, 6), (2, 4)))


def test_rows_of_a_pool_stay_whole_where_padding_is_as_wide_as_its_window():
    buried = average(X, Y, (3, 3), (1, 1), (1, 1), (2, 0, 0, 0), include_pad=True)
    assert buried.tile_axes((1, 4, 3, 3)) == (3, 0, 2)
    assert largest(U8, (3, 3), (1, 1), (1, 1, 1, 1)).tile_axes((1, 4, 3, 3)) == (1, 3, 0, 2)


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (largest(U8, (3, 3), (1, 1), (0, 0, 0, 0)), [(1, 3, 2, 2)]),
        (largest(U8, (3, 3), (1, 1), (0, 0, 0, 0)), [(1, 3, 9)]),
        (average(X, Y, (3, 3), (2, 2)), [(1, 1, 5, 5)]),
        (reduce("mean", count=9), [(1, 3)]),
        (reduce("mean", count=9), [(1, 3, 3, 4)]),
        (norm(X, Y, (4,)), [(2, 3)]),
        (norm(X, Y, (4,)), [(4,)]),
        (select("where", X, X, Y), [(2, 1), (2, 3), (2, 4)]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else str(value),
)
def test_shapes_that_do_not_fit_are_errors(kind, shapes):
    with pytest.raises(AxError) as error:
        kind.output_shape(*shapes)
    assert error.value.code == "AX455"
    assert kind.op_type in error.value.sentence


ZEROS = np.zeros(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MaxPool(FP32, (2, 2), (1, 1), (0, 0, 0, 0), (1, 1), 0, 0),
        lambda: largest(S8, (2, 2), (1, 1), (0, 0, 0, 0), lo=-129),
        lambda: largest(U8, (2, 2), (1, 1), (2, 0, 0, 0)),
        lambda: largest(U8, (2, 0), (1, 1), (0, 0, 0, 0)),
        lambda: replace(average(X, Y, (3, 3), (2, 2)), multiplier=np.full((2, 2), 1 / 3)),
        lambda: replace(average(WIDE, Y, (3, 3), (2, 2)), multiplier=np.full((2, 2), -0.5)),
        lambda: reduce("max", X, grid(0.2, 0)),
        lambda: reduce("min", X, grid(0.1, 1)),
        lambda: reduce("sum", count=9),
        lambda: reduce("mean", count=9, axes=()),
        lambda: reduce("mean", count=9, axes=(-1,)),
        lambda: reduce("sum", axes=(1, 1)),
        lambda: replace(reduce("max"), hi=256),
        lambda: replace(norm(X, Y, (3,)), bias=np.zeros(4)),
        lambda: replace(norm(X, Y, (3,)), weight=np.array([1.0, np.nan, 1.0])),
        lambda: norm(X, Y, (3,), epsilon=0.0),
        lambda: replace(select("max", X, WIDE, Y), a_multiplier=0.25),
    ],
)
def test_constants_out_of_range_are_errors(make):
    with pytest.raises(AxError) as error:
        make()
    assert error.value.code == "AX451"


def test_a_window_without_elements_has_no_mean():
    with pytest.raises(AxError, match="a window that counts no element") as error:
        AveragePool.of(X, Y, np.array([[4, 0]]), 0, 255, (1, 1), (1, 1), (0, 0, 0, 0))
    assert error.value.code == "AX451"


def test_a_window_too_large_for_float32_sums_is_refused():
    with pytest.raises(AxError) as error:
        average(X, Y, (256, 256), (256, 256))
    assert error.value.code == "AX454"
    assert average(WIDE, Y, (256, 255), (256, 255)).overload == "u16_u8_digits"


def test_sums_of_activations_too_long_for_the_accumulator_are_errors():
    with pytest.raises(AxError, match=r"must stay below 2\^31") as error:
        reduce("sum", grid(1e-7, 0), Y).output_shape((1, 1, 4096, 4096))
    assert error.value.code == "AX453"
    with pytest.raises(AxError, match=r"sums 2147614720 squares of .* must stay below 2\^63") as error:
        reduce("l2", WIDE, Y).output_shape((1, 1, 1 << 16, (1 << 15) + 2))
    assert error.value.code == "AX453"
    assert reduce("sum", grid(1e-7, 0), WIDE).output_shape((1, 1, 4096, 4096)) == (1, 1, 1, 1)
    with pytest.raises(AxError, match=r"must stay below 2\^52"):
        reduce("sum", WIDE, WIDE).output_shape((1, 1, 1 << 18, 1 << 19))


def test_a_mean_over_the_map_keeps_the_vendor_s_name():
    assert reduce("mean", count=49).op_type == "AxQuantizedGlobAvgPool"
    assert reduce("mean", axes=(1,), count=49).op_type == "AxReduceMean"
    assert reduce("sum").op_type == "AxReduceSum"


def test_a_mean_divides_by_what_it_was_made_for():
    with pytest.raises(
        AxError, match=r"AxQuantizedGlobAvgPool divides by 9, but the axes \(2, 3\) of \(1, 2, 3, 4\) hold 12"
    ):
        reduce("mean", count=9).output_shape((1, 2, 3, 4))


def test_equal_codes_normalise_to_the_bias():
    """Without variance only epsilon stands under the root."""
    kind = norm(grid(0.02, 7, S16), grid(0.01, 3, S16), (4,))
    x = np.full((1, 4), 1234, np.int16)
    expected = [3 + int(np.floor(b + 0.5)) for b in kind.bias]
    assert run_body(kind, x)[0].tolist() == expected


def test_an_rms_norm_keeps_the_sign_of_what_it_reads():
    kind = norm(grid(0.02, 100, U8), grid(0.1, 0, S8), (4,), subtract_mean=False)
    kind = replace(kind, weight=np.full(4, 10.0), bias=np.zeros(4))
    assert run_body(kind, np.array([[90, 90, 90, 90], [120, 120, 120, 120]], np.uint8)).tolist() == [
        [-10] * 4,
        [10] * 4,
    ]
