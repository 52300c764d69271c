"""Which kernels the simulator has."""

from __future__ import annotations

from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.binary import ADD, DIV, MUL, SUB
from axbuild.toolchain.npu.simulator.border import DEQUANTIZE, NORMALIZE, QUANTIZE, REQUANTIZE
from axbuild.toolchain.npu.simulator.gather import GATHER
from axbuild.toolchain.npu.simulator.island import FLOAT_ADD, FLOAT_CLIP, FLOAT_DIV, FLOAT_MUL, FLOAT_SUB
from axbuild.toolchain.npu.simulator.mac import CONV, DWCONV, FC, MATMUL
from axbuild.toolchain.npu.simulator.mover import MOVE, PAD, SLICE
from axbuild.toolchain.npu.simulator.pool import AVERAGE_POOL, MAX_POOL
from axbuild.toolchain.npu.simulator.reduce import EXTREME, SUM
from axbuild.toolchain.npu.simulator.softmax import SOFTMAX, SOFTMAX_SCALED
from axbuild.toolchain.npu.simulator.table import CHANNEL_TABLE, TABLE

KERNELS: dict[str, Kernel] = {
    "average_pool": AVERAGE_POOL,
    "conv": CONV,
    "dwconv": DWCONV,
    "extreme": EXTREME,
    "fc": FC,
    "gather": GATHER,
    "matmul": MATMUL,
    "max_pool": MAX_POOL,
    "move": MOVE,
    "pad": PAD,
    "slice": SLICE,
    "sum": SUM,
    "table": TABLE,
    "channel_table": CHANNEL_TABLE,
    "quantize": QUANTIZE,
    "dequantize": DEQUANTIZE,
    "requantize": REQUANTIZE,
    "normalize": NORMALIZE,
    "add": ADD,
    "sub": SUB,
    "mul": MUL,
    "div": DIV,
    "softmax": SOFTMAX,
    "softmax_scaled": SOFTMAX_SCALED,
    "float_add": FLOAT_ADD,
    "float_sub": FLOAT_SUB,
    "float_mul": FLOAT_MUL,
    "float_div": FLOAT_DIV,
    "float_clip": FLOAT_CLIP,
}
"""name of a job's kernel -> what it computes"""
