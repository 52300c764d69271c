"""Which kernels the simulator has."""

from __future__ import annotations

from axbuild.toolchain.npu.lower.attr import NoAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.mac import CONV, DWCONV, FC, MATMUL
from axbuild.toolchain.npu.simulator.move import move
from axbuild.toolchain.npu.simulator.table import TABLE

KERNELS: dict[str, Kernel] = {
    "conv": CONV,
    "dwconv": DWCONV,
    "fc": FC,
    "matmul": MATMUL,
    "move": Kernel(move, 1, NoAttr),
    "table": TABLE,
}
"""name of a job's kernel -> what it computes"""
