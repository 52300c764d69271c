"""The nodes that together stand for one node."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, Shape, constant_of, shape_of, static_shape
from axbuild.toolchain.rewrites.rewrite import Edit


@dataclass
class NodeSteps:
    """New nodes before `node`, numbered behind its name; what would do nothing is left out, constants are computed."""

    node: ir.Node
    edit: Edit
    count: int = field(default=0)

    def insert(self, op_type: str, inputs: list[ir.Value], shape: Shape, **attributes: object) -> ir.Value:
        self.count += 1
        name = f"{self.node.name}.{self.count}"
        return self.edit.insert(
            self.node, op_type, list(inputs), attributes, name=name, shape=shape, origins=(self.node,)
        )

    def constant(self, array: Array) -> ir.Value:
        return self.edit.initializer(array, f"{self.node.name}.constant")

    def reshaped(self, value: ir.Value, shape: Shape) -> ir.Value:
        if shape_of(value) == shape:
            return value
        array = constant_of(value)
        if array is not None:
            return self.constant(array.reshape(shape))
        target = self.constant(np.array(static_shape(shape_of(value), shape), np.int64))
        return self.insert("Reshape", [value, target], shape)

    def turned(self, value: ir.Value, perm: tuple[int, ...]) -> ir.Value:
        if perm == tuple(range(len(perm))):
            return value
        array = constant_of(value)
        if array is not None:
            return self.constant(array.transpose(perm))
        shape = shape_of(value)
        return self.insert("Transpose", [value], tuple(shape[axis] for axis in perm), perm=perm)

    def swapped(self, value: ir.Value) -> ir.Value:
        """With the last two axes the other way round."""
        rank = len(shape_of(value))
        return self.turned(value, (*range(rank - 2), rank - 1, rank - 2))

    def product(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """Of two tensors of rank 2 or more."""
        lead = np.broadcast_shapes(shape_of(a)[:-2], shape_of(b)[:-2])
        return self.insert("MatMul", [a, b], (*lead, shape_of(a)[-2], shape_of(b)[-1]))

    def finished(self, value: ir.Value) -> ir.Value:
        """A value that the node's output may become."""
        if value.producer() is None:
            return self.edit.insert(self.node, "Identity", [value], {}, origins=(self.node,))
        return value
