"""Movers, for the three witnesses."""

import math

import numpy as np

from axbuild.toolchain.kinds.codes import BOOL, CODES, FP32, INT32, INT64, S8, S16, TYPES, U8, U16
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Slice, Take, Transpose
from axbuild.toolchain.kinds.rearrange import END, Rearrange
from witness.base import Case, each, oracle

IMAGE = (2, 3, 5, 6)


@oracle.register
def _(kind: Reshape, x):
    return np.array(x.ravel().tolist(), x.dtype).reshape(kind.output_shape(x.shape))


@oracle.register
def _(kind: Transpose, x):
    return each(kind, lambda at: x[tuple(at[kind.perm.index(axis)] for axis in range(x.ndim))], x)


@oracle.register
def _(kind: Pad, x):
    def value(at):
        places = [i - kind.pads[axis] for axis, i in enumerate(at)]
        inside = all(0 <= i < size for i, size in zip(places, x.shape, strict=True))
        return x[tuple(places)] if inside else kind.value

    return each(kind, value, x)


@oracle.register
def _(kind: Concat, *inputs):
    def value(at):
        i, offset = 0, at[kind.axis]
        while offset >= inputs[i].shape[kind.axis]:
            offset -= inputs[i].shape[kind.axis]
            i += 1
        return inputs[i][(*at[: kind.axis], offset, *at[kind.axis + 1 :])]

    return each(kind, value, *inputs)


@oracle.register
def _(kind: Slice, x):
    def first(i):
        size, start = x.shape[kind.axes[i]], kind.starts[i]
        start += size if start < 0 else 0
        return max(0, min(start, size - 1))

    firsts = {axis: first(i) for i, axis in enumerate(kind.axes)}
    steps = dict(zip(kind.axes, kind.steps, strict=True))
    return each(kind, lambda at: x[tuple(firsts.get(a, 0) + i * steps.get(a, 1) for a, i in enumerate(at))], x)


@oracle.register
def _(kind: Take, x):
    return each(kind, lambda at: x[(*at[: kind.axis], kind.positions[at[kind.axis]], *at[kind.axis + 1 :])], x)


@oracle.register
def _(kind: Rearrange, x):
    shape = [size if size > 0 else x.shape[0] for size in kind.apart]

    def digits(number, sizes):
        found = []
        for size in reversed(sizes):
            found.append(number % size)
            number //= size
        return found[::-1]

    def number(places, sizes):
        total = 0
        for place, size in zip(places, sizes, strict=True):
            total = total * size + place
        return total

    joined = [size if size > 0 else x.size // math.prod(kind.joined[1:]) for size in kind.joined]
    ordered = [shape[axis] for axis in kind.order]
    flat = x.ravel()

    def value(at):
        there = digits(number([i + start for i, start in zip(at, kind.starts, strict=True)], joined), ordered)
        here = [there[kind.order.index(axis)] for axis in range(len(shape))]
        return flat[number(here, shape)]

    return each(kind, value, x)


FAR = 2**63 - 1
CASES = [
    case
    for t in TYPES
    for case in (
        Case("flatten", Reshape(t, (-1, 90)), (IMAGE,)),
        Case("to NHWC", Transpose(t, (0, 2, 3, 1)), (IMAGE,)),
        Case("constant", Pad(t, (0, 1, 2, 0, 0, 0, 1, 3), 1), (IMAGE,)),
        Case("three on channels", Concat(t, 1, 3), (IMAGE, (2, 1, 5, 6), (2, 4, 5, 6))),
        Case("a window", Slice(t, (1, -4), (3, FAR), (1, 3), (1, 1)), (IMAGE,)),
        Case("doubled rows", Take(t, 2, (0, 0, 1, 1, 2, 2, 3, 3, 4, 4)), (IMAGE,)),
        Case(
            "channels to pixels, without the rim",
            Rearrange(t, (-1, 2, 2, 3, 4, 3), (0, 1, 4, 2, 5, 3), (-1, 2, 8, 9), (0, 0, 1, 0), (END, END, 8, 7)),
            ((2, 12, 4, 3),),
        ),
        Case("steps", Slice(t, (1, -1), (FAR, -FAR), (2, 3), (3, -2)), (IMAGE,)),
    )
] + [
    Case("static batch", Reshape(U8, (2, 9, 10)), (IMAGE,)),
    Case("to five axes", Reshape(S16, (-1, 3, 1, 5, 6)), (IMAGE,)),
    Case("to an image", Reshape(U16, (-1, 3, 4, 2)), ((2, 24),)),
    Case("to NCHW", Transpose(FP32, (0, 3, 1, 2)), ((2, 4, 4, 3),)),
    Case("swap", Transpose(U8, (1, 0, 2)), ((2, 3, 4),)),
    Case("backwards", Transpose(S16, (3, 2, 1, 0)), (IMAGE,)),
    Case("truth", Pad(BOOL, (0, 1, 2, 0), 0), ((2, 8),)),
    Case("highest code", Pad(U16, (0, 0, 1, 1, 0, 0, 1, 1), U16.hi), (IMAGE,)),
    Case("lowest code", Pad(S16, (0, 0, 1, 1, 0, 0, 1, 1), S16.lo), (IMAGE,)),
    Case("below zero", Pad(S8, (0, 1, 0, 2), -7), ((2, 8),)),
    Case("a whole number", Pad(FP32, (0, 1, 0, 2), 7), ((2, 8),)),
    Case("index", Pad(INT64, (0, 1, 0, 2), -1), ((2, 8),)),
    Case("two on the last axis", Concat(INT32, 2, 2), ((2, 3, 4), (2, 3, 1))),
    Case("one input", Concat(U8, 0, 1), ((2, 3),)),
    Case("a vector backwards", Slice(U16, (-100,), (FAR,), (0,), (2,)), ((7,),)),
    Case("clamped starts", Slice(S8, (100, -100), (-100, 100), (0, 1), (-1, 2)), ((4, 7),)),
    Case("channels in no order", Take(U8, 1, (2, 0, 2, 1)), (IMAGE,)),
    Case(
        "pixels to channels",
        Rearrange.whole(U8, (-1, 3, 2, 2, 3, 2), (0, 3, 5, 1, 2, 4), (-1, 12, 2, 3)),
        ((2, 3, 4, 6),),
    ),
    Case("windows", Rearrange.whole(S16, (-1, 3, 2, 2, 3, 2), (0, 2, 4, 3, 5, 1), (-1, 4, 3)), ((2, 3, 4, 6),)),
    Case("shuffled", Rearrange.whole(U16, (2, 3, 2, 5), (0, 2, 1, 3), (2, 6, 5)), ((2, 6, 5),)),
    Case("one of a vector", Take(S16, 0, (6,)), ((7,),)),
    Case("repeated", Take(U16, 1, (0,) * 9), ((3, 1, 2),)),
    Case("of five axes", Take(S8, 4, (1, 0, 1)), ((2, 1, 3, 2, 2),)),
    *(Case("whole", Slice(t, (0,), (FAR,), (1,), (1,)), ((2, 3, 4),)) for t in CODES),
]
