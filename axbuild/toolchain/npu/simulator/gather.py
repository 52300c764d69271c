"""Rows of a table."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.gather import GatherAttr
from axbuild.toolchain.npu.simulator.base import Kernel, ValueRangeError


def gather(sources: list[Array], targets: list[Array], attr: GatherAttr) -> None:
    """y = table[:, x] with the table's first axis moved to the end; sources[1]: [last, rows, ...]."""
    index, table = sources
    outside = index[(index < -attr.rows) | (index >= attr.rows)]
    if outside.size:
        raise ValueRangeError(f"the index {outside[0]} names none of {attr.rows} rows")
    found = np.moveaxis(np.take(table, index, axis=1), 0, -1)
    targets[0][...] = found.reshape(targets[0].shape)


GATHER = Kernel(gather, 2, GatherAttr)
