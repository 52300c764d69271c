"""The operator Attention as the products and the softmax that it stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
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
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps

FORBIDDEN = -1e30
"""added to the score of what a token must not see; not infinite, so that sums stay numbers"""

ADDED = ((0.0, "nothing"), (FORBIDDEN, "much"))
"""to the score of what a mask of bool shows, and of what it hides"""


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

    def replace(self, node: ir.Node, found: Heads, steps: Steps) -> ir.Value:
        query, key, value = (
            _heads(needed_input(node, index), shape, found, name, steps)
            for index, (name, shape) in enumerate((("query", found.query), ("key", found.key), ("value", found.value)))
        )
        scale = steps.constant(np.array(found.scale, np.float32), "scale")
        scores = steps.product(query, steps.swapped(key))
        shape = shape_of(scores)
        scores = steps.insert("Mul", [scores, scale], name="scores", shape=shape)
        for name, mask in _masks(node, shape[-2:], steps):
            scores = steps.insert("Add", [scores, mask], name=name, shape=shape)
        shares = steps.insert("Softmax", [scores], {"axis": -1}, name="shares", shape=shape)
        if not found.apart:
            return steps.insert("MatMul", [shares, value])
        joined = steps.turned(steps.product(shares, value), (0, 2, 1, 3), "tokens")
        return steps.reshaped(joined, shape_of(node.outputs[0]), "joined")

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


def _masks(node: ir.Node, shape: Shape, steps: Steps) -> list[tuple[str, ir.Value]]:
    masks = []
    mask = input_of(node, 3)
    if mask is not None and mask.dtype == ir.DataType.BOOL:
        numbers = (steps.constant(np.array(number, np.float32), name) for number, name in ADDED)
        mask = steps.insert("Where", [mask, *numbers], name="mask", shape=shape_of(mask))
    if mask is not None:
        masks.append(("masked", mask))
    if integer(node, "is_causal", 0):
        later = np.triu(np.full(shape, FORBIDDEN, np.float32), 1)
        masks.append(("causal", steps.constant(later, "later")))
    return masks


def _heads(value: ir.Value, shape: Shape, found: Heads, name: str, steps: Steps) -> ir.Value:
    """[batch, heads of the query, tokens, size]."""
    batch, heads, tokens, size = shape
    if found.apart:
        value = steps.reshaped(value, (batch, tokens, heads, size), f"{name}.heads")
        value = steps.turned(value, (0, 2, 1, 3), f"{name}.apart")
    if heads == found.query[1]:
        return value
    index = steps.constant(np.repeat(np.arange(heads), found.query[1] // heads), "heads")
    shared = (batch, found.query[1], tokens, size)
    return steps.insert("Gather", [value, index], {"axis": 1}, name=f"{name}.shared", shape=shared)
