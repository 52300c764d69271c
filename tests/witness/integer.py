"""Exact arithmetic on integers, for the three witnesses."""

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.kinds.codes import BOOL, INT32, INT64
from axbuild.toolchain.kinds.integer import IntegerBinary, IntegerReduce
from witness.base import Case, each, oracle


def quotient(a: int, b: int) -> int:
    return a // b if (a < 0) == (b < 0) else -(-a // b)


OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": quotient,
    "min": min,
    "max": max,
    "and": lambda a, b: a & b,
    "xor": lambda a, b: a ^ b,
}


@oracle.register
def _(kind: IntegerBinary, *inputs):
    shape = kind.output_shape(*(x.shape for x in inputs))
    a, b = (np.broadcast_to(x, shape) for x in inputs)
    return each(kind, lambda at: OPERATIONS[kind.op](int(a[at]), int(b[at])), *inputs)


@oracle.register
def _(kind: IntegerReduce, x):
    reduction = {"sum": sum, "max": max, "min": min}[kind.op]

    def value(at):
        place = tuple(slice(None) if axis in kind.axes else slice(i, i + 1) for axis, i in enumerate(at))
        return reduction(x[place].reshape(-1).tolist())

    return each(kind, value, x)


@dataclass(frozen=True)
class Signed(Case):
    """Integers of either sign below `top`, none of them 0."""

    least: int = 1

    def inputs(self):
        drawn = super().inputs()
        return [x if x.dtype == bool else np.where(x % 2, x, -x).astype(x.dtype) for x in drawn]


LOGIC = ("and", "xor")
CASES = [
    *(
        Signed("images", IntegerBinary(op, t), ((1, 3, 4, 5), (3, 1, 1)), top=46000)
        for op in OPERATIONS
        if op not in LOGIC
        for t in (INT32, INT64)
    ),
    *(Case("masks", IntegerBinary(op, BOOL), ((1, 1, 6, 7), (2, 1, 1, 7))) for op in LOGIC),
    Signed("a large quotient", IntegerBinary("div", INT64), ((3, 50), (1,)), top=2**31 - 1),
    Signed("a row", IntegerBinary("sub", INT32), ((40,), (40,)), top=30),
    *(
        Signed("axes", IntegerReduce(op, t, axes), ((2, 3, 4, 5),), top=9000)
        for op in ("sum", "max", "min")
        for t in (INT32, INT64)
        for axes in ((1,), (0, 2, 3))
    ),
    Signed("a vector", IntegerReduce("sum", INT64, (0,)), ((50,),), top=9),
]
