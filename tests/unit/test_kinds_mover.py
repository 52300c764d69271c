"""Movers and gathering as kinds: shapes, boxes, views, cost, and what they refuse."""

from __future__ import annotations

import time

import numpy as np
import pytest
from bodies import run_body
from npu_world import chip, compiled, one_kind, random_tiling, run
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from witness.base import grid
from witness.gather import gather

from axbuild.codes import CODES
from axbuild.errors import AxError
from axbuild.toolchain.kinds.base import Box, Rates, whole_box
from axbuild.toolchain.kinds.codes import BOOL, FP32, INT32, INT64, S8, S16, U8, U16
from axbuild.toolchain.kinds.gather import Gather
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Slice, Take, Transpose
from axbuild.toolchain.npu.layout.bounds import bounds_of
from axbuild.toolchain.npu.net import net_of
from axbuild.toolchain.npu.simulator.base import ValueRangeError

AX650 = Rates(2, 8, 32, 4, 32, 2, 0.85, 64, 256, 21.33, 10.67, 4.0, 2.0, 4.0)


def test_parts_of_a_concat_that_do_not_meet_an_input_are_empty_there():
    kind = Concat(U8, 1, 3)
    boxes = kind.input_boxes(Box(((0, 1), (0, 2), (0, 2), (3, 5))), (1, 2, 2, 2), (1, 2, 2, 2), (1, 2, 2, 2))
    assert [box.ranges[3] for box in boxes] == [(2, 2), (1, 2), (0, 1)]


def test_padded_axes_stay_whole():
    assert Pad(U8, (0, 0, 2, 0, 0, 0, 0, 0), 0).tile_axes((1, 4, 6, 4)) == (3, 0, 2)
    assert Pad(U8, (0, 0, 0, 0, 1, 0), 0).tile_axes((2, 3, 4)) == (0, 2)


def test_a_slice_reads_from_the_first_position_to_the_last():
    kind = Slice(U8, (1, -1), (100, -100), (1, 3), (2, -3))
    x = (1, 8, 2, 11)
    assert kind.output_shape(x) == (1, 4, 2, 4)
    (box,) = kind.input_boxes(whole_box(kind.output_shape(x)), x)
    assert box == Box(((0, 1), (0, 2), (1, 11), (1, 8)))
    (box,) = kind.input_boxes(Box(((0, 1), (0, 2), (1, 3), (2, 4))), x)
    assert box == Box(((0, 1), (0, 2), (4, 8), (5, 8)))


def test_what_is_taken_is_read_from_the_lowest_position_to_the_highest():
    kind = Take(U8, 2, (4, 1, 3, 0, 0))
    x = (1, 8, 5, 2)
    assert kind.output_shape(x) == (1, 8, 5, 2)
    (box,) = kind.input_boxes(Box(((0, 1), (1, 3), (0, 2), (0, 8))), x)
    assert box == Box(((0, 1), (1, 4), (0, 2), (0, 8)))


def test_very_many_positions_are_compiled_in_time_that_grows_with_their_number():
    count = 60_000
    begin = time.process_time()
    compiled(one_kind(Take(U8, 1, tuple(reversed(range(count)))), [(1, count)]))
    assert time.process_time() - begin < 10.0  # each compared with every other one, they take a minute


def test_a_position_beyond_the_axis_is_an_error():
    with pytest.raises(AxError, match=r"AxTake of position 5 on axis 1 cannot read \(2, 5\)") as error:
        Take(U8, 1, (0, 5)).output_shape((2, 5))
    assert error.value.code == "AX455"


def test_views_move_nothing_in_memory():
    assert Reshape(U8, (-1, 8)).view((2, 8, 1, 1))
    assert not Reshape(U8, (-1, 32)).view((2, 8, 2, 2))
    assert Reshape(FP32, (-1, 4)).view((2, 2, 2))
    assert not Transpose(FP32, (0, 3, 1, 2)).view((1, 8, 8, 3))
    assert Transpose(U16, (0, 2, 1)).view((2, 1, 7))
    assert Transpose(U16, (0, 2, 3, 1)).view((2, 5, 1, 1))
    assert not Slice(U8, (0,), (2,), (0,), (1,)).view((2, 3))


