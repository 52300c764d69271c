"""Kinds of random shapes, grids and element types: body, simulator, tilings and oracle, zero differing elements."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
import pytest
import witness.all  # noqa: F401 - registers every oracle
from bodies import LEVELS, run_body
from npu_world import carried, one_kind, random_tiling, run
from witness.base import Case, Grid, oracle
from witness.gather import gather
from witness.norm import norm
from witness.pool import average, largest
from witness.select import select

from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import CODES, INT32, INT64, TYPES
from axbuild.toolchain.kinds.mover import Pad, Slice, Take, Transpose
from axbuild.toolchain.kinds.rearrange import Rearrange
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.npu.net import net_of

Shapes = list[tuple[int, ...]]


class Draw:
    """Random pieces of a case."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.rank = self.between(1, 5)
        self.shape = tuple(self.between(1, 6) for _ in range(self.rank))
        self.image = (self.between(1, 2), self.between(1, 5), self.between(4, 8), self.between(4, 8))

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def one_of(self, choices):
        return choices[self.between(0, len(choices) - 1)]

    def axes(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(self.rank) if self.rng.random() < 0.6) or (0,)

    def grid(self) -> Grid:
        kind = self.one_of(CODES)
        scale = float(np.float32(self.rng.uniform(0.5, 3) / kind.span * self.one_of((0.1, 1, 10))))
        return Grid(scale, self.between(kind.lo, kind.hi), kind)

    def pair(self, low: int, high: int) -> tuple[int, int]:
        return self.between(low, high), self.between(low, high)


def a_slice(d: Draw) -> tuple[Kind, Shapes]:
    axes = d.axes()
    steps = tuple(d.one_of((-3, -2, -1, 1, 2, 3)) for _ in axes)
    starts, ends = zip(*(((0, 9), (-1, -9))[step < 0] for step in steps), strict=True)
    starts = tuple(start + (d.between(-1, 1) if d.shape[a] > 2 else 0) for start, a in zip(starts, axes, strict=True))
    return Slice(d.one_of(TYPES), starts, ends, axes, steps), [d.shape]


def a_take(d: Draw) -> tuple[Kind, Shapes]:
    axis = d.between(0, d.rank - 1)
    positions = tuple(d.between(0, d.shape[axis] - 1) for _ in range(d.between(1, 12)))
    return Take(d.one_of(TYPES), axis, positions), [d.shape]


def a_pad(d: Draw) -> tuple[Kind, Shapes]:
    return Pad(d.one_of(TYPES), tuple(d.between(0, 2) for _ in range(2 * d.rank)), 1), [d.shape]


def a_transpose(d: Draw) -> tuple[Kind, Shapes]:
    return Transpose(d.one_of(TYPES), tuple(int(axis) for axis in d.rng.permutation(d.rank))), [d.shape]


def a_rearrangement(d: Draw) -> tuple[Kind, Shapes]:
    groups = [tuple(d.between(1, 3) for _ in range(d.between(1, 3))) for _ in range(d.between(1, 4))]
    apart = [factor for group in groups for factor in group]
    order = [0, *(int(axis) + 1 for axis in d.rng.permutation(len(apart) - 1))]
    taken = [apart[axis] for axis in order]
    cuts = [0, *sorted({d.between(1, len(taken)) for _ in range(d.between(0, 3))} - {len(taken)}), len(taken)]
    joined = [prod(taken[a:b]) for a, b in pairwise(cuts)]
    starts = [d.between(0, size - 1) for size in joined]
    ends = [d.between(start + 1, size + 1) for start, size in zip(starts, joined, strict=True)]
    kind = Rearrange(d.one_of(TYPES), *map(tuple, (apart, order, joined, starts, ends)))
    return kind, [tuple(prod(group) for group in groups)]


def a_max_pool(d: Draw) -> tuple[Kind, Shapes]:
    kernel, strides, dilations = d.pair(1, 3), d.pair(1, 3), d.pair(1, 2)
    reach = [step * (size - 1) for step, size in zip(dilations, kernel, strict=True)] * 2
    pads = tuple(min(d.between(0, 4), r) for r in reach)
    height, width = (max(size, 1 + r) for size, r in zip(d.image[2:], reach[:2], strict=True))
    return largest(d.one_of(CODES), kernel, strides, pads, dilations), [(*d.image[:2], height, width)]


def an_average_pool(d: Draw) -> tuple[Kind, Shapes]:
    pads = (*d.pair(0, 2), *d.pair(0, 2))
    return average(d.grid(), d.grid(), d.image[2:], d.pair(1, 3), d.pair(1, 3), pads, include_pad=True), [d.image]


def a_reduction(d: Draw) -> tuple[Kind, Shapes]:
    op, x, axes = d.one_of(("mean", "sum", "l2", "max", "min")), d.grid(), d.axes()
    y = d.grid() if op in ("mean", "sum", "l2") else x
    count = prod(d.shape[axis] for axis in axes) if op == "mean" else 1
    return Reduce.of(op, x, y, axes, y.type.lo, y.type.hi, count), [d.shape]


def a_norm(d: Draw) -> tuple[Kind, Shapes]:
    shape = (2, *d.shape)
    own = shape[d.between(1, d.rank) :]
    return norm(d.grid(), d.grid(), own, d.one_of((1e-12, 1e-5, 1.0)), d.one_of((True, False))), [shape]


def a_choice(d: Draw) -> tuple[Kind, Shapes]:
    op = d.one_of(("where", "max", "min"))
    ones = [tuple(size if d.rng.random() < 0.7 else 1 for size in d.shape) for _ in range(2)]
    others = [shape[d.between(0, d.rank - 1) :] for shape in ones]
    return select(op, d.grid(), d.grid(), d.grid()), [d.shape, *others[: 2 if op == "where" else 1]]


def a_gathering(d: Draw) -> tuple[Kind, Shapes]:
    rows = (8, *(d.between(1, 4) for _ in range(d.between(0, 2))))
    return gather(d.one_of((INT32, INT64)), d.one_of(CODES), rows), [d.shape[:3]]


MAKERS = (
    a_slice,
    a_take,
    a_pad,
    a_transpose,
    a_rearrangement,
    a_max_pool,
    an_average_pool,
    a_reduction,
    a_norm,
    a_choice,
    a_gathering,
)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("seed", range(12))
def test_body_simulator_tilings_and_oracle_agree(make, seed):
    kind, shapes = make(Draw(seed))
    inputs = Case(f"{make.__name__} {seed}", kind, tuple(shapes)).inputs()
    expected = oracle(kind, *inputs)
    for level in LEVELS:
        np.testing.assert_array_equal(run_body(kind, *inputs, level=level), expected, strict=True)
    model, feeds = one_kind(kind, shapes), {f"x{i}": carried(x) for i, x in enumerate(inputs)}
    for tiling in (None, random_tiling(net_of(model), seed), random_tiling(net_of(model), seed + 100)):
        np.testing.assert_array_equal(run(model, feeds, tiling=tiling)["y"], carried(expected), strict=True)
