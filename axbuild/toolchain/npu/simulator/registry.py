"""Which kernels the simulator has."""

from __future__ import annotations

from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.binary import ADD, DIV, MUL, SLOPE, SUB
from axbuild.toolchain.npu.simulator.border import DEQUANTIZE, NORMALIZE, QUANTIZE, REQUANTIZE
from axbuild.toolchain.npu.simulator.compare import EQUAL, GREATER, GREATER_OR_EQUAL, LESS, LESS_OR_EQUAL
from axbuild.toolchain.npu.simulator.convert import CONVERT
from axbuild.toolchain.npu.simulator.float_function import FLOAT_FUNCTION, FLOAT_LOG_SOFTMAX, FLOAT_SOFTMAX
from axbuild.toolchain.npu.simulator.float_sums import (
    FLOAT_AVERAGE_POOL,
    FLOAT_MAX_POOL,
    FLOAT_NORM,
    FLOAT_REDUCE_L2,
    FLOAT_REDUCE_MAX,
    FLOAT_REDUCE_MEAN,
    FLOAT_REDUCE_MIN,
    FLOAT_REDUCE_SUM,
)
from axbuild.toolchain.npu.simulator.gather import GATHER
from axbuild.toolchain.npu.simulator.given import GIVEN
from axbuild.toolchain.npu.simulator.indexed import PICK, PICK_ELEMENTS, PICK_PARTS, PUT_ELEMENTS, PUT_PARTS
from axbuild.toolchain.npu.simulator.integer import ARITHMETIC
from axbuild.toolchain.npu.simulator.interpolate import FLOAT_INTERPOLATE, INTERPOLATE
from axbuild.toolchain.npu.simulator.island import (
    FLOAT_ADD,
    FLOAT_CLIP,
    FLOAT_DIV,
    FLOAT_FROM,
    FLOAT_MAX,
    FLOAT_MIN,
    FLOAT_MUL,
    FLOAT_OVER,
    FLOAT_SLOPE,
    FLOAT_SUB,
)
from axbuild.toolchain.npu.simulator.mac import CONV, DWCONV, FC, MATMUL
from axbuild.toolchain.npu.simulator.mover import MOVE, PAD, REARRANGE, SLICE, TAKE
from axbuild.toolchain.npu.simulator.norm import NORM
from axbuild.toolchain.npu.simulator.pool import AVERAGE_POOL, MAX_POOL
from axbuild.toolchain.npu.simulator.rank import RANK
from axbuild.toolchain.npu.simulator.reduce import REDUCE_L2, REDUCE_MAX, REDUCE_MIN, REDUCE_SUM
from axbuild.toolchain.npu.simulator.regions import REGIONS
from axbuild.toolchain.npu.simulator.rotary import FLOAT_ROTARY, ROTARY
from axbuild.toolchain.npu.simulator.sample import FLOAT_SAMPLE, SAMPLE
from axbuild.toolchain.npu.simulator.scan import FLOAT_RUNNING_SUM, INTEGER_RUNNING_SUM, RUNNING_SUM
from axbuild.toolchain.npu.simulator.select import CHOOSE, MAX, MIN, WHERE
from axbuild.toolchain.npu.simulator.softmax import (
    LOG_SOFTMAX,
    SOFTMAX,
    SOFTMAX_MASKED,
    SOFTMAX_SCALED,
    SOFTMAX_SCALED_MASKED,
)
from axbuild.toolchain.npu.simulator.table import CHANNEL_TABLE, TABLE

KERNELS: dict[str, Kernel] = {
    "add": ADD,
    "average_pool": AVERAGE_POOL,
    "channel_table": CHANNEL_TABLE,
    "choose": CHOOSE,
    "conv": CONV,
    "convert": CONVERT,
    "dequantize": DEQUANTIZE,
    "div": DIV,
    "dwconv": DWCONV,
    "equal": EQUAL,
    "fc": FC,
    "float_add": FLOAT_ADD,
    "float_average_pool": FLOAT_AVERAGE_POOL,
    "float_clip": FLOAT_CLIP,
    "float_div": FLOAT_DIV,
    "float_from": FLOAT_FROM,
    "float_function": FLOAT_FUNCTION,
    "float_interpolate": FLOAT_INTERPOLATE,
    "float_max": FLOAT_MAX,
    "float_max_pool": FLOAT_MAX_POOL,
    "float_min": FLOAT_MIN,
    "float_mul": FLOAT_MUL,
    "float_norm": FLOAT_NORM,
    "float_over": FLOAT_OVER,
    "float_reduce_l2": FLOAT_REDUCE_L2,
    "float_reduce_max": FLOAT_REDUCE_MAX,
    "float_reduce_mean": FLOAT_REDUCE_MEAN,
    "float_reduce_min": FLOAT_REDUCE_MIN,
    "float_reduce_sum": FLOAT_REDUCE_SUM,
    "float_rotary": FLOAT_ROTARY,
    "float_running_sum": FLOAT_RUNNING_SUM,
    "float_sample": FLOAT_SAMPLE,
    "float_slope": FLOAT_SLOPE,
    "float_softmax_logarithm": FLOAT_LOG_SOFTMAX,
    "float_softmax_share": FLOAT_SOFTMAX,
    "float_sub": FLOAT_SUB,
    "gather_rows": GATHER,
    "given": GIVEN,
    "greater": GREATER,
    "greater_or_equal": GREATER_OR_EQUAL,
    "integer_running_sum": INTEGER_RUNNING_SUM,
    "interpolate": INTERPOLATE,
    "log_softmax": LOG_SOFTMAX,
    "less": LESS,
    "less_or_equal": LESS_OR_EQUAL,
    "matmul": MATMUL,
    "max": MAX,
    "max_pool": MAX_POOL,
    "min": MIN,
    "move": MOVE,
    "mul": MUL,
    "norm": NORM,
    "normalize": NORMALIZE,
    "pad": PAD,
    "pick": PICK,
    "pick_elements": PICK_ELEMENTS,
    "pick_parts": PICK_PARTS,
    "put_elements": PUT_ELEMENTS,
    "put_parts": PUT_PARTS,
    "quantize": QUANTIZE,
    "rearrange": REARRANGE,
    "regions": REGIONS,
    "rank": RANK,
    "reduce_l2": REDUCE_L2,
    "reduce_max": REDUCE_MAX,
    "reduce_min": REDUCE_MIN,
    "reduce_sum": REDUCE_SUM,
    "requantize": REQUANTIZE,
    "sample": SAMPLE,
    "rotary": ROTARY,
    "running_sum": RUNNING_SUM,
    "slice": SLICE,
    "slope": SLOPE,
    "softmax": SOFTMAX,
    "softmax_masked": SOFTMAX_MASKED,
    "softmax_scaled": SOFTMAX_SCALED,
    "softmax_scaled_masked": SOFTMAX_SCALED_MASKED,
    "sub": SUB,
    "table": TABLE,
    "take": TAKE,
    "where": WHERE,
    **ARITHMETIC,
}
"""name of a job's kernel -> what it computes"""
