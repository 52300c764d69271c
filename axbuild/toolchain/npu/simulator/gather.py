"""Rows of a table."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.gather import GatherAttr
from axbuild.toolchain.npu.simulator.base import Kernel, ValueRangeError


def gather(sources: list[Array], targets: list[Array], attr: GatherAttr) -> None:
    """y = table[x]; sources[1]: [rows, ...]."""
    index, table = sources
    outside = index[(index < -attr.rows) | (index >= attr.rows)]
    if outside.size:
        raise ValueRangeError(f"the index {outside[0]} names none of {attr.rows} rows")
    targets[0][...] = np.take(table, index, axis=0)


GATHER = Kernel(gather, 2, GatherAttr)
