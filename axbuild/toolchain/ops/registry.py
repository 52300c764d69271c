"""Which ops there are, and what of a graph they cannot take."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.ops.add import Add
from axbuild.toolchain.ops.base import Op
from axbuild.toolchain.ops.clamp import Clip, Relu
from axbuild.toolchain.ops.concat import Concat
from axbuild.toolchain.ops.conv import Conv
from axbuild.toolchain.ops.gemm import Gemm, MatMul
from axbuild.toolchain.ops.layout import Dropout, Flatten, Identity, Reshape, Squeeze, Transpose, Unsqueeze
from axbuild.toolchain.ops.pad import Pad
from axbuild.toolchain.ops.pool import AveragePool, GlobalAveragePool, MaxPool, ReduceMean
from axbuild.toolchain.ops.softmax import Softmax

OPS: dict[str, Op] = {
    op.onnx: op
    for op in (
        Add(),
        AveragePool(),
        Clip(),
        Concat(),
        Conv(),
        Dropout(),
        Flatten(),
        Gemm(),
        GlobalAveragePool(),
        Identity(),
        MatMul(),
        MaxPool(),
        Pad(),
        ReduceMean(),
        Relu(),
        Reshape(),
        Softmax(),
        Squeeze(),
        Transpose(),
        Unsqueeze(),
    )
}
"""op_type in ONNX's default domain -> op"""


def op_of(node: ir.Node) -> Op:
    """The node's op; the graph has been through `unsupported`, so there is one."""
    return OPS[node.op_type]
