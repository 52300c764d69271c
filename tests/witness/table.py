"""Look-ups, for the three witnesses."""

import numpy as np

from axbuild.toolchain.kinds.codes import U8, ElementType, Grid
from axbuild.toolchain.kinds.table import ChannelTable, Table, normalise_table
from witness.base import Case, each, grid, oracle, pairs


def squared(x: np.ndarray) -> np.ndarray:
    return x * x


@oracle.register
def _(kind: Table, x):
    entries = kind.table.tolist()
    return each(kind, lambda at: entries[int(x[at]) - kind.x.type.lo], x)


@oracle.register
def _(kind: ChannelTable, x):
    return each(kind, lambda at: kind.table[at[kind.axis], int(x[at]) - kind.x.type.lo], x)


def picture(axis: int, x: ElementType = U8, y: ElementType = U8) -> ChannelTable:
    """Three channels of raw values, normalised as nets for ImageNet ask."""
    mean, std = np.array([103.939, 116.779, 123.68], np.float32), np.array([58.0, 57.5, 1.75], np.float32)
    source, codes = Grid(1.0, 0, x), grid(0.031, kind=y)
    return ChannelTable(source, codes, normalise_table(mean, std, source, codes), axis)


CASES = [
    *(
        Case("square", Table.of("Square", squared, grid(0.03, kind=x), grid(0.1, kind=y)), ((2, 3, 5, 6),))
        for x, y in pairs()
    ),
    Case("a vector", Table.of("Square", squared, grid(0.03), grid(0.1)), ((7,),)),
    *(Case("picture", picture(1, x, y), ((2, 3, 5, 6),)) for x, y in pairs()),
    Case("picture NHWC", picture(3), ((2, 5, 6, 3),)),
    Case("rows", picture(0), ((3, 40),)),
]
