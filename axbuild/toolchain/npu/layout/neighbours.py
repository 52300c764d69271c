"""Layouts that differ in one choice from a given one: where a search looks next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from axbuild.toolchain.npu.layout.chains import ROWS, Chains
from axbuild.toolchain.npu.layout.choices import Choices, OpChain, OpCut

MISSES = 1000
"""proposals in a row that are none, or were made before, after which a walk ends"""
COUNTS = (2, 3, 4, 6, 8)
"""parts in which an operator may be cut"""

Move = Callable[[Random, Chains, Choices, int], Choices | None]
"""(.., number of an operator) -> the choices with one change there, or somewhere"""


class Neighbours:
    """A walk from layout to layout that proposes none twice."""

    def __init__(self, rng: Random, chains: Chains) -> None:
        self.rng = rng
        self.chains = chains
        self.seen: set[Choices] = set()

    def of(self, choices: Choices, waits: Sequence[int]) -> Choices | None:
        """Another neighbour of `choices`; None where none is found any more. waits: for each operator what may be won
        there; the more, the likelier that a change begins at it."""
        self.seen.add(choices)
        for _ in range(MISSES):
            at = self.rng.choices(range(len(waits)), [1 + cycles for cycles in waits])[0]
            found = self.rng.choice(MOVES)(self.rng, self.chains, choices, at)
            if found is not None and found not in self.seen:
                self.seen.add(found)
                return found
        return None


def _order(rng: Random, chains: Chains, now: Choices, at: int) -> Choices:
    return replace(now, by_path=not now.by_path)


def _longer(rng: Random, chains: Chains, now: Choices, at: int) -> Choices | None:
    """An operator with the one before it: one more in a chain, a new chain of two, or two chains as one."""
    joined = chains.joined(OpChain(at - 1, at + 1, ROWS), now.chains)
    return replace(now, chains=joined) if joined else None


def _shorter(rng: Random, chains: Chains, now: Choices, at: int) -> Choices | None:
    """One operator less at an end of a chain."""
    if not now.chains:
        return None
    chain = rng.choice(now.chains)
    start, stop = rng.choice(((chain.start + 1, chain.stop), (chain.start, chain.stop - 1)))
    rest = tuple(c for c in now.chains if c != chain)
    kept = chains.joined(OpChain(start, stop, chain.axis), rest) if stop - start > 1 else rest
    return replace(now, chains=kept) if kept is not None else None


def _parted(rng: Random, chains: Chains, now: Choices, at: int) -> Choices | None:
    """Two chains of one."""
    long = [chain for chain in now.chains if chain.stop - chain.start > 3]
    if not long:
        return None
    chain = rng.choice(long)
    middle = rng.randrange(chain.start + 2, chain.stop - 1)
    parts = OpChain(chain.start, middle, chain.axis), OpChain(middle, chain.stop, chain.axis)
    return replace(now, chains=tuple(p for c in now.chains for p in (parts if c == chain else (c,))))


def _cut(rng: Random, chains: Chains, now: Choices, at: int) -> Choices | None:
    """Another cut of an operator or of the one before it, or again its own."""
    position = max(0, at - rng.randrange(2))
    others = tuple(cut for cut in now.cuts if cut.position != position)
    if len(others) < len(now.cuts) and rng.random() < 0.5:
        return replace(now, cuts=others)
    op = chains.net.ops[position]
    axes = chains.material.cutter(chains.net, op).axes if op.inputs else ()
    if not axes:
        return None
    cut = OpCut(position, rng.choice(axes), rng.choice(COUNTS))
    return replace(now, cuts=(*others, cut))


def _elsewhere(rng: Random, chains: Chains, now: Choices, at: int) -> Choices:
    """A tensor at the other end of the memory."""
    return replace(now, high=now.high ^ {chains.net.ops[at].output})


MOVES: tuple[Move, ...] = (_order, _longer, _longer, _longer, _shorter, _parted, _cut, _cut, _elsewhere)
"""as often as they are worth it"""
