"""Which kinds there are on the NPU, and how each becomes jobs."""

from __future__ import annotations

from axbuild.toolchain.kinds.base import Box, Kind
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Work
from axbuild.toolchain.npu.lower.binary import BINARY
from axbuild.toolchain.npu.lower.border import DEQUANTIZE, NORMALIZE, QUANTIZE, REQUANTIZE
from axbuild.toolchain.npu.lower.table import TABLE

LOWERINGS: dict[type[Kind], Lowering] = {
    Table: TABLE,
    Quantize: QUANTIZE,
    Dequantize: DEQUANTIZE,
    Requantize: REQUANTIZE,
    Normalize: NORMALIZE,
    Binary: BINARY,
}


def works_of(kind: Kind, geometry: Geometry, out: Box) -> list[Work]:
    """The jobs for the part `out` of the output."""
    return LOWERINGS[type(kind)].works(kind, geometry, out)


def pack_of(kind: Kind, block: int, rank: int) -> Pack | None:
    """The packed constants of a kind whose output has that rank; None where attributes say everything."""
    return LOWERINGS[type(kind)].pack(kind, block, rank)
