"""Look-ups."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.table import TableAttr
from axbuild.toolchain.npu.simulator.base import Kernel


def table(sources: list[Array], targets: list[Array], attr: TableAttr) -> None:
    """y = table[x - lowest]; sources[1]: codes [entries]."""
    targets[0][...] = sources[1][sources[0].astype(np.int64) - attr.lowest]


TABLE = Kernel(table, 2, TableAttr)
