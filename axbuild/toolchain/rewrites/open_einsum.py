"""Einsum of one or two tensors as the product that it stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Shape, is_constant, shape_of, text
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps

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

    def replace(self, node: ir.Node, found: Equation, steps: Steps) -> ir.Value:
        opened = _Opened(found, steps)
        operands = [value for value in node.inputs if value is not None]
        factors = [Labelled(term, value) for term, value in zip(found.operands, operands, strict=True)]
        if len(factors) == 1:
            return opened.finished(opened.summed(factors[0], found.out))
        first, second = reversed(factors) if is_constant(operands[0]) else factors
        first, second = (opened.summed(a, found.out + b.labels) for a, b in ((first, second), (second, first)))
        both = set(first.labels) & set(second.labels)
        if both <= set(found.out):
            return opened.finished(opened.multiplied(first, second))
        return opened.finished(opened.matrices(first, second))

    def rounding(self, node: ir.Node, found: Equation) -> Rounding:
        terms = math.prod(found.shape(found.summed))
        gains = tuple((value, terms * LARGEST) for value in node.inputs if value is not None)
        return Rounding(max(terms, 1), gains)


@dataclass(frozen=True)
class Labelled:
    """A tensor with a label an axis."""

    labels: str
    value: ir.Value


@dataclass
class _Opened:
    """The nodes that stand for one Einsum."""

    equation: Equation
    steps: Steps

    def summed(self, factor: Labelled, kept: str) -> Labelled:
        """Without the labels that nothing needs."""
        labels = "".join(label for label in factor.labels if label in kept)
        if labels == factor.labels:
            return factor
        axes = np.array([factor.labels.index(label) for label in factor.labels if label not in kept])
        inputs = [factor.value, self.steps.constant(axes, "axes")]
        value = self.steps.insert("ReduceSum", inputs, {"keepdims": 0}, name="summed", shape=self._shape(labels))
        return Labelled(labels, value)

    def multiplied(self, first: Labelled, second: Labelled) -> Labelled:
        """Label by label, without a sum."""
        labels = self.equation.out
        laid = [self._laid(factor, labels).value for factor in (first, second)]
        return Labelled(labels, self.steps.insert("Mul", laid, name="multiplied", shape=self._shape(labels)))

    def _laid(self, factor: Labelled, labels: str) -> Labelled:
        """The labels in that order, with axes of one element where the factor has none."""
        turned = self.turned(factor, "".join(label for label in labels if label in factor.labels))
        shape = tuple(self.equation.sizes[label] if label in factor.labels else 1 for label in labels)
        return Labelled(labels, self.steps.reshaped(turned.value, shape))

    def matrices(self, first: Labelled, second: Labelled) -> Labelled:
        """A product of matrices for each combination of the labels that both and the result have."""
        both = set(first.labels) & set(second.labels)
        out = self.equation.out
        batch = "".join(label for label in first.labels if label in both and label in out)
        inner = "".join(label for label in first.labels if label in both and label not in out)
        rows = "".join(label for label in first.labels if label not in both)
        columns = "".join(label for label in second.labels if label not in both)
        tall = (*self._shape(batch), math.prod(self._shape(rows))) if batch else self._shape(rows) or (1,)
        depth = math.prod(self._shape(inner))
        wide = math.prod(self._shape(columns))
        a = self.turned(first, batch + rows + inner).value
        b = self.turned(second, batch + inner + columns).value
        a = self.steps.reshaped(a, (*tall, depth))
        b = self.steps.reshaped(b, (*self._shape(batch), depth, wide))
        product = self.steps.product(a, b)
        labels = batch + rows + columns
        return Labelled(labels, self.steps.reshaped(product, self._shape(labels)))

    def turned(self, factor: Labelled, labels: str) -> Labelled:
        perm = tuple(factor.labels.index(label) for label in labels)
        return Labelled(labels, self.steps.turned(factor.value, perm))

    def finished(self, factor: Labelled) -> ir.Value:
        """In the order of the result."""
        return self.turned(factor, self.equation.out).value

    def _shape(self, labels: str) -> Shape:
        return self.equation.shape(labels)
