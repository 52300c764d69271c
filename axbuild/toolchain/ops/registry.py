"""Which ops have an integer form."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.ops.activation import HardSwishOp, LeakyReluOp
from axbuild.toolchain.ops.add import AddOp
from axbuild.toolchain.ops.base import Op
from axbuild.toolchain.ops.clamp import ClipOp, ReluOp
from axbuild.toolchain.ops.concat import ConcatOp
from axbuild.toolchain.ops.conv import ConvOp
from axbuild.toolchain.ops.gather import GatherOp
from axbuild.toolchain.ops.gemm import GemmOp, MatMulOp
from axbuild.toolchain.ops.layout import (
    DropoutOp,
    FlattenOp,
    IdentityOp,
    ReshapeOp,
    SqueezeOp,
    TransposeOp,
    UnsqueezeOp,
)
from axbuild.toolchain.ops.norm import LayerNormalizationOp
from axbuild.toolchain.ops.pad import PadOp
from axbuild.toolchain.ops.pairwise import DivOp, MaxOp, MinOp, MulOp, SubOp, WhereOp
from axbuild.toolchain.ops.pool import AveragePoolOp, MaxPoolOp
from axbuild.toolchain.ops.reduce import GlobalAveragePoolOp, ReduceMaxOp, ReduceMeanOp
from axbuild.toolchain.ops.softmax import SoftmaxOp
from axbuild.toolchain.ops.split import SplitOp

OPS: dict[str, Op] = {
    op.onnx: op
    for op in (
        AddOp(),
        AveragePoolOp(),
        ClipOp(),
        ConcatOp(),
        ConvOp(),
        DivOp(),
        DropoutOp(),
        FlattenOp(),
        GatherOp(),
        GemmOp(),
        GlobalAveragePoolOp(),
        HardSwishOp(),
        IdentityOp(),
        LayerNormalizationOp(),
        LeakyReluOp(),
        MatMulOp(),
        MaxOp(),
        MaxPoolOp(),
        MinOp(),
        MulOp(),
        PadOp(),
        ReduceMaxOp(),
        ReduceMeanOp(),
        ReluOp(),
        ReshapeOp(),
        SoftmaxOp(),
        SplitOp(),
        SqueezeOp(),
        SubOp(),
        TransposeOp(),
        UnsqueezeOp(),
        WhereOp(),
    )
}
"""op_type in ONNX's default domain -> op"""


def op_of(node: ir.Node) -> Op | None:
    """The node's op; None where the operator has no integer form."""
    return OPS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
