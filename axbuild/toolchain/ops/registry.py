"""Which ops have an integer form."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.ops.activation import HardSwish, LeakyRelu
from axbuild.toolchain.ops.add import Add
from axbuild.toolchain.ops.base import Op
from axbuild.toolchain.ops.clamp import Clip, Relu
from axbuild.toolchain.ops.concat import Concat
from axbuild.toolchain.ops.conv import Conv
from axbuild.toolchain.ops.gather import Gather
from axbuild.toolchain.ops.gemm import Gemm, MatMul
from axbuild.toolchain.ops.layout import Dropout, Flatten, Identity, Reshape, Squeeze, Transpose, Unsqueeze
from axbuild.toolchain.ops.norm import LayerNormalization
from axbuild.toolchain.ops.pad import Pad
from axbuild.toolchain.ops.pairwise import Div, Max, Min, Mul, Sub, Where
from axbuild.toolchain.ops.pool import AveragePool, MaxPool
from axbuild.toolchain.ops.reduce import GlobalAveragePool, ReduceMax, ReduceMean
from axbuild.toolchain.ops.softmax import Softmax
from axbuild.toolchain.ops.split import Split

OPS: dict[str, Op] = {
    op.onnx: op
    for op in (
        Add(),
        AveragePool(),
        Clip(),
        Concat(),
        Conv(),
        Div(),
        Dropout(),
        Flatten(),
        Gather(),
        Gemm(),
        GlobalAveragePool(),
        HardSwish(),
        Identity(),
        LayerNormalization(),
        LeakyRelu(),
        MatMul(),
        Max(),
        MaxPool(),
        Min(),
        Mul(),
        Pad(),
        ReduceMax(),
        ReduceMean(),
        Relu(),
        Reshape(),
        Softmax(),
        Split(),
        Squeeze(),
        Sub(),
        Transpose(),
        Unsqueeze(),
        Where(),
    )
}
"""op_type in ONNX's default domain -> op"""


def op_of(node: ir.Node) -> Op | None:
    """The node's op; None where the operator has no integer form."""
    return OPS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
