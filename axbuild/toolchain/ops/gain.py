"""A positive factor for each channel of a tensor, moved into the constants of the operator that writes or reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.graph import constant_input


@dataclass(frozen=True)
class Gain:
    """Where a factor goes. constants: input -> the axis of that constant, counted from its end, that has the channels.

    through: tensors that the operator reads, one of which must have the factor too.
    """

    constants: Mapping[int, int]
    through: tuple[ir.Value, ...] = ()


def into(node: ir.Node, axes: Mapping[int, int]) -> Gain:
    """Into those of these inputs that the node has; they are constants."""
    return Gain({index: axis for index, axis in axes.items() if constant_input(node, index) is not None})
