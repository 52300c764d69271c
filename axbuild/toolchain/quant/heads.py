"""What is asked of the head of a fused node that has an integer form."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.ops.base import FusedNode, Op
from axbuild.toolchain.ops.registry import op_of


def integer_op(fused: FusedNode) -> Op:
    """The op of a fused node that has an integer form."""
    op = op_of(fused.node)
    if op is None:
        raise ValueError(f"'{fused.name}' has no integer form")
    return op


def real_bias(fused: FusedNode, channels: int) -> Array:
    """float64 [channels]: the node's own bias plus what it swallowed."""
    own = integer_op(fused).bias(fused.node)
    bias = np.zeros(channels) if own is None else np.broadcast_to(own.astype(np.float64), (channels,)).copy()
    return bias if fused.addend is None else bias + fused.addend
