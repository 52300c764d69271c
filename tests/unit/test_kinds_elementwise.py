"""Element-wise kinds: shapes, boxes, tile axes, cycles, and the tables they are made with."""

import decimal
import math
from dataclasses import replace

import numpy as np
import pytest
from witness.base import grid

from axbuild.errors import AxError
from axbuild.toolchain.kinds import arithmetic as a
from axbuild.toolchain.kinds.base import Box, Rates, whole_box
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.codes import CODES, FP32, INT32, S8, S16, U8, U16, Grid
from axbuild.toolchain.kinds.interpolate import Interpolate, Spread
from axbuild.toolchain.kinds.island import FloatBinary, FloatClip
from axbuild.toolchain.kinds.softmax import Softmax, powers_table
from axbuild.toolchain.kinds.table import ChannelTable, Table, normalise_table
from axbuild.toolchain.kinds.with_constant import WithConstant

RATES = Rates(2, 8, 32, 4, 32, 2, 0.85, 64, 256, 21.33, 10.67, 4.0, 2.0, 4.0)
RAW, X, Y = Grid(1.0, 0, U8), grid(0.02), grid(0.05)
ZEROS, ONES = np.zeros(3, np.float32), np.ones(3, np.float32)
MEAN, STD = np.array([103.939, 116.779, 123.68], np.float32), np.array([58.0, 57.5, 1.75], np.float32)


def add(x: Grid = X, y: Grid = Y) -> Binary:
    return Binary.of("add", x, x, y, y.type.lo, y.type.hi)


def softmax(axis: int) -> Softmax:
    return Softmax.of(X, Grid(float(np.float32(1 / U8.hi)), 0, U8), axis)


ADD, SOFTMAX = add(), softmax(1)


@pytest.mark.parametrize("kind", [add(), FloatBinary("mul")], ids=["codes", "reals"])
def test_broadcast_operands_are_read_where_they_have_elements(kind):
    out = Box(((0, 1), (2, 4), (0, 5), (1, 3)))
    a, b = kind.input_boxes(out, (2, 3, 6, 5), (3, 1, 1))
    assert a == out
    assert b == Box(((1, 3), (0, 1), (0, 1)))
    assert kind.output_shape((5, 1), (2, 1, 4)) == (2, 5, 4)
    assert kind.tile_axes((2, 3, 6, 5), (3, 1, 1)) == (1, 3, 0, 2)


def test_a_softmax_reads_and_keeps_whole_the_axis_it_sums():
    kind = softmax(1)
    assert kind.tile_axes((2, 9, 4, 5)) == (1, 0, 2)
    (box,) = kind.input_boxes(Box(((0, 1), (1, 3), (0, 5), (2, 4))), (2, 9, 4, 5))
    assert box == Box(((0, 1), (1, 3), (0, 5), (0, 9)))


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (add(), [(2, 3), (2, 4)]),
        (FloatBinary("div"), [(2, 3), (3, 2)]),
        (ChannelTable(RAW, Y, np.zeros((3, U8.span + 1), np.uint8), 1), [(1, 4, 2, 2)]),
        (ChannelTable(RAW, Y, np.zeros((3, U8.span + 1), np.uint8), 1), [(3,)]),
        (Normalize(FP32, ZEROS, ONES, 3), [(1, 3, 2, 2)]),
        (softmax(2), [(1, 3)]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else str(value),
)
def test_shapes_that_do_not_fit_are_errors(kind, shapes):
    with pytest.raises(AxError) as error:
        kind.output_shape(*shapes)
    assert error.value.code == "AX455"
    assert kind.op_type in error.value.sentence


@pytest.mark.parametrize(
    ("kind", "inputs", "factor"),
    [
        (add(), 2, 1),
        (add(x=grid(0.02, kind=S8)), 2, 1),
        (add(y=grid(0.001, kind=U16)), 2, 2),
        (Requantize.of(grid(0.001, kind=S16), Y), 1, 2),
        (Quantize(X), 1, 4),
        (Dequantize(X), 1, 4),
        (FloatBinary("add"), 2, 4),
        (FloatClip(0.0, 6.0), 1, 4),
        (softmax(1), 1, 1),
        (Table.of("Square", np.square, X, Y), 1, 1),
    ],
)
def test_wide_codes_cost_twice_and_reals_four_times_what_8_bits_do(kind, inputs, factor):
    shapes = [(1, 16, 14, 14)] * inputs
    whole = whole_box(shapes[0])
    assert kind.cycles(whole, RATES, *shapes) == 16 * 196 / 64
    assert kind.job_cycles(whole, RATES, *shapes) == factor * 16 * 196 / 64
    assert kind.macs(whole, *shapes) == 0


