"""Which kernels the simulator has."""

from __future__ import annotations

from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.gather import GATHER
from axbuild.toolchain.npu.simulator.mover import MOVE, PAD, SLICE
from axbuild.toolchain.npu.simulator.pool import AVERAGE_POOL, MAX_POOL
from axbuild.toolchain.npu.simulator.reduce import EXTREME, SUM
from axbuild.toolchain.npu.simulator.table import TABLE

KERNELS: dict[str, Kernel] = {
    "average_pool": AVERAGE_POOL,
    "extreme": EXTREME,
    "gather": GATHER,
    "max_pool": MAX_POOL,
    "move": MOVE,
    "pad": PAD,
    "slice": SLICE,
    "sum": SUM,
    "table": TABLE,
}
"""name of a job's kernel -> what it computes"""
