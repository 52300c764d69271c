"""Which kinds there are on the NPU, and how each becomes jobs."""

from __future__ import annotations

from axbuild.toolchain.kinds.base import Box, Kind
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.compare import Compare
from axbuild.toolchain.kinds.convert import Convert
from axbuild.toolchain.kinds.float_function import FloatFunction
from axbuild.toolchain.kinds.float_norm import FloatNorm
from axbuild.toolchain.kinds.float_pool import FloatAveragePool, FloatMaxPool
from axbuild.toolchain.kinds.float_reduce import FloatReduce
from axbuild.toolchain.kinds.float_softmax import FloatSoftmax
from axbuild.toolchain.kinds.gather import Gather
from axbuild.toolchain.kinds.given import Given
from axbuild.toolchain.kinds.indexed import Pick, PickElements, PickParts, PutElements, PutParts
from axbuild.toolchain.kinds.integer import IntegerBinary, IntegerReduce
from axbuild.toolchain.kinds.interpolate import FloatInterpolate, Interpolate
from axbuild.toolchain.kinds.island import FloatBinary, FloatClip, FloatWithConstant
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Slice, Take, Transpose
from axbuild.toolchain.kinds.norm import LayerNorm
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.rank import Rank
from axbuild.toolchain.kinds.rearrange import Rearrange
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.kinds.regions import Regions
from axbuild.toolchain.kinds.rotary import FloatRotary, Rotary
from axbuild.toolchain.kinds.sample import FloatSample, Sample
from axbuild.toolchain.kinds.scan import FloatRunningSum, IntegerRunningSum, RunningSum
from axbuild.toolchain.kinds.select import Choose, Select
from axbuild.toolchain.kinds.softmax import LogSoftmax, Softmax
from axbuild.toolchain.kinds.table import ChannelTable, Table
from axbuild.toolchain.kinds.with_constant import WithConstant
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Work
from axbuild.toolchain.npu.lower.binary import BINARY
from axbuild.toolchain.npu.lower.border import DEQUANTIZE, NORMALIZE, QUANTIZE, REQUANTIZE
from axbuild.toolchain.npu.lower.compare import COMPARE
from axbuild.toolchain.npu.lower.convert import CONVERT
from axbuild.toolchain.npu.lower.float_sums import FLOAT_AVERAGE_POOL, FLOAT_MAX_POOL, FLOAT_NORM, FLOAT_REDUCE
from axbuild.toolchain.npu.lower.gather import GATHER
from axbuild.toolchain.npu.lower.given import GIVEN
from axbuild.toolchain.npu.lower.indexed import PICK, PICK_ELEMENTS, PICK_PARTS, PUT_ELEMENTS, PUT_PARTS
from axbuild.toolchain.npu.lower.integer import INTEGER, INTEGER_REDUCE
from axbuild.toolchain.npu.lower.interpolate import FLOAT_INTERPOLATE, INTERPOLATE
from axbuild.toolchain.npu.lower.island import (
    FLOAT_BINARY,
    FLOAT_CLIP,
    FLOAT_FUNCTION,
    FLOAT_SOFTMAX,
    FLOAT_WITH_CONSTANT,
)
from axbuild.toolchain.npu.lower.mac import CONV, FULLY_CONNECTED, MATMUL
from axbuild.toolchain.npu.lower.mover import CONCAT, PAD, REARRANGE, RESHAPE, SLICE, TAKE, TRANSPOSE
from axbuild.toolchain.npu.lower.norm import NORM
from axbuild.toolchain.npu.lower.pool import AVERAGE_POOL, MAX_POOL
from axbuild.toolchain.npu.lower.rank import RANK
from axbuild.toolchain.npu.lower.reduce import REDUCE
from axbuild.toolchain.npu.lower.regions import REGIONS
from axbuild.toolchain.npu.lower.rotary import FLOAT_ROTARY, ROTARY
from axbuild.toolchain.npu.lower.sample import FLOAT_SAMPLE, SAMPLE
from axbuild.toolchain.npu.lower.scan import FLOAT_RUNNING_SUM, INTEGER_RUNNING_SUM, RUNNING_SUM
from axbuild.toolchain.npu.lower.select import CHOOSE, SELECT
from axbuild.toolchain.npu.lower.softmax import LOG_SOFTMAX, SOFTMAX
from axbuild.toolchain.npu.lower.table import CHANNEL_TABLE, TABLE
from axbuild.toolchain.npu.lower.with_constant import WITH_CONSTANT

LOWERINGS: dict[type[Kind], Lowering] = {
    AveragePool: AVERAGE_POOL,
    Binary: BINARY,
    ChannelTable: CHANNEL_TABLE,
    Choose: CHOOSE,
    Compare: COMPARE,
    Concat: CONCAT,
    Conv: CONV,
    Convert: CONVERT,
    Dequantize: DEQUANTIZE,
    FloatAveragePool: FLOAT_AVERAGE_POOL,
    FloatBinary: FLOAT_BINARY,
    FloatClip: FLOAT_CLIP,
    FloatFunction: FLOAT_FUNCTION,
    FloatInterpolate: FLOAT_INTERPOLATE,
    FloatMaxPool: FLOAT_MAX_POOL,
    FloatNorm: FLOAT_NORM,
    FloatReduce: FLOAT_REDUCE,
    FloatRotary: FLOAT_ROTARY,
    FloatRunningSum: FLOAT_RUNNING_SUM,
    FloatSample: FLOAT_SAMPLE,
    FloatSoftmax: FLOAT_SOFTMAX,
    FloatWithConstant: FLOAT_WITH_CONSTANT,
    FullyConnected: FULLY_CONNECTED,
    Gather: GATHER,
    Given: GIVEN,
    IntegerBinary: INTEGER,
    IntegerReduce: INTEGER_REDUCE,
    IntegerRunningSum: INTEGER_RUNNING_SUM,
    Interpolate: INTERPOLATE,
    LayerNorm: NORM,
    LogSoftmax: LOG_SOFTMAX,
    MatMul: MATMUL,
    MaxPool: MAX_POOL,
    Normalize: NORMALIZE,
    Pad: PAD,
    Pick: PICK,
    PickElements: PICK_ELEMENTS,
    PickParts: PICK_PARTS,
    PutElements: PUT_ELEMENTS,
    PutParts: PUT_PARTS,
    Quantize: QUANTIZE,
    Rearrange: REARRANGE,
    Reduce: REDUCE,
    Regions: REGIONS,
    Requantize: REQUANTIZE,
    Reshape: RESHAPE,
    Sample: SAMPLE,
    Rank: RANK,
    Rotary: ROTARY,
    RunningSum: RUNNING_SUM,
    Select: SELECT,
    Slice: SLICE,
    Softmax: SOFTMAX,
    Table: TABLE,
    Take: TAKE,
    Transpose: TRANSPOSE,
    WithConstant: WITH_CONSTANT,
}


def works_of(kind: Kind, geometry: Geometry, out: Box) -> list[Work]:
    """The jobs for the part `out` of the output."""
    return LOWERINGS[type(kind)].works(kind, geometry, out)


def pack_of(kind: Kind, block: int, rank: int) -> Pack | None:
    """The packed constants of a kind whose output has that rank; None where attributes say everything."""
    return LOWERINGS[type(kind)].pack(kind, block, rank)