@pytest.mark.parametrize("kind", CODES, ids=str)
def test_a_channel_table_is_the_three_steps_one_by_one(kind):
    y = grid(0.018, kind=kind)
    table = normalise_table(MEAN, STD, RAW, y)
    assert table.dtype == kind.dtype
    x = np.arange(U8.span + 1).astype(np.float32)
    for row, mean, std in zip(table, MEAN, STD, strict=True):
        assert row.tolist() == a.quantise((x - mean) / std, y).tolist()
    assert len(set(table[0].tolist())) > 200


@pytest.mark.parametrize("scale", [1e-6, 0.01, 0.0471, 0.3, 20.0])
def test_the_powers_of_a_softmax_are_the_rounded_exponential(scale):
    x = Grid(float(np.float32(scale)), 0, U8)
    with decimal.localcontext(prec=40):
        exact = [(-decimal.Decimal(x.scale) * d).exp() * 2**24 for d in range(U8.span + 1)]
    table = powers_table(x)
    assert table.dtype == np.int64
    assert table[0] == 2**24
    assert table.tolist() == [int(e.to_integral_value(decimal.ROUND_HALF_EVEN)) for e in exact]


def test_the_powers_of_a_wide_softmax_have_an_entry_for_each_distance():
    table, narrow = powers_table(Grid(2.0**-12, 0, S16)), powers_table(Grid(2.0**-4, 0, S8))
    assert table.size == S16.span + 1
    assert table[:: 2**8].tolist() == narrow.tolist()


@pytest.mark.parametrize(
    ("scale", "zero", "kind", "whole"),
    [
        (1 / U8.hi, 0, U8, True),
        (1 / U16.hi, 0, U16, True),
        (1 / S8.span, S8.lo, S8, True),
        (1 / S16.hi, 0, S16, True),
        (1 / S8.hi, S8.lo, S8, False),
        (0.4 / U8.hi, 0, U8, False),
        (0.04 / U16.hi, 0, U16, False),
    ],
)
def test_a_softmax_divides_integers_where_its_last_code_stands_for_one(scale, zero, kind, whole):
    y = Grid(float(np.float32(scale)), zero, kind)
    assert Softmax.of(X, y, 1).whole is whole


def test_operations_of_one_kind_differ_in_name_alone():
    kinds = [Binary.of(op, X, X, Y, U8.lo, U8.hi) for op in ("add", "sub", "mul", "div")]
    assert [kind.op_type for kind in kinds] == [f"AxQuantized{name}" for name in ("Add", "Sub", "Mul", "Div")]
    assert replace(kinds[0], op="sub").attributes() == kinds[1].attributes()


NO_GRIDS = [
    Grid(0.1, 0, U8), Grid(0.0, 0, U8), Grid(math.inf, 0, U8), Grid(-0.5, 0, U8), Grid(1e-45, 0, U8),
    Grid(0.5, U8.hi + 1, U8), Grid(0.5, -1, U8), Grid(0.5, S8.hi + 1, S8), Grid(0.5, 0, INT32), Grid(0.5, 0, FP32),
]  # fmt: skip


@pytest.mark.parametrize("wrong", NO_GRIDS, ids=str)
def test_nothing_stands_on_something_that_is_no_grid(wrong):
    for make in (
        lambda: Quantize(wrong),
        lambda: Dequantize(wrong),
        lambda: replace(Requantize.of(X, Y), x=wrong),
        lambda: replace(Requantize.of(X, Y), y=wrong),
        lambda: replace(ADD, b=wrong),
        lambda: replace(SOFTMAX, y=wrong),
        lambda: Table("Square", X, wrong, np.zeros(U8.span + 1, np.uint8)),
    ):
        with pytest.raises(AxError) as error:
            make()
        assert error.value.code == "AX451"


