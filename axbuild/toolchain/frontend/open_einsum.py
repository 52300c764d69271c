"""Einsum of one or two tensors as the product that it stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import Edit, NoMatch, Rewrite, Rounding
from axbuild.toolchain.graph import Array, Shape, is_constant, shape_of, static_shape, text

LARGEST = 64.0
"""magnitude of a factor, as far as roundings are judged by it"""


@dataclass(frozen=True)
class Equation:
    """operands: the labels of each; out: those of the result; sizes: of every label."""

    operands: tuple[str, ...]
    out: str
    sizes: dict[str, int]

    def shape(self, labels: str) -> Shape:
        return tuple(self.sizes[label] for label in labels)

    @property
    def summed(self) -> str:
        """Labels that the result lacks, in the order in which they come."""
        return "".join(dict.fromkeys(label for labels in self.operands for label in labels if label not in self.out))


class OpenEinsum(Rewrite[Equation]):
    """Einsum(a, b) -> Transpose(Reshape(MatMul(Reshape(Transpose(a)), Reshape(Transpose(b)))))

    What only one of them has and the result has not is summed before; without common labels to sum over the product is
    a Mul. What would do nothing is left out. A constant becomes the second operand.
    """

    op = ("Einsum",)

    def match(self, node: ir.Node) -> Equation | NoMatch:
        operands = [value for value in node.inputs if value is not None]
        written = text(node, "equation", "").replace(" ", "")
        left, arrow, out = written.partition("->")
        terms = left.split(",")
        if "." in written:
            return NoMatch("Einsum has an ellipsis")
        if len(terms) not in (1, 2) or len(terms) != len(operands):
            return NoMatch("Einsum has more than two operands")
        if any(len(set(term)) < len(term) for term in terms):
            return NoMatch("Einsum takes a diagonal")
        if not arrow:
            every = "".join(terms)
            out = "".join(sorted(label for label in set(every) if every.count(label) == 1))
        if not out or 0 in shape_of(node.outputs[0]):
            return NoMatch("Einsum makes a scalar, or nothing")
        sizes = {
            label: size
            for term, value in zip(terms, operands, strict=True)
            for label, size in zip(term, shape_of(value), strict=True)
        }
        asked = (tuple(sizes[label] for label in term) for term in terms)
        return (
            Equation(tuple(terms), out, sizes)
            if [*asked] == [*map(shape_of, operands)]
            else NoMatch("Einsum broadcasts")
        )

    def replace(self, node: ir.Node, found: Equation, edit: Edit) -> ir.Value:
        steps = _Opened(node, found, edit)
        operands = [value for value in node.inputs if value is not None]
        parts = [Factor(term, value) for term, value in zip(found.operands, operands, strict=True)]
        if len(parts) == 1:
            return steps.finished(steps.summed(parts[0], found.out))
        first, second = reversed(parts) if is_constant(operands[0]) else parts
        first, second = (steps.summed(a, found.out + b.labels) for a, b in ((first, second), (second, first)))
        both = set(first.labels) & set(second.labels)
        if both <= set(found.out):
            return steps.finished(steps.multiplied(first, second))
        return steps.finished(steps.matrices(first, second))

    def rounding(self, node: ir.Node, found: Equation) -> Rounding:
        terms = math.prod(found.shape(found.summed))
        gains = tuple((value, terms * LARGEST) for value in node.inputs if value is not None)
        return Rounding(max(terms, 1), gains)


@dataclass(frozen=True)
class Factor:
    """A tensor with a label an axis."""

    labels: str
    value: ir.Value


@dataclass
class _Opened:
    """The nodes that stand for one Einsum."""

    node: ir.Node
    equation: Equation
    edit: Edit
    count: int = field(default=0)

    def summed(self, part: Factor, kept: str) -> Factor:
        """Without the labels that nothing needs."""
        labels = "".join(label for label in part.labels if label in kept)
        if labels == part.labels:
            return part
        axes = np.array([part.labels.index(label) for label in part.labels if label not in kept])
        value = self._insert("ReduceSum", [part.value, self._constant(axes)], self._shape(labels), keepdims=0)
        return Factor(labels, value)

    def multiplied(self, first: Factor, second: Factor) -> Factor:
        """Label by label, without a sum."""
        labels = self.equation.out
        laid = [self._laid(part, labels).value for part in (first, second)]
        return Factor(labels, self._insert("Mul", laid, self._shape(labels)))

    def _laid(self, part: Factor, labels: str) -> Factor:
        """The labels in that order, with axes of one element where the part has none."""
        turned = self.turned(part, "".join(label for label in labels if label in part.labels))
        shape = tuple(self.equation.sizes[label] if label in part.labels else 1 for label in labels)
        return Factor(labels, self._reshaped(turned.value, shape))

    def matrices(self, first: Factor, second: Factor) -> Factor:
        """A product of matrices for each combination of the labels that both and the result have."""
        both = set(first.labels) & set(second.labels)
        out = self.equation.out
        batch = "".join(label for label in first.labels if label in both and label in out)
        inner = "".join(label for label in first.labels if label in both and label not in out)
        rows = "".join(label for label in first.labels if label not in both)
        columns = "".join(label for label in second.labels if label not in both)
        lead, many = (batch, math.prod(self._shape(rows))) if batch else (rows, None)
        depth = math.prod(self._shape(inner))
        a = self._reshaped(
            self.turned(first, batch + rows + inner).value,
            (*self._shape(lead), *(() if many is None else (many,)), depth),
        )
        b = self._reshaped(
            self.turned(second, batch + inner + columns).value,
            (*self._shape(batch), depth, math.prod(self._shape(columns))),
        )
        wide = math.prod(self._shape(columns))
        product = self._insert("MatMul", [a, b], (*shape_of(a)[:-1], wide))
        labels = batch + rows + columns
        return Factor(labels, self._reshaped(product, self._shape(labels)))

    def turned(self, part: Factor, labels: str) -> Factor:
        if labels == part.labels:
            return part
        perm = [part.labels.index(label) for label in labels]
        return Factor(labels, self._insert("Transpose", [part.value], self._shape(labels), perm=perm))

    def finished(self, part: Factor) -> ir.Value:
        """In the order of the result, by an operator that has the node's name."""
        value = self.turned(part, self.equation.out).value
        if value.producer() is None or value in self.node.inputs:
            return self.edit.insert(self.node, "Identity", [value], {}, origins=(self.node,))
        return value

    def _shape(self, labels: str) -> Shape:
        return self.equation.shape(labels)

    def _reshaped(self, value: ir.Value, shape: Shape) -> ir.Value:
        if shape_of(value) == shape:
            return value
        target = self._constant(np.array(static_shape(shape_of(value), shape), np.int64))
        return self._insert("Reshape", [value, target], shape)

    def _constant(self, array: Array) -> ir.Value:
        return self.edit.initializer(array, f"{self.node.name}.numbers")

    def _insert(self, op_type: str, inputs: list[ir.Value], shape: Shape, **attributes: object) -> ir.Value:
        self.count += 1
        name = f"{self.node.name}.{self.count}"
        return self.edit.insert(
            self.node, op_type, list(inputs), attributes, name=name, shape=shape, origins=(self.node,)
        )
