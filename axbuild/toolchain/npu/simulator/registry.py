"""Which kernels the simulator has."""

from __future__ import annotations

from axbuild.toolchain.npu.lower.attr import NoAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.binary import ADD, DIV, MUL, SUB
from axbuild.toolchain.npu.simulator.border import DEQUANTIZE, NORMALIZE, QUANTIZE, REQUANTIZE
from axbuild.toolchain.npu.simulator.island import FLOAT_ADD, FLOAT_CLIP, FLOAT_DIV, FLOAT_MUL, FLOAT_SUB
from axbuild.toolchain.npu.simulator.move import move
from axbuild.toolchain.npu.simulator.softmax import SOFTMAX, SOFTMAX_SCALED
from axbuild.toolchain.npu.simulator.table import CHANNEL_TABLE, TABLE

KERNELS: dict[str, Kernel] = {
    "move": Kernel(move, 1, NoAttr),
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
