"""Constant weights and biases as codes, by the largest magnitude of each channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import quantise_bias, quantise_weight, require_accumulator, weight_scales
from axbuild.toolchain.kinds.codes import FP32, Edge, ElementType, Grid
from axbuild.toolchain.ops.base import BakedWeight, FusedNode
from axbuild.toolchain.quant.channel_means import ChannelMeans
from axbuild.toolchain.quant.heads import integer_op, real_bias

S32 = "S32"
"""what conv_bias_data_type calls integers; beside 16-bit operands they have 64 bits"""

AS_CALIBRATED = 'disable_auto_refine_scale keeps its scale; conv_bias_data_type = "FP32" has room for any bias'


@dataclass(frozen=True)
class Baking:
    """How weights and biases become codes, with the vendor's fields.

    conv_bias_data_type: "S32" or "FP32", of biases beside outputs on grids; refine_weight_threshold: what smaller
    scales of channels are raised to where no output shows it, -1 none; disable_auto_refine_scale: raise no scale;
    ln_scale_data_type: "FP32", "S32" or "U32", of the scales of normalisations.
    """

    conv_bias_data_type: str = S32
    refine_weight_threshold: float = 1e-6
    disable_auto_refine_scale: bool = False
    ln_scale_data_type: str = "FP32"

    @property
    def real_bias(self) -> bool:
        return self.conv_bias_data_type == FP32.name

    def scales(self, weight: Array, bias: Array, x: Grid, y: Edge, kind: ElementType) -> tuple[Array, Array]:
        """As `weight_scales` has them."""
        unbound = np.zeros_like(bias)
        if self.disable_auto_refine_scale:
            return weight_scales(weight, unbound, x, 0.0, kind)
        step, least = y.scale if isinstance(y, Grid) else 0.0, max(self.refine_weight_threshold, 0.0)
        return weight_scales(weight, unbound if self.real_bias else bias, x, step, kind, least)


USUAL = Baking()
"""the vendor's defaults"""


def bake(
    fused: FusedNode,
    reads: Mapping[str, Edge],
    writes: Mapping[str, Edge],
    kind: ElementType,
    means: ChannelMeans | None = None,
    baking: Baking = USUAL,
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
    scale, raised = baking.scales(weight, bias, x, y, kind)
    codes = quantise_weight(weight, scale, kind)
    if means is not None:
        bias += means.lost(fused, weight, codes, scale)
    if baking.real_bias or not isinstance(y, Grid):
        return BakedWeight(codes, scale, kind, bias.astype(np.float32), _channels(raised))
    try:
        offset = quantise_bias(bias, x.scale, scale, x, kind)
        require_accumulator(codes, offset, x, kind, f"node '{fused.name}'")
    except AxError as error:
        raise AxError(
            f"node '{fused.name}' ({fused.node.op_type}) cannot be quantised: {error.sentence}",
            hint=AS_CALIBRATED if baking.disable_auto_refine_scale else error.hint,
            code=error.code,
        ) from error
    return BakedWeight(codes, scale, kind, offset, _channels(raised))


def _channels(raised: Array) -> tuple[int, ...]:
    return tuple(int(channel) for channel in np.flatnonzero(raised))
