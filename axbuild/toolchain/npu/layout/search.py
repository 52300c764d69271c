"""The layout of a net: a start, and what makes it better.

A trial is kept where it takes fewer cycles, or swaps fewer bytes, and no more of the other. So every mode and effort is
at least as good as the start in both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial

from axbuild.toolchain.npu.layout.allocate import OcmError
from axbuild.toolchain.npu.layout.chains import ROWS, Chains, spilled
from axbuild.toolchain.npu.layout.choices import Choices, OpChain
from axbuild.toolchain.npu.layout.emit import Emission, emit
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.layout.neighbours import Neighbours
from axbuild.toolchain.npu.layout.schedule import Scheduler, Slot
from axbuild.toolchain.npu.layout.waits import waits
from axbuild.toolchain.npu.net import Net
from axbuild.toolchain.npu.options import CompileOptions

LINKS = 16
"""chains that slice mode tries beyond what spills"""
ROUNDS = 4
"""how often chains grow over what still spills"""
OTHER_AXES = (2, 3, 0)
"""memory axes beside rows along which chains are cut: columns, channels, samples"""
TRIALS = {"fast": 0, "normal": 32, "high": 256}
"""layouts that an effort tries beside those of both modes"""
SEED = 0

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
    """What one way to make a layout better came to. name: "start", "slice", "tile" or "search"; trials: layouts that
    it made; cycles, swap_bytes: of the best one until then."""

    name: str
    trials: int
    cycles: int
    swap_bytes: int


@dataclass(frozen=True)
class Chosen:
    """The layout that was chosen, and how it was come by."""

    net: Net
    layout: Layout
    steps: tuple[LayoutStep, ...]


class Workbench:
    """Lays one net out, in as many ways as it is asked to; trials: how many these were."""

    def __init__(self, net: Net, material: Material) -> None:
        self.net = net
        self.material = material
        self.chains = Chains(net, material)
        self.trials = 0

    def lay(self, choices: Choices) -> Layout:
        """OcmError where an operator does not fit."""
        self.trials += 1
        emission = emit(self.net, self.material, choices)
        return Layout(choices, emission, Scheduler(emission.drafts, self.material.chip, choices.by_path).run())

    def start(self) -> Layout:
        """Operator by operator; where maps spill, their makers together with their readers."""
        return self._grown(self.lay(Choices()), self.chains.pairs)

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
            if found.improves(best):
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
            best = laid if laid.improves(best) else best
        return best


def choose(nets: list[Net], material: Material, options: CompileOptions) -> Chosen:
    """nets: ways to run the same batch; the first one fits, or OcmError is raised."""
    bench, laid = _first(nets, material)
    steps = [LayoutStep("start", bench.trials, laid.cycles, laid.swap_bytes)]
    for name, improve in _improvements(bench, options):
        before = bench.trials
        laid = improve(laid)
        steps.append(LayoutStep(name, bench.trials - before, laid.cycles, laid.swap_bytes))
    return Chosen(bench.net, laid, tuple(steps))


def _improvements(bench: Workbench, options: CompileOptions) -> Iterator[tuple[str, Callable[[Layout], Layout]]]:
    """What was asked for, in the order in which it is tried; whoever searches wants both modes."""
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
