"""Which kinds there are on the NPU, and how each becomes jobs."""

from __future__ import annotations

from axbuild.toolchain.kinds.base import Box, Kind
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Work
from axbuild.toolchain.npu.lower.mac import CONV, FULLY_CONNECTED, MATMUL
from axbuild.toolchain.npu.lower.table import TABLE

LOWERINGS: dict[type[Kind], Lowering] = {
    Conv: CONV,
    FullyConnected: FULLY_CONNECTED,
    MatMul: MATMUL,
    Table: TABLE,
}


def works_of(kind: Kind, geometry: Geometry, out: Box) -> list[Work]:
    """The jobs for the part `out` of the output."""
    return LOWERINGS[type(kind)].works(kind, geometry, out)


def pack_of(kind: Kind, block: int, rank: int) -> Pack | None:
    """The packed constants of a kind whose output has that rank; None where attributes say everything."""
    return LOWERINGS[type(kind)].pack(kind, block, rank)
