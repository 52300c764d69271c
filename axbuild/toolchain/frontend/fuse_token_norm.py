"""BatchNormalization of the last axis of tokens into the matrix before it, as LeViT's layers have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.affine import ChannelMap
from axbuild.toolchain.frontend.fuse_batch_norm import batch_norm_map
from axbuild.toolchain.frontend.rewrite import Edit, NoMatch, Rewrite, Rounding, attributes
from axbuild.toolchain.graph import Array, constant_input, has_one_reader, needed_input, shape_of


@dataclass(frozen=True)
class TokenNorm:
    """layer: the MatMul; reshape: what joins its rows; weight: float32 [k, channels]; channels: what follows."""

    layer: ir.Node
    reshape: ir.Node
    weight: Array
    channels: ChannelMap


class FuseTokenNorm(Rewrite[TokenNorm]):
    """BatchNormalization(Reshape(x w)) -> Reshape(x (w k) + beta - mean k),  k = gamma / sqrt(var + eps)

    Where the Reshape (or Flatten) keeps the last axis, and the result has rank 2.
    """

    op = ("BatchNormalization",)
    is_needed = False

    def match(self, node: ir.Node) -> TokenNorm | NoMatch:
        rows = needed_input(node, 0)
        reshape = rows.producer()
        if reshape is None or reshape.op_type not in ("Reshape", "Flatten") or len(shape_of(rows)) != 2:
            return NoMatch("input of BatchNormalization is not the rows of a tensor of tokens")
        tokens = needed_input(reshape, 0)
        layer = tokens.producer()
        if layer is None or layer.op_type != "MatMul" or shape_of(tokens)[-1] != shape_of(rows)[-1]:
            return NoMatch("input of BatchNormalization is not a MatMul")
        if not (has_one_reader(rows) and has_one_reader(tokens)):
            return NoMatch("MatMul output has another reader")
        weight = constant_input(layer, 1)
        if weight is None or weight.ndim != 2:
            return NoMatch("the second operand of MatMul is not a constant matrix")
        channels = batch_norm_map(node)
        return channels if isinstance(channels, NoMatch) else TokenNorm(layer, reshape, weight, channels)

    def replace(self, node: ir.Node, found: TokenNorm, edit: Edit) -> ir.Value:
        layer, reshape, channels = found.layer, found.reshape, found.channels
        shape = shape_of(layer.outputs[0])
        weight = edit.initializer((found.weight * channels.factor).astype(np.float32), f"{layer.name}.weight")
        shift = edit.initializer(channels.shift.astype(np.float32), f"{node.name}.bias")
        value = edit.insert(node, "MatMul", [layer.inputs[0], weight], {}, shape=shape, origins=(layer, node))
        value = edit.insert(node, "Add", [value, shift], {}, shape=shape, origins=(node,))
        return edit.insert(node, reshape.op_type, [value, *reshape.inputs[1:]], attributes(reshape), origins=(reshape,))

    def rounding(self, node: ir.Node, found: TokenNorm) -> Rounding:
        gain = np.abs(found.weight).sum(axis=0, dtype=np.float64) * np.abs(found.channels.factor)
        return Rounding(len(found.weight), ((needed_input(found.layer, 0), gain),), found.channels.added)
