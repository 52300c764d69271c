"""Arithmetic on an activation and a constant, for the three witnesses."""

import numpy as np

from axbuild.toolchain.kinds.codes import CODES, U8, U16, ElementType
from axbuild.toolchain.kinds.with_constant import WithConstant
from witness.base import Case, each, grid, oracle, pairs, requantised


@oracle.register
def _(kind: WithConstant, x):
    shape = kind.output_shape(x.shape)
    x, constants = np.broadcast_to(x, shape), np.broadcast_to(kind.constant, shape)

    def value(at):
        steps, constant = int(x[at]) - kind.x.zero, int(constants[at])
        if kind.op == "slope":
            acc = steps * (constant if steps < 0 else kind.factor)
        else:
            acc = steps * kind.factor + constant if kind.op == "add" else steps * constant
        return requantised(acc, kind.multiplier, kind.y, kind.lo, kind.hi, True)

    return each(kind, value, x)


def reals(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).normal(0.0, 0.9, shape).astype(np.float32)


def added(constant, x: ElementType = U8, y: ElementType = U8, sign: int = 1, cut: int = 0) -> WithConstant:
    return WithConstant.added(constant, sign, grid(0.02, kind=x), grid(0.03, kind=y), y.lo + cut, y.hi - cut)


def times(constant, x: ElementType = U8, y: ElementType = U8, cut: int = 0) -> WithConstant:
    return WithConstant.times(constant, grid(0.02, kind=x), grid(0.03, kind=y), y.lo + cut, y.hi - cut)


def sloped(slope, x: ElementType = U8, y: ElementType = U8, cut: int = 0) -> WithConstant:
    return WithConstant.sloped(slope, grid(0.02, kind=x), grid(0.03, kind=y), y.lo + cut, y.hi - cut)


CASES = [
    *(Case("a value a channel", added(reals(3, 1, 1), x, y), ((2, 3, 5, 6),)) for x, y in pairs()),
    *(Case("a value a channel", times(reals(3, 1, 1), x, y), ((2, 3, 5, 6),)) for x, y in pairs()),
    *(Case("a slope a channel", sloped(reals(3, 1, 1), x, y), ((2, 3, 5, 6),)) for x, y in pairs()),
    Case("one slope", sloped(reals(1), cut=9), ((2, 3, 5),)),
    Case("steep slopes", sloped(np.array([3000.0, -2.5, 0.0], np.float32)), ((2, 3),)),
    *(Case("subtracted from rows", added(reals(1, 7, 1), t, t, sign=-1), ((2, 7, 4),)) for t in CODES),
    Case("one value", added(reals(1), cut=9), ((2, 3, 5, 6),)),
    Case("one value", times(reals(1), U16, U16, cut=9), ((2, 3, 5),)),
    Case("a value a pixel", added(reals(1, 1, 5, 6)), ((2, 3, 5, 6),)),
    Case("a value an element", times(reals(1, 3, 5, 6)), ((2, 3, 5, 6),)),
    Case("positions of tokens", added(reals(1, 9, 4)), ((1, 9, 4),)),
    Case("more axes than the activation", added(reals(2, 3, 1, 4)), ((5, 4),)),
    Case("spreading the activation", times(reals(1, 3, 5, 1)), ((2, 1, 1, 6),)),
    Case("far beyond the grid", added(np.array([1e30, -1e30, 0.5], np.float32)), ((2, 3),)),
    Case("nothing at all", times(np.zeros((4,), np.float32)), ((2, 4),)),
    Case("a vector", added(reals(7)), ((7,),)),
]
