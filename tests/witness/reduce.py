"""Reductions, for the three witnesses."""

import math
from math import prod

from axbuild.toolchain.kinds.codes import CODES, S16, U8, U16, wide
from axbuild.toolchain.kinds.reduce import Reduce
from witness.base import Case, clamp, each, grid, oracle, pairs, positions, requantised

IMAGE = (2, 3, 5, 7)


@oracle.register
def _(kind: Reduce, x):
    def value(at):
        reach = [range(x.shape[axis]) if axis in kind.axes else [i] for axis, i in enumerate(at)]
        codes = [
            int(x[tuple(r[i] for r, i in zip(reach, place, strict=True))])
            for place in positions([len(r) for r in reach])
        ]
        if kind.op in ("max", "min"):
            return clamp(max(codes) if kind.op == "max" else min(codes), kind.lo, kind.hi)
        if kind.op == "l2":
            root = math.sqrt(sum((code - kind.x.zero) ** 2 for code in codes))
            return requantised(root, kind.multiplier, kind.y, kind.lo, kind.hi, True)
        acc = sum(codes) - len(codes) * kind.x.zero
        return requantised(acc, kind.multiplier, kind.y, kind.lo, kind.hi, wide(kind.x, kind.y))

    return each(kind, value, x)


def reduced(name, op, x, y=None, shape=IMAGE, axes=(2, 3), lo=None, hi=None) -> Case:
    y = y or x
    count = prod(shape[axis] for axis in axes) if op == "mean" else 1
    clamped = y.type.lo if lo is None else lo, y.type.hi if hi is None else hi
    return Case(name, Reduce.of(op, x, y, axes, *clamped, count), (shape,))


OPS = ("mean", "sum", "l2", "max", "min")
CASES = (
    [
        reduced(
            "over the map",
            op,
            grid(0.1, kind=x),
            grid(0.1 * x.span / y.span * ({"mean": 0.25, "sum": 6, "l2": 2}[op]), kind=y),
        )
        for op in OPS[:3]
        for x, y in pairs()
    ]
    + [
        case
        for t in CODES
        for case in (
            *(reduced("last axis", op, grid(0.1, kind=t), shape=(3, 4, 5), axes=(2,)) for op in OPS),
            *(reduced("all axes", op, grid(0.1, t.lo, t), shape=(2, 3, 4), axes=(0, 1, 2)) for op in OPS),
            *(reduced("channels, clamped", op, grid(0.1, t.hi, t), axes=(1,), lo=t.lo + 9, hi=t.hi - 3) for op in OPS),
            reduced("over the map", "max", grid(0.1, kind=t)),
            reduced("over the map", "min", grid(0.1, kind=t)),
            reduced("ties", "mean", grid(1.0, kind=t), shape=(9, 2), axes=(1,)),
        )
    ]
    + [
        reduced("1x1", "mean", grid(0.9, 255), grid(1.0, 0), (2, 3, 1, 1), hi=200),
        reduced("saturating", "sum", grid(0.5, kind=S16), grid(0.5, kind=S16)),
        reduced("widths", "mean", grid(0.5, kind=U16), axes=(3,)),
        reduced("many", "sum", grid(0.1, 0, U8), grid(0.1, 0, U16), (1, 2, 300, 3), (2,)),
    ]
)
