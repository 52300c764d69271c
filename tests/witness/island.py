"""Arithmetic on reals, for the three witnesses."""

import math
import operator

import numpy as np

from axbuild.toolchain.kinds.float_softmax import FloatSoftmax
from axbuild.toolchain.kinds.island import FloatBinary, FloatClip, FloatWithConstant
from witness.base import Case, each, float32, oracle
from witness.float_function import exp, log, narrowed

IMAGE = (2, 3, 5, 6)
OPERATORS = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}


def once(op: str, a: float, b: float) -> float:
    """One operation on float32 values, rounded once to float32."""
    if op == "div" and not b:
        sign = math.copysign(1, a) * math.copysign(1, b)
        return math.nan if not a or math.isnan(a) else math.copysign(math.inf, sign)
    if op in ("max", "min"):
        return a if (a > b if op == "max" else a < b) else b
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
def _(kind: FloatWithConstant, x):
    shape = kind.output_shape(x.shape)
    x, constant = np.broadcast_to(x, shape), np.broadcast_to(kind.constant, shape)

    def value(at):
        a, c = float(x[at]), float(constant[at])
        match kind.op:
            case "from":
                return once("sub", c, a)
            case "over":
                return once("div", c, a)
            case "slope":
                return once("mul", a, c) if a < 0 else a
        return once(kind.op, a, c)

    return each(kind, value, x)


@oracle.register
def _(kind: FloatSoftmax, x):
    def power(at):
        line = [held(float(v)) for v in x[(*at[: kind.axis], slice(None), *at[kind.axis + 1 :])]]
        powers = [math.floor(exp(v - max(line)) * 2.0**40) for v in line]
        if kind.op == "logarithm":
            return narrowed(line[at[kind.axis]] - max(line) - log(float(sum(powers)) * 2.0**-40))
        return float32(float(powers[at[kind.axis]]) / float(sum(powers)))

    return each(kind, power, x)


def held(value: float) -> float:
    largest = float(np.finfo(np.float32).max)
    return -largest if math.isnan(value) else min(max(value, -largest), largest)


@oracle.register
def _(kind: FloatClip, x):
    def value(at):
        real = float(x[at])
        return kind.lo if real < kind.lo else kind.hi if real > kind.hi else real

    return each(kind, value, x)


def constant(op, *shape):
    """Some of it 0, some negative."""
    array = np.random.default_rng(len(op)).normal(0, 3, shape).astype(np.float32)
    array.reshape(-1)[:1] = 0.0
    return FloatWithConstant(op, array)


CASES = [
    *(Case("channel", constant(op, 3, 1, 1), (IMAGE,)) for op in ("add", "mul", "div", "from", "over", "slope")),
    *(Case("grown", constant(op, 2, 3, 1, 6), ((5, 1),)) for op in ("add", "from", "over")),
    *(Case("the larger or smaller", FloatBinary(op), (IMAGE, (3, 1, 6))) for op in ("max", "min")),
    *(Case("channels", FloatSoftmax(op, 1), (IMAGE,)) for op in ("share", "logarithm")),
    *(Case("a row", FloatSoftmax(op, 2), ((2, 3, 30),)) for op in ("share", "logarithm")),
    *(Case("same shape", FloatBinary(op), (IMAGE, IMAGE)) for op in OPERATORS),
    *(Case("channel", FloatBinary(op), (IMAGE, (3, 1, 1))) for op in OPERATORS),
    *(Case("row of rank 1", FloatBinary(op), ((6,), IMAGE)) for op in OPERATORS),
    *(Case("both broadcast", FloatBinary(op), ((2, 1, 40), (30, 1))) for op in OPERATORS),
    Case("six", FloatClip(0.0, 6.0), (IMAGE,)),
    Case("one end", FloatClip(-1.5, math.inf), ((3, 40),)),
    Case("one value", FloatClip(0.25, 0.25), ((40,),)),
]
