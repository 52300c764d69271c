"""Layouts that differ in one choice from a given one: where a search looks next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from axbuild.toolchain.npu.layout.chains import ROWS, Chains
from axbuild.toolchain.npu.layout.choices import Choices, OpChain, OpCut

MISSES = 1000
"""proposals in a row that are none, or were made before, after which a walk ends"""
COUNTS = (2, 3, 4, 6, 8)
"""parts in which an operator may be cut"""

Move = Callable[[Random, Chains, Choices], Choices | None]


class Neighbours:
    """A walk from layout to layout that proposes none twice."""

    def __init__(self, rng: Random, chains: Chains) -> None:
        self.rng = rng
        self.chains = chains
        self.seen: set[Choices] = set()

    def of(self, choices: Choices) -> Choices | None:
        """Another neighbour of `choices`; None where none is found any more."""
        self.seen.add(choices)
        for _ in range(MISSES):
            found = self.rng.choice(MOVES)(self.rng, self.chains, choices)
            if found is not None and found not in self.seen:
                self.seen.add(found)
                return found
        return None


def _order(rng: Random, chains: Chains, at: Choices) -> Choices:
    return replace(at, by_path=not at.by_path)


def _longer(rng: Random, chains: Chains, at: Choices) -> Choices | None:
    """One more operator in a chain, a new chain of two, or two chains as one."""
    start = rng.randrange(len(chains.net.ops))
    joined = chains.joined(OpChain(start, start + 2, ROWS), at.chains)
    return replace(at, chains=joined) if joined else None


def _shorter(rng: Random, chains: Chains, at: Choices) -> Choices | None:
    """One operator less at an end of a chain."""
    if not at.chains:
        return None
    chain = rng.choice(at.chains)
    start, stop = rng.choice(((chain.start + 1, chain.stop), (chain.start, chain.stop - 1)))
    rest = tuple(c for c in at.chains if c != chain)
    kept = chains.joined(OpChain(start, stop, chain.axis), rest) if stop - start > 1 else rest
    return replace(at, chains=kept) if kept is not None else None


def _parted(rng: Random, chains: Chains, at: Choices) -> Choices | None:
    """Two chains of one."""
    long = [chain for chain in at.chains if chain.stop - chain.start > 3]
    if not long:
        return None
    chain = rng.choice(long)
    middle = rng.randrange(chain.start + 2, chain.stop - 1)
    parts = OpChain(chain.start, middle, chain.axis), OpChain(middle, chain.stop, chain.axis)
    return replace(at, chains=tuple(p for c in at.chains for p in (parts if c == chain else (c,))))


def _cut(rng: Random, chains: Chains, at: Choices) -> Choices | None:
    """Another cut of an operator, or again its own."""
    position = rng.randrange(len(chains.net.ops))
    others = tuple(cut for cut in at.cuts if cut.position != position)
    if len(others) < len(at.cuts) and rng.random() < 0.5:
        return replace(at, cuts=others)
    op = chains.net.ops[position]
    axes = chains.material.cutter(chains.net, op).axes if op.inputs else ()
    if not axes:
        return None
    cut = OpCut(position, rng.choice(axes), rng.choice(COUNTS))
    return replace(at, cuts=(*others, cut))


def _elsewhere(rng: Random, chains: Chains, at: Choices) -> Choices:
    """A tensor at the other end of the memory."""
    name = rng.choice(chains.net.ops).output
    return replace(at, high=at.high ^ {name})


MOVES: tuple[Move, ...] = (_order, _longer, _longer, _longer, _shorter, _parted, _cut, _cut, _elsewhere)
"""as often as they are worth it"""
