"""A model as a chain of blocks: fused nodes in a row, cut where only one tensor that depends on weights goes on.

What no weight reaches (inputs of the model, masks made of them) goes on beside it: tuning cannot change it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import onnx_ir as ir

from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.quant.scheme import SiteScheme

Site = tuple[FusedNode, SiteScheme]


@dataclass(frozen=True)
class TuningBlock:
    """sites: in the order of the graph. reads: tensors from before it. writes: those of its own that are read behind
    it, or by the model's user. goes_on: all tensors that blocks behind it read. tuned: whether weights are learnt here.
    """

    sites: tuple[Site, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    goes_on: tuple[str, ...]
    tuned: bool


def block_of(sites: Sequence[Site], writes: Sequence[str]) -> TuningBlock:
    """Fused nodes as a block by itself, of which these tensors are looked at."""
    made = {name for fused, _ in sites for name in _names(fused.outputs)}
    read = dict.fromkeys(name for fused, _ in sites for name in _names(fused.inputs))
    return TuningBlock(tuple(sites), tuple(name for name in read if name not in made), tuple(writes), (), True)


def blocks_of(sites: Sequence[Site], able: Callable[[FusedNode, SiteScheme], bool], size: int) -> list[TuningBlock]:
    """able: whether a fused node can be differentiated; size: weighted nodes in a block, unless one piece has more."""
    chain = _Chain(sites)
    return [chain.block(stretch) for stretch in _stretches(chain.pieces(), able, size)]


@dataclass
class _Stretch:
    """Fused nodes that become one block."""

    sites: list[Site] = field(default_factory=list)
    weights: int = 0
    known: bool = True


def _stretches(
    pieces: Iterable[Sequence[Site]], able: Callable[[FusedNode, SiteScheme], bool], size: int
) -> list[_Stretch]:
    """Pieces joined while they have no more than `size` weights; what cannot be differentiated stands by itself."""
    found = [_Stretch()]
    for piece in pieces:
        weights = sum(site.weight is not None for _, site in piece)
        known = all(able(fused, site) for fused, site in piece)
        full = bool(weights and found[-1].weights and found[-1].weights + weights > size)
        if found[-1].sites and (known != found[-1].known or (known and full)):
            found.append(_Stretch())
        found[-1].sites += piece
        found[-1].weights += weights
        found[-1].known = known
    return found


class _Chain:
    """Where the tensors of a model are made and read last."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.sites = sites
        self.place = {fused.name: place for place, (fused, _) in enumerate(sites)}
        self.last: dict[str, int] = {}
        self.kept: set[str] = set()
        for place, (fused, _) in enumerate(sites):
            self.last.update(dict.fromkeys(_names(fused.inputs), place))
            self.kept.update(_names(value for value in fused.outputs if value.is_graph_output()))

    def pieces(self) -> Iterable[Sequence[Site]]:
        """The shortest parts between two cuts."""
        begin, reached = 0, set[str]()
        for place, (fused, site) in enumerate(self.sites):
            if site.weight is not None or reached.intersection(_names(fused.inputs)):
                reached.update(_names(fused.outputs))
            reached = {name for name in reached if self.last.get(name, -1) > place}
            if len(reached) <= 1:
                yield self.sites[begin : place + 1]
                begin = place + 1
        if begin < len(self.sites):
            yield self.sites[begin:]

    def block(self, stretch: _Stretch) -> TuningBlock:
        end = self.place[stretch.sites[-1][0].name]
        made = dict.fromkeys(name for fused, _ in stretch.sites for name in _names(fused.outputs))
        writes = [name for name in made if self.last.get(name, -1) > end or name in self.kept]
        tuned = stretch.known and stretch.weights > 0
        return replace(block_of(stretch.sites, writes), goes_on=self._alive(end), tuned=tuned)

    def _alive(self, end: int) -> tuple[str, ...]:
        """Tensors made up to this place, inputs of the model among them, that are read behind it."""
        later = {name for fused, _ in self.sites[end + 1 :] for name in _names(fused.outputs)}
        return tuple(name for name, place in self.last.items() if place > end and name not in later)


def _names(values: Iterable[ir.Value]) -> list[str]:
    return [value.name for value in values if value.name]