def test_a_copy_can_transpose_and_do_nothing_else_of_a_mover():
    assert Transpose(FP32, (0, 3, 1, 2)).permutes((1, 8, 8, 3)) == (0, 3, 1, 2)
    assert Transpose(FP32, (2, 0, 1)).permutes((8, 8, 3)) == (2, 0, 1)
    assert Reshape(U8, (-1, 8)).permutes((2, 8, 1, 1)) is None
    assert Pad(U8, (0, 0, 0, 1), 0).permutes((2, 3)) is None


def test_cycles_follow_the_bytes_that_move():
    image = (1, 40, 14, 14)
    whole = whole_box(image)
    assert Transpose(FP32, (0, 3, 1, 2)).cycles(whole, AX650, image) == 40 * 196 * 4 / 10.67
    assert Transpose(S16, (0, 3, 1, 2)).cycles(whole, AX650, image) == 40 * 196 * 2 / 10.67
    assert Reshape(INT64, (-1, 10)).cycles(whole_box((4, 10)), AX650, (4, 10)) == 40 * 4 / 10.67
    assert gather(INT64, U16, (9, 5)).cycles(whole_box((2, 7, 5)), AX650, (2, 7)) == 70 * 2 / 10.67


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (Reshape(U8, (-1, 7)), [(2, 3, 4)]),
        (Reshape(U8, (2, 3)), [(2, 4)]),
        (Transpose(U8, (1, 0)), [(2, 3, 4)]),
        (Pad(U8, (0, 0, 1, 1), 0), [(2, 3, 4)]),
        (Concat(U8, 1, 2), [(2, 3), (3, 3)]),
        (Concat(U8, 1, 2), [(2, 3)]),
        (Concat(U8, 2, 2), [(2, 3), (2, 3)]),
        (Slice(U8, (0,), (1,), (2,), (1,)), [(2, 3)]),
        (Slice(U8, (2,), (1,), (0,), (1,)), [(4, 3)]),
        (gather(INT64, U8, (3, 2)), [()]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else str(value),
)
def test_shapes_that_do_not_fit_are_errors(kind, shapes):
    with pytest.raises(AxError) as error:
        kind.output_shape(*shapes)
    assert error.value.code == "AX455"
    assert kind.op_type in error.value.sentence


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Reshape(U8, (-1, 2, -1)), "only one dimension may be -1"),
        (lambda: Transpose(U8, (0, 2)), r"\(0, 2\) of AxTranspose is no permutation of axes"),
        (lambda: Pad(U8, (0, -1), 0), "must be begins and ends, none negative"),
        (lambda: Pad(U8, (0, 1), 256), "AxPad of U8 cannot pad with 256"),
        (lambda: Pad(S8, (0, 1), -129), "AxPad of S8 cannot pad with -129"),
        (lambda: Pad(BOOL, (0, 1), 2), "AxPad of BOOL cannot pad with 2"),
        (lambda: Pad(INT64, (0, 1), 1 << 31), "AxPad of INT64 cannot pad with 2147483648"),
        (lambda: Pad(FP32, (0, 1), (1 << 24) + 1), "AxPad of FP32 cannot pad with 16777217"),
        (lambda: Concat(U8, -1, 2), "AxConcat of 2 inputs on axis -1 is not possible"),
        (lambda: Slice(U8, (0,), (1,), (0,), (0,)), r"by \(0,\) is not possible"),
        (lambda: Slice(U8, (), (), (), ()), "AxSlice .* is not possible"),
        (lambda: Slice(U8, (0, 0), (1, 1), (0, 0), (1, 1)), "AxSlice .* is not possible"),
        (lambda: Slice(U8, (0,), (1, 1), (0,), (1,)), "AxSlice .* is not possible"),
        (lambda: Take(U8, 0, ()), r"AxTake of the positions \(\) on axis 0 is not possible"),
        (lambda: Take(U8, 0, (1, -1)), r"AxTake of the positions \(1, -1\) on axis 0 is not possible"),
        (lambda: Take(U8, -1, (1,)), "AxTake .* on axis -1 is not possible"),
        (lambda: gather(U8, U8, (3, 2)), "AxGather takes indices of INT32 or INT64, not U8"),
        (lambda: Gather(INT32, grid(0.1), np.zeros((3, 2), np.int8)), r"AxGather to U8 has a table of int8 \[3, 2\]"),
    ],
)
def test_constants_out_of_range_are_errors(make, sentence):
    with pytest.raises(AxError, match=sentence) as error:
        make()
    assert error.value.code == "AX451"


