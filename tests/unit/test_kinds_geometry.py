"""Shapes, boxes, tile axes, multiply-accumulates and cycles of every kind."""

import zlib

import numpy as np
import pytest
from bodies import run_body
from kind_cases import CASES, conv, fully_connected

from axbuild.errors import AxError
from axbuild.toolchain.kinds.arithmetic import add_multipliers, multiplier_of, multipliers_of, softmax_table
from axbuild.toolchain.kinds.base import Box, Rates, memory_shape, whole_box
from axbuild.toolchain.kinds.binary import Add
from axbuild.toolchain.kinds.border import Normalize
from axbuild.toolchain.kinds.mac import MatMul
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.reduce import GlobalAveragePool
from axbuild.toolchain.kinds.table import ChannelTable, Softmax

AX650 = Rates(2, 8, 32, 4, 32, 2, 0.85, 64, 256, 21.33, 10.67, 4.0, 2.0, 4.0)


def in_memory(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def in_onnx_order(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def random_box(rng, shape, axes) -> Box:
    """A random region, cut only along the given axes."""
    ranges = [(0, size) for size in shape]
    for axis in axes:
        start = int(rng.integers(0, shape[axis]))
        ranges[axis] = (start, int(rng.integers(start, shape[axis])) + 1)
    return Box(tuple(ranges))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_tile_depends_on_its_input_boxes_alone(case):
    """Whatever lies outside the input boxes may change: the tile must not."""
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    inputs = case.inputs()
    shapes = [x.shape for x in inputs]
    y = in_memory(run_body(case.kind, *inputs))
    for _ in range(4):
        out = random_box(rng, y.shape, case.kind.tile_axes(*shapes))
        boxes = case.kind.input_boxes(out, *shapes)
        changed = []
        for x, box in zip(inputs, boxes, strict=True):
            assert all(0 <= a <= b <= size for (a, b), size in zip(box.ranges, memory_shape(x.shape), strict=True))
            other = rng.integers(0, 256, memory_shape(x.shape)).astype(x.dtype)
            other[box.slices] = in_memory(x)[box.slices]
            changed.append(in_onnx_order(other))
        tile = in_memory(run_body(case.kind, *changed))[out.slices]
        assert tile.tobytes() == y[out.slices].tobytes(), (out, boxes)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_whole_output_needs_boxes_within_the_inputs_and_has_a_cost(case):
    shapes = [x.shape for x in case.inputs()]
    out = whole_box(case.kind.output_shape(*shapes))
    boxes = case.kind.input_boxes(out, *shapes)
    assert len(boxes) == len(shapes)
    assert case.kind.cycles(out, AX650, *shapes) > 0
    assert case.kind.macs(out, *shapes) >= 0
    axes = case.kind.tile_axes(*shapes)
    assert len(set(axes)) == len(axes)
    assert all(0 <= axis < len(out.ranges) for axis in axes)


def test_broadcast_operands_are_read_where_they_have_elements():
    kind = Add(0, 0, 0, *add_multipliers(1.0, 1.0, 1.0), 0, 255)
    out = Box(((0, 1), (2, 4), (0, 5), (1, 3)))
    a, b = kind.input_boxes(out, (2, 3, 6, 5), (3, 1, 1))
    assert a == out
    assert b == Box(((1, 3), (0, 1), (0, 1)))


def test_parts_of_a_concat_that_do_not_meet_an_input_are_empty_there():
    kind = Concat(1, 3)
    boxes = kind.input_boxes(Box(((0, 1), (0, 2), (0, 2), (3, 5))), (1, 2, 2, 2), (1, 2, 2, 2), (1, 2, 2, 2))
    assert [box.ranges[3] for box in boxes] == [(2, 2), (1, 2), (0, 1)]


def test_reflected_rows_come_from_inside_the_map():
    kind = Pad((0, 0, 2, 0, 0, 0, 3, 0), "reflect", 0)
    x = (1, 1, 6, 4)
    (box,) = kind.input_boxes(Box(((0, 1), (0, 3), (0, 4), (0, 1))), x)
    assert box.ranges[1] == (0, 3)
    (box,) = kind.input_boxes(Box(((0, 1), (8, 11), (0, 4), (0, 1))), x)
    assert box.ranges[1] == (2, 5)


def test_views_move_nothing_in_memory():
    assert Reshape((-1, 8)).is_view((2, 8, 1, 1))
    assert not Reshape((-1, 32)).is_view((2, 8, 2, 2))
    assert Reshape((-1, 4)).is_view((2, 2, 2))
    assert not Transpose((0, 3, 1, 2)).is_view((1, 8, 8, 3))
    assert Transpose((0, 2, 1)).is_view((2, 1, 7))
    assert Transpose((0, 2, 3, 1)).is_view((2, 5, 1, 1))


def test_macs_count_every_product_once():
    assert conv((8, 4, 3, 3), group=2, pads=(1, 1, 1, 1)).macs(whole_box((2, 8, 5, 5)), (2, 8, 5, 5)) == 8 * 25 * 2 * 36
    assert fully_connected(5, 9).macs(whole_box((2, 4, 5)), (2, 4, 9)) == 2 * 4 * 5 * 9
    assert MatMul(0.5, 0, 0, 0, 0, 255).macs(whole_box((2, 3, 4)), (2, 3, 7), (7, 4)) == 2 * 3 * 4 * 7


def test_cycles_follow_the_published_model():
    image = (1, 16, 14, 14)
    whole = whole_box((1, 40, 14, 14))
    assert conv((40, 16, 3, 3), pads=(1, 1, 1, 1)).cycles(whole, AX650, image) == 2 * 2 * 49 * 9 / (2 * 0.85)
    depthwise = conv((40, 1, 3, 3), group=40, pads=(1, 1, 1, 1))
    assert depthwise.cycles(whole, AX650, (1, 40, 14, 14)) == 2 * 98 * 9 / 2
    assert fully_connected(1000, 1280).cycles(whole_box((1, 1000)), AX650, (1, 1280)) == 160 * 32 * 1 / (2 * 0.85)
    assert MaxPool((3, 2), (1, 1), (0, 0, 0, 0), (1, 1), 0, 255).cycles(whole, AX650, image) == 40 * 196 * 6 / 64
    assert GlobalAveragePool(0.5, 0, 0, 0, 255).cycles(whole_box((2, 9, 1, 1)), AX650, (2, 9, 7, 7)) == 2 * 9 * 49 / 64
    assert Add(0, 0, 0, 1, 1, 1, 0, 255).cycles(whole, AX650, image, image) == 40 * 196 / 64
    assert Transpose((0, 3, 1, 2), "float32").cycles(whole, AX650, image) == 40 * 196 * 4 / 10.67


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (conv((4, 3, 3, 3)), [(1, 4, 8, 8)]),
        (conv((4, 3, 3, 3)), [(3, 8, 8)]),
        (conv((4, 3, 3, 3)), [(1, 3, 2, 8)]),
        (fully_connected(4, 9), [(2, 8)]),
        (MatMul(0.5, 0, 0, 0, 0, 255), [(2, 3), (4, 2)]),
        (MatMul(0.5, 0, 0, 0, 0, 255), [(2, 5, 3), (4, 3, 2)]),
        (MatMul(0.5, 0, 0, 0, 0, 255), [(3,), (3, 2)]),
        (Add(0, 0, 0, 1, 1, 1, 0, 255), [(2, 3), (2, 4)]),
        (MaxPool((3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 0, 255), [(1, 3, 2, 2)]),
        (MaxPool((3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 0, 255), [(1, 3, 9)]),
        (AveragePool(multipliers_of(np.ones((2, 2))), 0, 0, 0, 255, (2, 2), (1, 1), (0, 0, 0, 0)), [(1, 1, 5, 5)]),
        (GlobalAveragePool(0.5, 0, 0, 0, 255), [(1, 3)]),
        (ChannelTable(np.zeros((3, 256), np.uint8), 1), [(1, 4, 2, 2)]),
        (Normalize(np.zeros(3, np.float32), np.ones(3, np.float32), 3), [(1, 3, 2, 2)]),
        (Softmax(softmax_table(0.1), 2), [(1, 3)]),
        (Reshape((-1, 7)), [(2, 3, 4)]),
        (Reshape((2, 3)), [(2, 4)]),
        (Transpose((1, 0)), [(2, 3, 4)]),
        (Pad((0, 0, 1, 1), "edge", 0), [(2, 3, 4)]),
        (Pad((0, 3, 0, 0), "reflect", 0), [(2, 3)]),
        (Concat(1, 2), [(2, 3), (3, 3)]),
        (Concat(1, 2), [(2, 3)]),
        (Concat(2, 2), [(2, 3), (2, 3)]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else str(value),
)
def test_shapes_that_do_not_fit_are_errors(kind, shapes):
    with pytest.raises(AxError) as error:
        kind.output_shape(*shapes)
    assert error.value.code == "AX455"
    assert kind.op_type in error.value.sentence


def test_sums_of_activations_too_long_for_the_accumulator_are_errors():
    deep = MatMul(multiplier_of(1e-6), 0, 0, 0, 0, 255)
    assert deep.output_shape((1, 33025), (33025, 1)) == (1, 1)
    with pytest.raises(AxError) as error:
        deep.output_shape((1, 33026), (33026, 1))
    assert error.value.code == "AX453"
    with pytest.raises(AxError, match="accumulator"):
        GlobalAveragePool(multiplier_of(1e-7), 0, 0, 0, 255).output_shape((1, 1, 4096, 4096))
