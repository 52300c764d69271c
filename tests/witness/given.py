"""Constants as tensors of their own, for the three witnesses."""

import numpy as np

from axbuild.toolchain.kinds.codes import BOOL, FP32, INT64, S16, U8
from axbuild.toolchain.kinds.given import Given
from witness.base import Case, grid, oracle, values


@oracle.register
def _(kind: Given):
    return kind.data.copy()


def given(edge, *shape) -> Given:
    kind = getattr(edge, "type", edge)
    return Given(edge, values(np.random.default_rng(len(shape)), kind, shape, 9))


CASES = [
    Case("codes of an image", given(grid(0.1), 1, 3, 5, 6), ()),
    Case("codes", given(grid(0.1, kind=S16), 7, 3), ()),
    Case("a mask", given(BOOL, 1, 1, 9, 9), ()),
    Case("a vector", given(INT64, 11), ()),
    Case("one value", given(FP32, 1), ()),
    Case("the same rows", Given(grid(0.1), np.full((2, 1, 4), 3, U8.dtype)), ()),
]