@pytest.mark.parametrize("index", [INT32, INT64], ids=str)
@pytest.mark.parametrize("outside", [9, -10, 2**31 - 1, -(2**31)])
def test_an_index_of_no_row_is_an_error_of_the_simulator_and_of_onnxruntime(index, outside):
    kind = gather(index, U8, (9, 5))
    x = np.array([[0, 8], [3, outside]])
    with pytest.raises(ValueRangeError) as error:
        run(one_kind(kind, [x.shape]), {"x0": x.astype(np.int32)})
    assert error.value.sentence == f"Job 1 (ld:op_0[0:2,0:2,0:5]_0_1): the index {outside} names none of 9 rows."
    assert error.value.code in CODES
    with pytest.raises(InvalidArgument, match="out of data bounds"):
        run_body(kind, x.astype(index.dtype))


def test_indices_below_zero_count_from_the_end():
    kind = gather(INT64, U16, (9, 5))
    x = np.array([[-1, -9, 8, 0]])
    expected = kind.data[[[8, 0, 8, 0]]]
    assert np.array_equal(run_body(kind, x), expected)
    assert np.array_equal(run(one_kind(kind, [x.shape]), {"x0": x.astype(np.int32)})["y"], expected)


@pytest.mark.parametrize("ocm_bytes", [0, 64 << 10, 4 << 10])
def test_of_a_table_larger_than_what_is_read_of_it_only_those_rows_are_loaded(ocm_bytes):
    kind = gather(INT64, U8, (500, 300))
    model = one_kind(kind, [(2, 3)])
    program, _ = compiled(model, chip(ocm_bytes))
    loads = [job for job in program.jobs if job.cname == "ld:param"]
    assert {job.kernel for job in loads} == {"gather_rows"}
    assert sum(operand.bytes for job in loads for operand in job.outputs) == 6 * 300
    assert bounds_of(program, net_of(model), chip()).ddr == int((6 * 4 + 2 * 6 * 300) / 21.33)
    x = np.array([[0, 499, 77], [-1, 3, 498]])
    for tiling in (None, random_tiling(net_of(model), 3)):
        found = run(model, {"x0": x.astype(np.int32)}, chip(ocm_bytes), tiling=tiling)["y"]
        assert np.array_equal(found, kind.data[x])


def test_a_table_smaller_than_what_is_read_of_it_is_loaded_once():
    kind = gather(INT64, U8, (10, 30))
    program, _ = compiled(one_kind(kind, [(4, 50)]))
    assert {job.kernel for job in program.jobs if job.cname == "ld:param"} == {"move"}


def test_axes_that_a_reshape_leaves_alone_are_cut_where_the_whole_does_not_fit():
    kind, shape = Reshape(U8, (-1, 4, 16, 40, 30)), (2, 64, 40, 30)
    out = ((1, 2), (0, 4), (0, 16), (7, 9), (20, 30))
    assert kind.tile_axes(shape) == (0, 1, 3, 4)
    assert kind.needs(out, shape) == (((1, 2), (0, 64), (7, 9), (20, 30)),)
    assert Reshape(U8, (4, 6)).tile_axes((2, 2, 6)) == (0, 1)
    x = np.random.default_rng(4).integers(0, 256, shape).astype(np.uint8)
    model = one_kind(kind, [shape])
    assert np.array_equal(run(model, {"x0": x}, chip(64 << 10))["y"], x.reshape(2, 4, 16, 40, 30))
    for seed in range(4):
        found = run(model, {"x0": x}, tiling=random_tiling(net_of(model), seed))["y"]
        assert np.array_equal(found, x.reshape(2, 4, 16, 40, 30))
