"""Rotation of pairs along the last axis, for the three witnesses."""

import numpy as np

from axbuild.toolchain.kinds.codes import CODES, U8, U16, ElementType
from axbuild.toolchain.kinds.rotary import FloatRotary, Rotary
from witness.base import Case, each, grid, oracle, pairs, requantised
from witness.float_function import Ordinary, narrowed


@oracle.register
def _(kind: Rotary, x):
    cosine, sine = (np.broadcast_to(part, x.shape) for part in kind.factors)

    def value(at):
        other = (*at[:-1], kind.partner[at[-1]])
        acc = (int(x[at]) - kind.x.zero) * int(cosine[at]) + (int(x[other]) - kind.x.zero) * int(sine[at])
        return requantised(acc, kind.multiplier, kind.y, kind.lo, kind.hi, True)

    return each(kind, value, x)


@oracle.register
def _(kind: FloatRotary, x):
    cosine, sine = (np.broadcast_to(part, x.shape) for part in kind.factors)

    def value(at):
        other = (*at[:-1], kind.partner[at[-1]])
        return narrowed(float(x[at]) * float(cosine[at]) + float(x[other]) * float(sine[at]))

    return each(kind, value, x)


HALVES, NEIGHBOURS = (3, 4, 5, 0, 1, 2), (1, 0, 3, 2, 5, 4)


def turned(*shape: int, partner=HALVES, x: ElementType = U8, y: ElementType = U8, cut: int = 0) -> Rotary:
    angles = np.random.default_rng(5).uniform(0.0, 7.0, shape)
    factors = np.stack([np.cos(angles), np.sin(angles)])
    scale = 0.02 * x.span / y.span
    return Rotary.of(grid(0.02, kind=x), grid(scale, kind=y), partner, factors, y.lo + cut, y.hi - cut)


def of_reals(*shape: int, partner=HALVES) -> FloatRotary:
    return FloatRotary(partner, np.random.default_rng(5).uniform(-1, 1, (2, *shape)).astype(np.float32))


CASES = [
    Ordinary("reals", of_reals(4, 6), ((2, 4, 6),)),
    Ordinary("reals of heads behind tokens", of_reals(5, 1, 6, partner=NEIGHBOURS), ((2, 5, 3, 6),)),
    *(Case("halves of tokens", turned(4, 6, x=x, y=y), ((2, 4, 6),)) for x, y in pairs()),
    *(Case("neighbours", turned(4, 6, partner=NEIGHBOURS, x=t, y=t), ((2, 3, 4, 6),)) for t in CODES),
    Case("heads behind tokens", turned(5, 1, 6), ((2, 5, 3, 6),)),
    Case("angles of their own a sample", turned(2, 1, 4, 6), ((2, 3, 4, 6),)),
    Case("one angle", turned(6, cut=9), ((7, 6),)),
    Case("a part that stays", turned(4, 6, partner=(1, 0, 2, 3, 4, 5), x=U16, y=U16, cut=9), ((1, 2, 4, 6),)),
]
