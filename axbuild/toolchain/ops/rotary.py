"""Rotary position embedding."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    input_of,
    integer,
    is_activation,
    shape_of,
    static_shape,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.mover import Reshape
from axbuild.toolchain.kinds.rotary import FloatRotary, Rotary
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step


class RotaryEmbeddingOp(Op):
    """Pairs of elements of each head turned by an angle a position: x cos + x' sin, x' the other one of the pair."""

    onnx = "RotaryEmbedding"
    clamps = True
    reals_too = True
    soi = (1, 2, 3)
    limits = (
        Limit("its input must be computed, not a constant", lambda n: is_activation(input_of(n, 0))),
        Limit(
            "its cosines, sines and positions must be constants",
            lambda n: not any(is_activation(input_of(n, index)) for index in (1, 2, 3)),
        ),
    )
    cases = (
        "test_rotary_embedding",
        "test_rotary_embedding_3d_input",
        "test_rotary_embedding_interleaved",
        "test_rotary_embedding_no_position_ids",
        "test_rotary_embedding_no_position_ids_interleaved",
        "test_rotary_embedding_no_position_ids_rotary_dim",
        "test_rotary_embedding_with_interleaved_rotary_dim",
        "test_rotary_embedding_with_rotary_dim",
    )

    def lower(self, q: SettledNode) -> list[Step]:
        shape, elements = shape_of(q.input(0)), type_of(q.edge())
        if len(shape) == 4:
            return q.single(self._kind(q, shape[3], heads_last=False), q.input(0))
        batch, tokens, hidden = shape
        heads = integer(q.node, "num_heads", 1)
        size = hidden // heads
        apart = Reshape(elements, static_shape(shape, (batch, tokens, heads, size)))
        joined = Reshape(type_of(q.target), static_shape(shape, shape))
        kinds: list[tuple[str, Kind]] = [
            ("heads", apart),
            ("turned", self._kind(q, size, heads_last=True)),
            ("", joined),
        ]
        return q.chain(kinds, q.input(0))

    def _kind(self, q: SettledNode, size: int, *, heads_last: bool) -> Kind:
        cosine, sine = (_angles(q.node, index) for index in (1, 2))
        partner, factors = rotation(cosine, sine, size, interleaved=bool(integer(q.node, "interleaved", 0)))
        factors = factors[:, :, :, np.newaxis] if heads_last else factors[:, :, np.newaxis]
        # One angle a position for every sample; only where samples differ is there a batch of them.
        own = factors[:, 0] if factors.shape[1] == 1 else factors
        if q.real:
            return FloatRotary(partner, own.astype(np.float32))
        return Rotary.of(q.x(), q.y, partner, own, q.lo, q.hi)


def _angles(node: ir.Node, index: int) -> Array:
    """float64 [batch or 1, positions, pairs] of a cache of cosines or sines."""
    cache, positions = constant_input(node, index), constant_input(node, 3)
    if cache is None:
        raise ValueError("cosines or sines are not constant")
    angles = (cache if positions is None else cache[positions]).astype(np.float64)
    return angles[:1] if np.all(angles == angles[:1]) else angles


def rotation(cosine: Array, sine: Array, size: int, *, interleaved: bool) -> tuple[tuple[int, ...], Array]:
    """(the other element of each element's pair; float64 [2, ..., size]: what both are multiplied by).

    cosine, sine: [..., pairs]. The first 2 pairs elements of `size` turn, the others stay; pairs are neighbours where
    interleaved, else an element of the first half and one of the second.
    """
    pairs = cosine.shape[-1]
    places = np.arange(2 * pairs)
    first, second = (places[0::2], places[1::2]) if interleaved else (places[:pairs], places[pairs:])
    partner = np.arange(size)
    partner[first], partner[second] = second, first
    factors = np.stack([np.ones((*cosine.shape[:-1], size)), np.zeros((*cosine.shape[:-1], size))])
    factors[0][..., first] = factors[0][..., second] = cosine
    factors[1][..., first], factors[1][..., second] = -sine, sine
    return tuple(int(place) for place in partner), factors
