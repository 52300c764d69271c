"""Look-ups."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.table import ChannelTableAttr, TableAttr
from axbuild.toolchain.npu.simulator.base import Kernel


def table(sources: list[Array], targets: list[Array], attr: TableAttr) -> None:
    """y = table[x - lowest]; sources[1]: codes [entries]."""
    targets[0][...] = sources[1][sources[0].astype(np.int64) - attr.lowest]


def channel_table(sources: list[Array], targets: list[Array], attr: ChannelTableAttr) -> None:
    """y = table[channel, x - lowest] along `axis`; sources[1]: codes [c, entries]."""
    x, y = (np.moveaxis(array, attr.axis, 0) for array in (sources[0], targets[0]))
    for codes, entries, found in zip(x, sources[1], y, strict=True):
        found[...] = entries[codes.astype(np.int64) - attr.lowest]


TABLE = Kernel(table, 2, TableAttr)
CHANNEL_TABLE = Kernel(channel_table, 2, ChannelTableAttr)
