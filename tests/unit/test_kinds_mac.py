"""Multiply-accumulates as kinds: nodes, shapes, boxes, cost, and what they refuse."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from witness.base import grid
from witness.mac import at_zero, conv, fully_connected, matmul

from axbuild.errors import AxError
from axbuild.toolchain.kinds.arithmetic import multipliers_of
from axbuild.toolchain.kinds.base import Box, Rates, whole_box
from axbuild.toolchain.kinds.codes import FP32, INT32, S4, S8, S16, U8, U16, Grid
from axbuild.toolchain.kinds.mac import FullyConnected, MatMul
from axbuild.toolchain.kinds.products import Cut, digits_of
from axbuild.toolchain.kinds.registry import read_node, write_node

AX650 = Rates(2, 8, 32, 4, 32, 2, 0.85, 64, 256, 21.33, 10.67, 4.0, 2.0, 4.0)
UNIT = Grid(1.0, 0, U8)
ZERO_ONE = Grid(1.0, 0, U16)


# Nodes -------------------------------------------------------------------------------------------------------


def test_a_body_is_named_after_what_its_text_depends_on():
    assert conv((4, 3, 3, 3)).overload == "u8_u8"
    assert conv((4, 3, 3, 3), x=at_zero(3, U16), w=S16, y=FP32).overload == "u16_fp32_s16"
    assert fully_connected(2, 3, w=S16).overload == "u8_u8_s16"
    assert matmul(U8, S16, grid(1.0, kind=U16), 3).overload == "u8_s16_u16"


def test_constants_are_named_after_the_node_and_have_its_types():
    written = write_node(conv((4, 3, 3, 3)), ["x"], ["y"], "features/0")
    assert list(written.constants) == ["features/0.weight", "features/0.bias", "features/0.multiplier"]
    assert [array.dtype.name for array in written.constants.values()] == ["int8", "int32", "float64"]
    wide = write_node(conv((4, 3, 3, 3), x=at_zero(3, U16)), ["x"], ["y"], "wide")
    assert [array.dtype.name for array in wide.constants.values()] == ["int8", "int64", "float64"]
    real = write_node(conv((4, 3, 3, 3), w=S16, y=FP32), ["x"], ["y"], "real")
    assert [array.dtype.name for array in real.constants.values()] == ["int16", "float32", "float64"]


def test_a_real_output_survives_the_node():
    kind = conv((4, 3, 3, 3), x=at_zero(-7, S16), w=S16, y=FP32)
    written = write_node(kind, ["x"], ["y"], "head")
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in written.initialisers}
    read, _ = read_node(written.node, arrays)
    assert (read.x, read.w, read.y) == (kind.x, S16, FP32)


# Geometry ----------------------------------------------------------------------------------------------------


def test_rows_of_a_convolution_read_their_halo_clipped_to_the_map():
    kind = conv((4, 3, 3, 3), strides=(2, 2), pads=(1, 1, 1, 1))
    x = (2, 3, 16, 16)
    assert kind.output_shape(x) == (2, 4, 8, 8)
    (box,) = kind.input_boxes(Box(((0, 1), (0, 3), (0, 8), (0, 4))), x)
    assert box == Box(((0, 1), (0, 6), (0, 16), (0, 3)))
    (box,) = kind.input_boxes(Box(((1, 2), (3, 6), (2, 4), (1, 2))), x)
    assert box == Box(((1, 2), (5, 12), (3, 8), (0, 3)))
    assert kind.tile_axes(x) == (1, 3, 0, 2)


def test_rows_stay_whole_where_padding_is_as_wide_as_the_window():
    assert conv((4, 3, 2, 2), pads=(2, 0, 0, 0)).tile_axes((1, 3, 8, 8)) == (3, 0, 2)
    assert conv((4, 3, 2, 2), pads=(0, 0, 0, 2)).tile_axes((1, 3, 8, 8)) == (1, 3, 0)
    assert conv((4, 3, 2, 2), pads=(0, 2, 0, 2)).tile_axes((1, 3, 8, 8)) == (1, 3, 0)


def test_channels_of_a_grouped_convolution_read_their_groups():
    kind = conv((6, 2, 1, 1), group=3)
    (box,) = kind.input_boxes(Box(((0, 1), (0, 4), (0, 4), (3, 4))), (1, 6, 4, 4))
    assert box.ranges[3] == (2, 4)
    (box,) = kind.input_boxes(Box(((0, 1), (0, 4), (0, 4), (1, 3))), (1, 6, 4, 4))
    assert box.ranges[3] == (0, 4)


def test_a_window_that_lies_in_the_padding_reads_nothing():
    kind = conv((1, 1, 1, 1), pads=(2, 0, 0, 0))
    (box,) = kind.input_boxes(Box(((0, 1), (0, 2), (0, 3), (0, 1))), (1, 1, 3, 3))
    assert box.elements == 0


def test_channels_are_cut_at_whole_blocks_and_groups():
    x = (1, 96, 4, 4)
    assert conv((64, 96, 1, 1)).grain(3, 32, x) == 32
    assert conv((96, 1, 3, 3), group=96).grain(3, 32, x) == 32
    assert conv((96, 2, 1, 1), group=48).grain(3, 32, x) == 32
    assert conv((96, 4, 1, 1), group=24).grain(3, 32, x) == 32
    assert conv((144, 4, 1, 1), group=24).grain(3, 32, x) == 96
    assert conv((64, 96, 1, 1)).grain(1, 32, x) == 1
    assert fully_connected(64, 9).grain(1, 32, (2, 9)) == 32
    assert fully_connected(64, 9).grain(0, 32, (2, 9)) == 1
    assert fully_connected(64, 9).grain(2, 32, (2, 3, 5, 9)) == 32
    assert matmul(U8, U8, UNIT, 4).grain(1, 32, (2, 4), (4, 3)) == 1


def test_macs_count_every_product_once():
    assert conv((8, 4, 3, 3), group=2, pads=(1, 1, 1, 1)).macs(whole_box((2, 8, 5, 5)), (2, 8, 5, 5)) == 8 * 25 * 2 * 36
    assert fully_connected(5, 9).macs(whole_box((2, 4, 5)), (2, 4, 9)) == 2 * 4 * 5 * 9
    assert matmul(U8, U8, UNIT, 7).macs(whole_box((2, 3, 4)), (2, 3, 7), (7, 4)) == 2 * 3 * 4 * 7


def test_cycles_follow_the_published_model():
    image = (1, 16, 14, 14)
    whole = whole_box((1, 40, 14, 14))
    assert conv((40, 16, 3, 3), pads=(1, 1, 1, 1)).cycles(whole, AX650, image) == 2 * 2 * 49 * 9 / (2 * 0.85)
    depthwise = conv((40, 1, 3, 3), group=40, pads=(1, 1, 1, 1))
    assert depthwise.cycles(whole, AX650, (1, 40, 14, 14)) == 2 * 98 * 9 / 2
    assert fully_connected(1000, 1280).cycles(whole_box((1, 1000)), AX650, (1, 1280)) == 160 * 32 * 1 / (2 * 0.85)


def test_16_bit_activations_take_the_conv_engine_four_times_as_long():
    image, whole = (1, 160, 14, 14), whole_box((1, 40, 14, 14))
    narrow, wide = (conv((40, 160, 3, 3), pads=(1, 1, 1, 1), x=at_zero(3, kind)) for kind in (U8, U16))
    assert wide.cycles(whole, AX650, image) == narrow.cycles(whole, AX650, image)
    assert wide.job_cycles(whole, AX650, image) == 4 * narrow.job_cycles(whole, AX650, image)


def test_16_bit_weights_take_it_twice_as_long_and_beside_16_bit_activations_no_longer_than_these():
    image, whole = (1, 160, 14, 14), whole_box((1, 40, 14, 14))
    narrow, fine = (conv((40, 160, 3, 3), pads=(1, 1, 1, 1), w=kind) for kind in (S8, S16))
    assert fine.job_cycles(whole, AX650, image) == 2 * narrow.job_cycles(whole, AX650, image)
    assert conv((40, 160, 3, 3), x=at_zero(3, U16), w=S16).slowdown(AX650) == 4.0
    assert fully_connected(10, 20, w=S16).slowdown(AX650) == 2.0
    assert conv((40, 160, 3, 3), w=S4).slowdown(AX650) == 1.0


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (conv((4, 3, 3, 3)), [(1, 4, 8, 8)]),
        (conv((4, 3, 3, 3)), [(3, 8, 8)]),
        (conv((4, 3, 3, 3)), [(1, 3, 2, 8)]),
        (fully_connected(4, 9), [(2, 8)]),
        (fully_connected(4, 9), [()]),
        (matmul(U8, U8, UNIT, 3), [(2, 3), (4, 2)]),
        (matmul(U8, U8, UNIT, 3), [(2, 5, 3), (4, 3, 2)]),
        (matmul(U8, U8, UNIT, 3), [(3,), (3, 2)]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else str(value),
)
def test_shapes_that_do_not_fit_are_errors(kind, shapes):
    with pytest.raises(AxError) as error:
        kind.output_shape(*shapes)
    assert error.value.code == "AX455"
    assert kind.op_type in error.value.sentence


# Digits and ranges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "bits"), [(1, 8), (2, 8), (4, 4), (8, 2), (16, 1), (2, 4)])
def test_digits_add_up_and_all_but_the_last_are_balanced(count, bits):
    values = np.arange(-(1 << 15), 1 << 15)
    digits = digits_of(values, count, bits)
    assert len(digits) == count
    assert np.array_equal(sum(digit << (bits * i) for i, digit in enumerate(digits)), values)
    assert all(np.abs(digit).max() <= 1 << (bits - 1) for digit in digits[:-1])


def test_a_sum_is_cut_no_further_than_its_real_weights_need():
    weight = np.full((1, 1036), 127, np.int8)
    assert Cut.of(weight[:, :518], UNIT, S8, "fc") == Cut(1, 1, 8, 1)
    assert Cut.of(weight[:, :519], UNIT, S8, "fc") == Cut(1, 1, 8, 2)
    assert Cut.of(weight[:, :1030], Grid(1.0, 128, U8), S8, "fc") == Cut(1, 1, 8, 1)
    assert Cut.of(weight.astype(np.int16), Grid(1.0, 0, S16), S16, "fc") == Cut(2, 2, 8, 2)
    assert Cut.of(np.ones((1, 4000), np.int16), ZERO_ONE, S16, "fc") == Cut(2, 2, 8, 1)


def test_a_kernel_that_no_digits_sum_exactly_is_refused():
    kind = conv((1, 1, 260, 260), x=at_zero(0), fill=85)
    with pytest.raises(AxError, match="single input channel of AxQuantizedConv") as error:
        kind.body()
    assert error.value.code == "AX454"


# Constants ---------------------------------------------------------------------------------------------------

GOOD = conv((4, 3, 3, 3))
WIDE = conv((4, 3, 3, 3), x=at_zero(7, U16))
REAL = conv((4, 3, 3, 3), y=FP32)


@pytest.mark.parametrize(
    "make",
    [
        lambda: dataclasses.replace(GOOD, x=at_zero(256)),
        lambda: dataclasses.replace(GOOD, y=at_zero(-1)),
        lambda: dataclasses.replace(GOOD, x=Grid(0.1, 0, U8)),
        lambda: dataclasses.replace(GOOD, lo=200, hi=100),
        lambda: dataclasses.replace(GOOD, hi=256),
        lambda: dataclasses.replace(GOOD, y=INT32),
        lambda: dataclasses.replace(GOOD, y=U8),
        lambda: dataclasses.replace(GOOD, w=S16),
        lambda: dataclasses.replace(GOOD, w=U8),
        lambda: dataclasses.replace(GOOD, strides=(0, 1)),
        lambda: dataclasses.replace(GOOD, pads=(-1, 0, 0, 0)),
        lambda: dataclasses.replace(GOOD, dilations=(1, 0)),
        lambda: dataclasses.replace(GOOD, group=3),
        lambda: dataclasses.replace(GOOD, group=0),
        lambda: dataclasses.replace(GOOD, bias=np.zeros(3, np.int32)),
        lambda: dataclasses.replace(GOOD, bias=np.zeros(4, np.int64)),
        lambda: dataclasses.replace(WIDE, bias=np.zeros(4, np.int32)),
        lambda: dataclasses.replace(REAL, bias=np.zeros(4, np.int32)),
        lambda: dataclasses.replace(REAL, lo=0, hi=255),
        lambda: dataclasses.replace(GOOD, multiplier=np.full(4, 0.1)),
        lambda: dataclasses.replace(WIDE, multiplier=np.full(4, -0.1)),
        lambda: dataclasses.replace(REAL, multiplier=np.full(4, np.inf)),
        lambda: dataclasses.replace(GOOD, multiplier=multipliers_of(np.ones(5))),
        lambda: dataclasses.replace(GOOD, weight=np.zeros((4, 0, 3, 3), np.int8)),
        lambda: MatMul(UNIT, UNIT, UNIT, 0.1, 0, 255),
        lambda: MatMul(UNIT, at_zero(300), UNIT, 0.5, 0, 255),
        lambda: MatMul(UNIT, UNIT, FP32, 0.5, 0, 255),
    ],
)
def test_constants_out_of_range_are_errors(make):
    with pytest.raises(AxError) as error:
        make()
    assert error.value.code == "AX451"
    assert error.value.sentence.endswith(".")


def one_channel(k: int, bias: int, x=UNIT, weight=127, w=S8) -> FullyConnected:
    of = multipliers_of(np.array([0.5]), x, w)
    biases = np.array([bias], np.int64 if x.type.wide or w.wide else np.int32)
    return FullyConnected(x, w, UNIT, np.full((1, k), weight, w.dtype), biases, of, 0, 255)


def test_an_accumulator_of_8_bit_operands_that_could_reach_2_31_is_refused():
    largest = 2**31 - 1 - 127 * 255 * 10
    for bias in (largest, -largest):
        assert one_channel(10, bias).bias.tolist() == [bias]
    with pytest.raises(AxError) as error:
        one_channel(10, largest + 1)
    assert error.value.code == "AX453"
    assert error.value.sentence == (
        "Output channel 0 of AxFullyConnected with weight (1, 10) can reach 2147483648; its accumulator must stay "
        "below 2^31."
    )


@pytest.mark.parametrize(("x", "w"), [(ZERO_ONE, S8), (UNIT, S16), (ZERO_ONE, S16)], ids=str)
def test_an_accumulator_with_a_16_bit_operand_that_could_reach_2_52_is_refused(x, w):
    largest = 2**52 - 1 - w.hi * x.reach * 10
    assert one_channel(10, largest, x, w.hi, w).bias.tolist() == [largest]
    with pytest.raises(AxError, match=r"can reach 4503599627370496; its accumulator must stay below 2\^52\.") as error:
        one_channel(10, largest + 1, x, w.hi, w)
    assert error.value.code == "AX453"


@pytest.mark.parametrize(("kind", "longest", "power"), [(U8, 33025, 31), (U16, 1048608, 52)])
def test_sums_of_activations_too_long_for_the_accumulator_are_errors(kind, longest, power):
    deep = MatMul.of(at_zero(0, kind), at_zero(0, kind), Grid(1.0, 0, S16), 0, 9)
    assert deep.output_shape((1, longest), (longest, 1)) == (1, 1)
    with pytest.raises(AxError, match=rf"accumulator must stay below 2\^{power}\.") as error:
        deep.output_shape((1, longest + 1), (longest + 1, 1))
    assert error.value.code == "AX453"
