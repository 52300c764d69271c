"""The layout of a net: a start, and what makes it better.

A trial is kept where it takes fewer cycles, or swaps fewer bytes, and no more of the other. So every mode and effort is
at least as good as the start in both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial

from axbuild.errors import AxWarning
from axbuild.toolchain.npu.layout.allocate import OcmError
from axbuild.toolchain.npu.layout.chains import ROWS, Chains, spilled
from axbuild.toolchain.npu.layout.choices import Choices, OpChain
from axbuild.toolchain.npu.layout.emit import Emission, emit
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.layout.neighbours import Neighbours
from axbuild.toolchain.npu.layout.schedule import Scheduler, Slot
from axbuild.toolchain.npu.layout.waits import waits
from axbuild.toolchain.npu.net import Net
from axbuild.toolchain.npu.options import CompileOptions, OpGroup

LINKS = 16
"""chains that slice mode tries beyond what spills"""
ROUNDS = 4
"""how often chains grow over what still spills"""
OTHER_AXES = (2, 3, 0)
"""memory axes beside rows along which chains are cut: columns, channels, samples"""
TRIALS = {"fast": 0, "normal": 32, "high": 256}
"""layouts that an effort tries beside those of both modes"""
SEED = 0
SLICE = "Slice"
"""the type of a group that runs in bands of rows"""

Growth = Callable[[Iterable[str], tuple[OpChain, ...]], tuple[OpChain, ...]]
"""(tensors that spill, chains) -> more or longer chains"""


@dataclass(frozen=True)
class Layout:
    """One layout, scheduled."""

    choices: Choices
    emission: Emission
    slots: list[Slot]

    @cached_property
    def cycles(self) -> int:
        return max((slot.start + slot.duration for slot in self.slots), default=0)

    @cached_property
    def swap_bytes(self) -> int:
        """Bytes that move to ddr_swap and back."""
        return sum(spilled(self.emission).values())

    def improves(self, other: Layout) -> bool:
        mine, theirs = (self.cycles, self.swap_bytes), (other.cycles, other.swap_bytes)
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


@dataclass(frozen=True)
class LayoutStep:
    """What one way to make a layout better came to, or what it took to obey groups. name: "start", "groups", "slice",
    "tile" or "search"; trials: layouts that it made; cycles, swap_bytes: of the one that was taken."""

    name: str
    trials: int
    cycles: int
    swap_bytes: int


@dataclass(frozen=True)
class Chosen:
    """The layout that was chosen, and how it was come by; told: of groups that are no chains."""

    net: Net
    layout: Layout
    steps: tuple[LayoutStep, ...]
    told: tuple[AxWarning, ...] = ()


class Workbench:
    """Lays one net out, in as many ways as it is asked to; trials: how many these were."""

    def __init__(self, net: Net, material: Material) -> None:
        self.net = net
        self.material = material
        self.chains = Chains(net, material)
        self.trials = 0
        self.asked: tuple[OpChain, ...] = ()
        self.told: list[AxWarning] = []

    def lay(self, choices: Choices) -> Layout:
        """OcmError where an operator does not fit."""
        self.trials += 1
        emission = emit(self.net, self.material, choices)
        return Layout(choices, emission, Scheduler(emission.drafts, self.material.chip, choices.by_path).run())

    def start(self) -> Layout:
        """Operator by operator; where maps spill, their makers together with their readers."""
        return self._grown(self.lay(Choices()), self.chains.pairs)

    def grouped(self, best: Layout, groups: Sequence[OpGroup]) -> Layout:
        """Each group as a chain, which every later layout keeps; of several axes along the one that takes the fewest
        cycles. `told` says which cannot be."""
        for group in groups:
            start, stop = self.chains.span(group.outputs)
            axes = (ROWS,) if group.type == SLICE else OTHER_AXES
            chains = [OpChain(start, stop, axis) for axis in axes]
            faults = [self.chains.fault(chain, self.asked) for chain in chains]
            whole = [chain for chain, fault in zip(chains, faults, strict=True) if not fault]
            found = [(laid, chain) for chain in whole if (laid := self._chained(best, chain))]
            if found:
                best, chain = min(found, key=lambda pair: (pair[0].cycles, pair[0].swap_bytes))
                self.asked = (*self.asked, chain)
            else:
                fault = "no bands of theirs fit on chip, or one needs all of another's output" if whole else faults[0]
                self.told.append(AxWarning("AX596", f"{group.word} cannot run as one chain: {fault}"))
        return best

    def _chained(self, best: Layout, chain: OpChain) -> Layout | None:
        """With this chain in place of those that it meets; None where it, or what was asked for before, does not come
        to bands."""
        with suppress(OcmError):
            laid = self.lay(replace(best.choices, chains=self.chains.around(chain, best.choices.chains)))
            if self._keeps(laid, (*self.asked, chain)):
                return laid
        return None

    @staticmethod
    def _keeps(laid: Layout, asked: Iterable[OpChain]) -> bool:
        """Whether what was asked for runs in bands, alone or in longer chains."""
        return all(
            any(c.axis == one.axis and c.start <= one.start and one.stop <= c.stop for c in laid.emission.banded)
            for one in asked
        )

    def sliced(self, best: Layout) -> Layout:
        """Longer chains: over everything that still spills, then where engines wait most."""
        best, tried = self._grown(best, self.chains.runs), {best.choices}
        for _ in range(LINKS):
            choices = next((one for one in self._linked(best) if one not in tried), None)
            if choices is None:
                break
            tried.add(choices)
            best = self._better(best, choices)
        return best

    def tiled(self, best: Layout) -> Layout:
        """Cuts of streamed operators that move least, and chains cut along other axes than rows."""
        best = self._better(best, replace(best.choices, thorough=True))
        for axis in OTHER_AXES:
            best = self._grown(best, partial(self.chains.runs, axis=axis))
        return best

    def searched(self, best: Layout, trials: int) -> Layout:
        """The best that is found from neighbour to neighbour in so many trials; the same each time."""
        walk = Neighbours(random.Random(SEED), self.chains)
        for _ in range(trials):
            choices = walk.of(best.choices, self._waits(best))
            if choices is None:
                break
            best = self._better(best, choices)
        return best

    def _linked(self, best: Layout) -> Iterator[Choices]:
        """With an operator and the one before it in one chain, where engines wait longest first."""
        waiting = self._waits(best)
        for position in sorted(range(1, len(waiting)), key=lambda n: (-waiting[n], n)):
            joined = self.chains.joined(OpChain(position - 1, position + 1, ROWS), best.choices.chains)
            if joined:
                yield replace(best.choices, chains=joined)

    def _waits(self, layout: Layout) -> list[int]:
        return waits(layout.emission.drafts, layout.slots, self.material.chip, len(self.net.ops))

    def _better(self, best: Layout, choices: Choices) -> Layout:
        """The layout with these choices where it is better, else the best so far."""
        with suppress(OcmError):
            found = self.lay(choices)
            if found.improves(best) and self._keeps(found, self.asked):
                return found
        return best

    def _grown(self, best: Layout, grow: Growth) -> Layout:
        laid = best
        for _ in range(ROUNDS):
            chains = grow(spilled(laid.emission), laid.choices.chains)
            if chains == laid.choices.chains:
                break
            try:
                laid = self.lay(replace(laid.choices, chains=chains))
            except OcmError:
                break
            best = laid if laid.improves(best) and self._keeps(laid, self.asked) else best
        return best


def choose(nets: list[Net], material: Material, options: CompileOptions, groups: Sequence[OpGroup] = ()) -> Chosen:
    """nets: ways to run the same batch; the first one fits, or OcmError is raised. groups: of the first one."""
    bench, laid = _first(nets, material)
    steps = [LayoutStep("start", bench.trials, laid.cycles, laid.swap_bytes)]
    for name, improve in _improvements(bench, options, groups):
        before = bench.trials
        laid = improve(laid)
        steps.append(LayoutStep(name, bench.trials - before, laid.cycles, laid.swap_bytes))
    return Chosen(bench.net, laid, tuple(steps), tuple(bench.told))


def _improvements(
    bench: Workbench, options: CompileOptions, groups: Sequence[OpGroup]
) -> Iterator[tuple[str, Callable[[Layout], Layout]]]:
    """What was asked for, in the order in which it is tried; whoever searches wants both modes."""
    if groups:
        yield "groups", partial(bench.grouped, groups=groups)
    trials = TRIALS[options.effort]
    if options.enable_slice_mode or trials:
        yield "slice", bench.sliced
    if options.enable_tile_mode or trials:
        yield "tile", bench.tiled
    if trials:
        yield "search", partial(bench.searched, trials=trials)


def _first(nets: list[Net], material: Material) -> tuple[Workbench, Layout]:
    """The net whose start takes the fewest cycles."""
    bench = Workbench(nets[0], material)
    best = bench, bench.start()
    for net in nets[1:]:
        # What waits half made for the other samples stays on chip, and may leave too little beside it.
        with suppress(OcmError):
            bench = Workbench(net, material)
            best = min(best, (bench, bench.start()), key=lambda pair: pair[1].cycles)
    return best
