"""GivenWeights in the codes that a QDQ model gave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array, origins_of
from axbuild.toolchain.kinds.arithmetic import above_floor, quantise_bias, require_accumulator
from axbuild.toolchain.kinds.codes import S8, Edge, ElementType, Grid
from axbuild.toolchain.ops.base import BakedWeight, FusedNode
from axbuild.toolchain.qdq.given import GivenWeight
from axbuild.toolchain.quant.bake import bake
from axbuild.toolchain.quant.heads import integer_op, real_bias

NEAR = 1e-3
"""of a step: how far a weight that was computed from codes may lie from one"""


@dataclass(frozen=True)
class Stepped:
    """A weight [co, ...] as scale (code - zero); scale float64 [co], zero int64 [co]."""

    type: ElementType
    scale: Array
    zero: Array


@dataclass
class GivenWeights:
    """anew: nodes whose weights have no scales of the model's that fit, in order."""

    given: Iterable[GivenWeight]
    anew: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._by_reader: dict[str, list[GivenWeight]] = {}
        for item in self.given:
            for reader in item.readers:
                self._by_reader.setdefault(reader, []).append(item)

    def adopt(self, fused: FusedNode, reads: Mapping[str, Edge], writes: Mapping[str, Edge]) -> BakedWeight | None:
        """The weight of a fused node in the model's own codes, or where these do not fit in new ones; None where it has
        no weight. Raises AccumulatorError, with the node's name, where the codes could leave the accumulator."""
        weight = integer_op(fused).weight(fused.node)
        if weight is None:
            return None
        candidates = [item for name in origins_of(fused.node) for item in self._by_reader.get(name, ())]
        stepped = next((found for item in candidates if (found := steps_of(weight, item)) is not None), None)
        if stepped is None:
            self.anew += [fused.name] if candidates else []
            return bake(fused, reads, writes, candidates[0].type if candidates else S8)
        try:
            return _baked(fused, weight, stepped, reads, writes)
        except AxError as error:
            raise AxError(
                f"node '{fused.name}' ({fused.node.op_type}) cannot be quantised as the model asks: {error.sentence}",
                hint=error.hint,
                code=error.code,
            ) from error


def steps_of(weight: Array, given: GivenWeight) -> Stepped | None:
    """The weight on the grid that its constant had, or, where the front end multiplied channels by numbers, on that of
    each channel; None where it is on neither."""
    channels = weight.shape[0]
    if given.scale.size in (1, channels):
        scale, zero = (np.broadcast_to(item, (channels,)) for item in (given.scale, given.zero))
        stepped = Stepped(given.type, scale.astype(np.float64), zero.astype(np.int64))
        if _fits(weight, stepped):
            return stepped
    return _found(weight, given.type)


def _fits(weight: Array, stepped: Stepped) -> bool:
    steps = weight / _down(stepped.scale, weight)
    codes = np.rint(steps) + _down(stepped.zero, weight)
    near = np.abs(steps - np.rint(steps)).max(initial=0.0) <= NEAR
    return bool(near and codes.min() >= stepped.type.lo and codes.max() <= stepped.type.hi)


def _found(weight: Array, kind: ElementType) -> Stepped | None:
    """The coarsest symmetrical grid of every channel, its step divided so that the codes fill the type."""
    if kind.wide:
        return None
    scale = np.ones(weight.shape[0])
    for channel, row in enumerate(weight.reshape(weight.shape[0], -1)):
        largest = np.abs(row).max(initial=0.0)
        steps = next((count for count in range(1, kind.hi + 1) if _whole(row * (count / largest))), 0) if largest else 1
        if not steps:
            return None
        scale[channel] = (largest or 1.0) / (steps * (kind.hi // steps))
    return Stepped(kind, scale, np.zeros(len(scale), np.int64))


def _whole(values: Array) -> bool:
    return bool(np.abs(values - np.rint(values)).max() <= NEAR)


def _down(vector: Array, like: Array) -> Array:
    """One value a channel, so that it broadcasts with a weight."""
    return vector.reshape(-1, *[1] * (like.ndim - 1))


def _baked(
    fused: FusedNode, weight: Array, stepped: Stepped, reads: Mapping[str, Edge], writes: Mapping[str, Edge]
) -> BakedWeight:
    kind = stepped.type
    (x,) = (edge for edge in reads.values() if isinstance(edge, Grid))
    y = writes[fused.accumulated.name or ""]
    bias = real_bias(fused, weight.shape[0])
    scale, raised = above_floor(stepped.scale, bias, x, y.scale if isinstance(y, Grid) else 0.0, kind)
    steps = np.rint(weight / _down(scale.astype(np.float64), weight))
    codes = np.clip(steps + _down(stepped.zero, weight), kind.lo, kind.hi).astype(kind.dtype)
    zero = tuple(stepped.zero.tolist()) if stepped.zero.any() else ()
    channels = tuple(int(channel) for channel in np.flatnonzero(raised))
    if not isinstance(y, Grid):
        return BakedWeight(codes, scale, kind, bias.astype(np.float32), channels, zero)
    offset = quantise_bias(bias, x.scale, scale, x, kind)
    require_accumulator(codes.astype(np.int64) - _down(stepped.zero, codes), offset, x, kind, f"node '{fused.name}'")
    return BakedWeight(codes, scale, kind, offset, channels, zero)
