"""Exact arithmetic on integers; truth values are 0 and 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import NoAttr
from axbuild.toolchain.npu.lower.integer import AxesAttr
from axbuild.toolchain.npu.simulator.base import Kernel, ValueRangeError
from axbuild.toolchain.npu.simulator.blocks import blocks


def _quotient(a: Array, b: Array) -> Array:
    """Cut off towards zero."""
    if not b.all():
        raise ValueRangeError("the divisor is 0")
    quotient: Array = np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))
    return quotient


def require_held(found: Array, target: Array) -> Array:
    """int64 results, of which the target's element type holds each."""
    limits = np.iinfo(target.dtype)
    if (odd := found[(found < limits.min) | (found > limits.max)]).size:
        raise ValueRangeError(f"the result {odd[0]} is beyond what the NPU holds ({target.dtype})")
    return found


def _kernel(operation: Callable[[Array, Array], Array]) -> Kernel:
    """operation: on int64, whose results are exact; a result that the element type does not hold is an error."""

    def run(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
        for a, b, y in blocks(targets[0], *sources, dtype=np.int64):
            y[...] = require_held(operation(a, b), y)

    return Kernel(run, 2, NoAttr)


def _reduction(operation: np.ufunc) -> Kernel:
    def run(sources: list[Array], targets: list[Array], attr: AxesAttr) -> None:
        found = operation.reduce(sources[0], axis=attr.axes, keepdims=True, dtype=np.int64)
        targets[0][...] = require_held(found, targets[0])

    return Kernel(run, 1, AxesAttr)


ARITHMETIC = {
    "integer_add": _kernel(np.add),
    "integer_sub": _kernel(np.subtract),
    "integer_mul": _kernel(np.multiply),
    "integer_div": _kernel(_quotient),
    "integer_min": _kernel(np.minimum),
    "integer_max": _kernel(np.maximum),
    "integer_and": _kernel(np.bitwise_and),
    "integer_xor": _kernel(np.bitwise_xor),
    "integer_reduce_sum": _reduction(np.add),
    "integer_reduce_max": _reduction(np.maximum),
    "integer_reduce_min": _reduction(np.minimum),
}
"""name of a job's kernel -> what it computes"""
