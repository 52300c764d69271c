"""Constant weights and biases as codes, by the largest magnitude of each channel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import quantise_bias, quantise_weight, require_accumulator, weight_scales
from axbuild.toolchain.kinds.codes import Edge, ElementType, Grid
from axbuild.toolchain.ops.base import BakedWeight, FusedNode
from axbuild.toolchain.quant.channel_means import ChannelMeans
from axbuild.toolchain.quant.heads import integer_op, real_bias


def bake(
    fused: FusedNode,
    reads: Mapping[str, Edge],
    writes: Mapping[str, Edge],
    kind: ElementType,
    means: ChannelMeans | None = None,
) -> BakedWeight | None:
    """The weight of a fused node in codes of `kind`; None where it has none.

    means: of what it is multiplied with; with them the bias takes back what rounding the weight adds on average.

    Raises AccumulatorError, with the node's name, where the codes could leave the accumulator.
    """
    weight = integer_op(fused).weight(fused.node)
    if weight is None:
        return None
    (x,) = (edge for edge in reads.values() if isinstance(edge, Grid))
    y = writes[fused.accumulated.name or ""]
    bias = real_bias(fused, weight.shape[0])
    scale, raised = weight_scales(weight, bias, x, y.scale if isinstance(y, Grid) else 0.0, kind)
    codes = quantise_weight(weight, scale, kind)
    if means is not None:
        bias += means.lost(fused, weight, codes, scale)
    if not isinstance(y, Grid):
        return BakedWeight(codes, scale, kind, bias.astype(np.float32), _channels(raised))
    try:
        offset = quantise_bias(bias, x.scale, scale, x, kind)
        require_accumulator(codes, offset, x, kind, f"node '{fused.name}'")
    except AxError as error:
        raise AxError(
            f"node '{fused.name}' ({fused.node.op_type}) cannot be quantised: {error.sentence}",
            hint=error.hint,
            code=error.code,
        ) from error
    return BakedWeight(codes, scale, kind, offset, _channels(raised))


def _channels(raised: Array) -> tuple[int, ...]:
    return tuple(int(channel) for channel in np.flatnonzero(raised))
