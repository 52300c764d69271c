"""The operator Attention as the products and the softmax that it stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    Shape,
    constant_input,
    input_of,
    integer,
    is_used,
    needed_input,
    real,
    shape_of,
)
from axbuild.toolchain.masks import HIDDEN
from axbuild.toolchain.rewrites.rewrite import Edit, NoMatch, Rewrite, Rounding

FORBIDDEN = -1e30
"""added to the score of what a token must not see; not infinite, so that sums stay numbers"""


@dataclass(frozen=True)
class Heads:
    """query, key, value: shapes [batch, heads, tokens, size]; scale: of the scores; apart: whether the heads of all
    three must first be told apart, [batch, tokens, heads size]."""

    query: Shape
    key: Shape
    value: Shape
    scale: float
    apart: bool


class OpenAttention(Rewrite[Heads]):
    """Attention(q, k, v, m) -> MatMul(Softmax(MatMul(q, k^T) s + m), v)

    Heads of keys and values that several heads of queries share are repeated. A mask of bool is 0 where it is true, and
    is_causal one over later tokens.
    """

    op = ("Attention",)

    def match(self, node: ir.Node) -> Heads | NoMatch:
        for index, name in ((4, "past keys"), (5, "past values"), (6, "counts of keys")):
            if input_of(node, index) is not None:
                return NoMatch(f"Attention has {name}")
        if any(is_used(output) for output in node.outputs[1:]):
            return NoMatch("Attention hands on more than its result")
        if real(node, "softcap", 0.0):
            return NoMatch("Attention has a softcap")
        if _hides_all_of_a_token(node):
            return NoMatch("a token of Attention's mask sees nothing, for which it gives zeros")
        given = [shape_of(needed_input(node, index)) for index in range(3)]
        apart = len(given[0]) == 3
        heads = [integer(node, name, 1) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
        shapes = [(s[0], n, s[1], s[2] // n) if apart else s for s, n in zip(given, heads, strict=True)]
        scale = real(node, "scale", 0.0) or 1.0 / math.sqrt(shapes[0][3])
        return Heads(shapes[0], shapes[1], shapes[2], scale, apart)

    def replace(self, node: ir.Node, found: Heads, edit: Edit) -> ir.Value:
        steps = _Steps(node, edit)
        query, key, value = (
            steps.heads(needed_input(node, index), shape, found)
            for index, shape in enumerate((found.query, found.key, found.value))
        )
        batch, heads, tokens, _ = found.query
        seen = found.key[2]
        key = steps.insert("Transpose", "keys", [key], (batch, heads, found.key[3], seen), perm=[0, 1, 3, 2])
        scores = (batch, heads, tokens, seen)
        number = edit.initializer(np.array(found.scale, np.float32), f"{node.name}.scale")
        made = steps.insert("MatMul", "products", [query, key], scores)
        made = steps.insert("Mul", "scores", [made, number], scores)
        for name, mask in self._masks(node, tokens, seen, steps):
            made = steps.insert("Add", name, [made, mask], scores)
        shares = steps.insert("Softmax", "shares", [made], scores, axis=-1)
        if not found.apart:
            return edit.insert(node, "MatMul", [shares, value], {}, origins=(node,))
        size = found.value[3]
        joined = steps.insert("MatMul", "joined", [shares, value], (batch, heads, tokens, size))
        joined = steps.insert("Transpose", "tokens", [joined], (batch, tokens, heads, size), perm=[0, 2, 1, 3])
        return steps.reshaped("", joined, (batch, tokens, heads * size))

    def _masks(self, node: ir.Node, tokens: int, seen: int, steps: _Steps) -> list[tuple[str, ir.Value]]:
        masks = []
        mask = input_of(node, 3)
        if mask is not None and mask.dtype == ir.DataType.BOOL:
            nothing, much = (np.array(number, np.float32) for number in (0.0, FORBIDDEN))
            operands = [mask, steps.constant("nothing", nothing), steps.constant("much", much)]
            mask = steps.insert("Where", "mask", operands, shape_of(mask))
        if mask is not None:
            masks.append(("masked", mask))
        if integer(node, "is_causal", 0):
            later = np.triu(np.full((tokens, seen), FORBIDDEN, np.float32), 1)
            masks.append(("causal", steps.constant("later", later)))
        return masks

    def rounding(self, node: ir.Node, found: Heads) -> Rounding:
        """Each result is a mean of values; a score, of which a softmax takes the power, is a sum of its own."""
        return Rounding(found.query[3] * found.key[2], ((needed_input(node, 2), 4.0),))


def _hides_all_of_a_token(node: ir.Node) -> bool:
    """Whether that is known: of a mask that is computed it is not, and there quantised attention gives zeros too."""
    mask = constant_input(node, 3)
    if mask is None:
        return False
    shown = mask if mask.dtype == np.bool_ else mask > HIDDEN
    if integer(node, "is_causal", 0):
        shown = np.tril(
            np.broadcast_to(shown, np.broadcast_shapes(shown.shape, (shape_of(needed_input(node, 0))[-2], 1)))
        )
    return not bool(shown.any(axis=-1).all())


@dataclass(frozen=True)
class _Steps:
    """The nodes that stand for one node, each named behind it."""

    node: ir.Node
    edit: Edit

    def insert(self, op_type: str, name: str, inputs: list[ir.Value], shape: Shape, **attributes: object) -> ir.Value:
        own = f"{self.node.name}.{name}"
        value = self.edit.insert(
            self.node, op_type, list(inputs), attributes, name=own, shape=shape, origins=(self.node,)
        )
        value.type = needed_input(self.node, 0).type
        return value

    def constant(self, name: str, array: Array) -> ir.Value:
        return self.edit.initializer(array, f"{self.node.name}.{name}")

    def reshaped(self, name: str, value: ir.Value, shape: Shape) -> ir.Value:
        target = self.constant("shape", np.array([-1, *shape[1:]], np.int64))
        inputs: list[ir.Value | None] = [value, target]
        own = f"{self.node.name}.{name}" if name else ""
        return self.edit.insert(self.node, "Reshape", inputs, {}, name=own, shape=shape, origins=(self.node,))

    def heads(self, value: ir.Value, shape: Shape, found: Heads) -> ir.Value:
        """[batch, heads of the query, tokens, size]."""
        batch, heads, tokens, size = shape
        name = value.name
        if found.apart:
            value = self.reshaped(f"{name}.heads", value, (batch, tokens, heads, size))
            value = self.insert("Transpose", f"{name}.apart", [value], shape, perm=[0, 2, 1, 3])
        if heads == found.query[1]:
            return value
        index = self.constant("heads", np.repeat(np.arange(heads), found.query[1] // heads))
        return self.insert("Gather", f"{name}.shared", [value, index], (batch, found.query[1], tokens, size), axis=1)
