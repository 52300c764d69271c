"""Bias correction in closed form: what rounding a weight adds to an output on average, from observed means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import in_parts
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.quant.heads import integer_op
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.quant.watch import watched


@dataclass(frozen=True)
class ChannelMeans:
    """Of each observed tensor, float64 [c] over all samples, and the axis of its channels."""

    means: dict[str, Array]
    axes: dict[str, int]

    @staticmethod
    def of(graph: ir.Graph, statistics: Statistics) -> ChannelMeans:
        means = {
            name: tensor.channel_means.values(tensor.channels) / statistics.samples
            for name, tensor in statistics.tensors.items()
        }
        return ChannelMeans(means, {row.name: row.axis for row in watched(graph)})

    def lost(self, fused: FusedNode, weight: Array, codes: Array, scale: Array) -> Array:
        """float64 [co]: the mean over a node's outputs of (weight - codes scale) x.

        Exact for the samples where all of x is (x is then linear in its channels' means): in a layer, and in a
        convolution up to how its padding and its picture's edges differ. Zero where the means of x were not observed.
        """
        name = fused.inputs[0].name or ""
        factors = integer_op(fused).means(fused.node, self.means[name], self.axes[name]) if name in self.axes else None
        if factors is None:
            return np.zeros(len(weight))
        steps = scale.astype(np.float64).reshape(-1, *[1] * (weight.ndim - 1))
        return np.concatenate(
            [
                _sums((weight[part] - codes[part] * steps[part]) * (factors[part] if len(factors) > 1 else factors))
                for part in in_parts(weight)
            ]
        )


def _sums(rows: Array) -> Array:
    """[n] of [n, ...]: running sums, which have one order of additions."""
    found: Array = np.cumsum(rows.reshape(len(rows), -1), axis=1)[:, -1]
    return found
