"""Which kinds there are on the NPU, and how each becomes jobs."""

from __future__ import annotations

from axbuild.toolchain.kinds.base import Box, Kind
from axbuild.toolchain.kinds.gather import Gather
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Slice, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Work
from axbuild.toolchain.npu.lower.gather import GATHER
from axbuild.toolchain.npu.lower.mover import CONCAT, PAD, RESHAPE, SLICE, TRANSPOSE
from axbuild.toolchain.npu.lower.pool import AVERAGE_POOL, MAX_POOL
from axbuild.toolchain.npu.lower.reduce import REDUCE
from axbuild.toolchain.npu.lower.table import TABLE

LOWERINGS: dict[type[Kind], Lowering] = {
    AveragePool: AVERAGE_POOL,
    Concat: CONCAT,
    Gather: GATHER,
    MaxPool: MAX_POOL,
    Pad: PAD,
    Reduce: REDUCE,
    Reshape: RESHAPE,
    Slice: SLICE,
    Table: TABLE,
    Transpose: TRANSPOSE,
}


def works_of(kind: Kind, geometry: Geometry, out: Box) -> list[Work]:
    """The jobs for the part `out` of the output."""
    return LOWERINGS[type(kind)].works(kind, geometry, out)


def pack_of(kind: Kind, block: int, rank: int) -> Pack | None:
    """The packed constants of a kind whose output has that rank; None where attributes say everything."""
    return LOWERINGS[type(kind)].pack(kind, block, rank)
