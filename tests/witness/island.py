"""Arithmetic on reals, for the three witnesses."""

import math
import operator

import numpy as np

from axbuild.toolchain.kinds.island import FloatBinary, FloatClip
from witness.base import Case, each, float32, oracle

IMAGE = (2, 3, 5, 6)
OPERATORS = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}


def once(op: str, a: float, b: float) -> float:
    """One operation on float32 values, rounded once to float32."""
    if op == "div" and not b:
        sign = math.copysign(1, a) * math.copysign(1, b)
        return math.nan if not a or math.isnan(a) else math.copysign(math.inf, sign)
    exact = OPERATORS[op](a, b)
    if math.isinf(exact) or math.isnan(exact):
        return exact
    try:
        return float32(exact)
    except OverflowError:
        return math.copysign(math.inf, exact)


@oracle.register
def _(kind: FloatBinary, a, b):
    shape = kind.output_shape(a.shape, b.shape)
    a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    return each(kind, lambda at: once(kind.op, float(a[at]), float(b[at])), a, b)


@oracle.register
def _(kind: FloatClip, x):
    def value(at):
        real = float(x[at])
        return kind.lo if real < kind.lo else kind.hi if real > kind.hi else real

    return each(kind, value, x)


CASES = [
    *(Case("same shape", FloatBinary(op), (IMAGE, IMAGE)) for op in OPERATORS),
    *(Case("channel", FloatBinary(op), (IMAGE, (3, 1, 1))) for op in OPERATORS),
    *(Case("row of rank 1", FloatBinary(op), ((6,), IMAGE)) for op in OPERATORS),
    *(Case("both broadcast", FloatBinary(op), ((2, 1, 40), (30, 1))) for op in OPERATORS),
    Case("six", FloatClip(0.0, 6.0), (IMAGE,)),
    Case("one end", FloatClip(-1.5, math.inf), ((3, 40),)),
    Case("one value", FloatClip(0.25, 0.25), ((40,),)),
]
