"""Boxes, tile axes and cost of every kind."""

import zlib

import numpy as np
import pytest
from bodies import run_body
from witness.all import CASES
from witness.base import values

from axbuild.toolchain.kinds.base import Box, Rates, memory_shape, whole_box
from axbuild.toolchain.kinds.codes import type_of

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
    for _ in range(2):
        out = random_box(rng, y.shape, case.kind.tile_axes(*shapes))
        boxes = case.kind.input_boxes(out, *shapes)
        changed = []
        for x, box, edge in zip(inputs, boxes, case.kind.reads, strict=True):
            assert all(0 <= a <= b <= size for (a, b), size in zip(box.ranges, memory_shape(x.shape), strict=True))
            other = values(rng, type_of(edge), memory_shape(x.shape), case.top, case.least)
            other[box.slices] = in_memory(x)[box.slices]
            changed.append(in_onnx_order(other))
        tile = in_memory(run_body(case.kind, *changed))[out.slices]
        assert np.array_equal(tile, y[out.slices], equal_nan=y.dtype.kind == "f"), (out, boxes)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_whole_output_needs_boxes_within_the_inputs_and_has_a_cost(case):
    out = whole_box(case.kind.output_shape(*case.shapes))
    boxes = case.kind.input_boxes(out, *case.shapes)
    assert len(boxes) == len(case.shapes)
    assert case.kind.cycles(out, AX650, *case.shapes) > 0
    assert case.kind.macs(out, *case.shapes) >= 0
    axes = case.kind.tile_axes(*case.shapes)
    assert len(set(axes)) == len(axes)
    assert all(0 <= axis < len(out.ranges) for axis in axes)