LINEAR = Interpolate.of(X, Y, Spread((0, 1), (0, 2047)), Spread((1, 2), (0, 5)), U8.lo, U8.hi)
SLOPED = WithConstant.sloped(np.float32([0.1, 1.5]), X, Y, U8.lo, U8.hi)


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(ADD, a_factor=ADD.a_factor + 1),
        lambda: replace(ADD, b_factor=-ADD.b_factor),
        lambda: replace(ADD, multiplier=ADD.multiplier * 2),
        lambda: replace(ADD, op="sub", lo=9, hi=8),
        lambda: replace(ADD, op="mul"),
        lambda: replace(Binary.of("div", X, Y, Y, U8.lo, U8.hi), multiplier=math.nan),
        lambda: replace(Requantize.of(X, Y), multiplier=0.3),
        lambda: Requantize.of(X, Y, lo=-1),
        lambda: Normalize(FP32, ZEROS, ONES[:2], 1),
        lambda: Normalize(FP32, ZEROS, ZEROS, 1),
        lambda: Normalize(FP32, ZEROS, ONES, -1),
        lambda: Normalize(X, ZEROS, ONES, 1),
        lambda: Normalize(INT32, ZEROS, ONES, 1),
        lambda: Table("Square", X, Y, np.zeros(U8.span, np.uint8)),
        lambda: Table("Square", X, grid(0.001, kind=U16), np.zeros(U8.span + 1, np.uint8)),
        lambda: ChannelTable(RAW, Y, np.zeros((3, U8.span), np.uint8), 1),
        lambda: ChannelTable(RAW, Y, np.zeros((3, U8.span + 1), np.int8), 1),
        lambda: ChannelTable(RAW, Y, np.zeros((3, U8.span + 1), np.uint8), -1),
        lambda: ChannelTable(RAW, Y, np.zeros((0, U8.span + 1), np.uint8), 1),
        lambda: replace(SOFTMAX, table=SOFTMAX.table[:-1]),
        lambda: replace(SOFTMAX, table=SOFTMAX.table - 1),
        lambda: replace(SOFTMAX, table=np.concatenate([SOFTMAX.table[:1], np.arange(U8.span)])),
        lambda: replace(SOFTMAX, axis=-1),
        lambda: Softmax.of(X, grid(0.01, U8.hi), 1),
        lambda: replace(LINEAR, rows=(0, -1)),
        lambda: replace(LINEAR, rows=(0, 1, 1)),
        lambda: replace(LINEAR, columns=(), column_weights=()),
        lambda: replace(LINEAR, column_weights=(0, 2048)),
        lambda: replace(LINEAR, multiplier=0.0),
        lambda: replace(SLOPED, factor=-SLOPED.factor),
        lambda: replace(SLOPED, factor=2 * SLOPED.factor),
        lambda: FloatClip(1.0, 0.0),
        lambda: FloatClip(0.1, 1.0),
        lambda: FloatClip(math.nan, 1.0),
    ],
)
def test_constants_out_of_range_are_errors(make):
    with pytest.raises(AxError) as error:
        make()
    assert error.value.code == "AX451"
    assert error.value.sentence.endswith(".")


def test_interpolation_reads_one_position_beyond_its_last_where_there_is_one():
    (box,) = LINEAR.input_boxes(whole_box((1, 4, 2, 2)), (1, 4, 2, 9))
    assert box.ranges == ((0, 1), (0, 2), (1, 4), (0, 4))
    with pytest.raises(AxError, match="to 2 rows and 2 columns cannot read") as error:
        LINEAR.output_shape((1, 4, 2, 2))
    assert error.value.code == "AX455"


@pytest.mark.parametrize(("steepest", "factor"), [(0.25, 1 << 14), (1.99, 1 << 14), (2.0, 1 << 13), (32767.0, 1)])
def test_slopes_are_as_fine_as_16_bits_allow(steepest, factor):
    kind = WithConstant.sloped(np.float32([0.0, -steepest]), X, Y, U8.lo, U8.hi)
    assert kind.factor == factor
    assert kind.constant.tolist() == [0, -round(float(np.float32(steepest)) * factor)]


def test_grids_too_far_apart_for_8_bits_are_refused():
    far, near = Grid(2.0**30, 0, U8), Grid(2.0**-30, 0, U8)
    for make in (
        lambda: Requantize.of(far, near),
        lambda: Binary.of("add", near, far, near, U8.lo, U8.hi),
        lambda: Binary.of("mul", far, far, near, U8.lo, U8.hi),
    ):
        with pytest.raises(AxError, match="too large to requantise with") as error:
            make()
        assert error.value.code == "AX452"
    assert Requantize.of(far, Grid(2.0**-30, 0, U16)).multiplier == 2.0**60
