"""Look-ups, for the three witnesses."""

import numpy as np
from witness.base import Case, each, grid, oracle, pairs

from axbuild.toolchain.kinds.table import Table


def squared(x: np.ndarray) -> np.ndarray:
    return x * x


@oracle.register
def _(kind: Table, x):
    entries = kind.table.tolist()
    return each(kind, lambda at: entries[int(x[at]) - kind.x.type.lo], x)


CASES = [
    Case("square", Table.of("Square", squared, grid(0.03, kind=x), grid(0.1, kind=y)), ((2, 3, 5, 6),))
    for x, y in pairs()
] + [Case("a vector", Table.of("Square", squared, grid(0.03), grid(0.1)), ((7,),))]
