"""How an operator's output is cut into the parts that single jobs compute.

A full reduction stays inside one job, so any cut gives the same bits; the choice here is about time and space only.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator

from axbuild.toolchain.kinds.base import Box, Kind, Rates
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.npu.lower.base import Geometry

JOB_COST = 50.0
"""cycles that a finer cut must win for each job it adds; keeps programs short"""

Steps = dict[int, int]
"""memory axis of the output -> extent of a tile along it; axes that are not named stay whole"""


def tiles(box: Box, steps: Steps) -> list[Box]:
    """The parts of a box, first axis slowest."""
    pieces = [
        [
            (at, min(at + steps.get(axis, stop - start), stop))
            for at in range(start, stop, steps.get(axis, stop - start))
        ]
        for axis, (start, stop) in enumerate(box.ranges)
    ]
    return [Box(ranges) for ranges in itertools.product(*pieces)]


def grid(box: Box, parts: dict[int, int], units: dict[int, int]) -> list[Box]:
    """`box` cut into parts[axis] pieces of about equal extent, at multiples of units[axis] from its start."""
    pieces = []
    for axis, (start, stop) in enumerate(box.ranges):
        unit = units.get(axis, 1)
        count = -(-(stop - start) // unit)
        wanted = min(parts.get(axis, 1), count)
        edges = [min(start + i * count // wanted * unit, stop) for i in range(wanted + 1)]
        pieces.append(list(itertools.pairwise(edges)))
    return [Box(ranges) for ranges in itertools.product(*pieces)]


class Cutter:
    """Chooses tiles for one operator on one engine class. rates, engines: of one engine, and how many there are."""

    def __init__(self, kind: Kind, geometry: Geometry, rates: Rates, engines: int) -> None:
        self.kind = kind
        self.geometry = geometry
        self.rates = rates
        self.engines = engines
        self.item_bytes = tuple(type_of(edge).bytes for edge in (*kind.reads, kind.writes))
        self.axes = kind.tile_axes(*geometry.inputs)
        self._cycles: dict[Box, float] = {}
        self._spread: dict[Box, list[Box]] = {}

    def cycles(self, box: Box) -> float:
        if box not in self._cycles:
            self._cycles[box] = self.kind.job_cycles(box, self.rates, *self.geometry.inputs)
        return self._cycles[box]

    def grain(self, axis: int) -> int:
        """Cuts along a memory axis are at multiples of this."""
        return self.kind.grain(axis, self.geometry.block, *self.geometry.inputs)

    def spread(self, box: Box) -> list[Box]:
        """Parts of `box` that keep all engines busy for the shortest time."""
        if box not in self._spread:
            units = {axis: self.grain(axis) for axis in self.axes}
            self._spread[box] = min((grid(box, parts, units) for parts in self._candidates()), key=self._cost)
        return self._spread[box]

    def _candidates(self) -> Iterator[dict[int, int]]:
        """One job; or one or two jobs an engine, cut along one axis or two."""
        yield {}
        for count in sorted({self.engines, 2 * self.engines} - {1}):
            for first in (n for n in range(1, count + 1) if count % n == 0):
                if first == count:
                    yield from ({axis: count} for axis in self.axes)
                elif first > 1:
                    for a, b in itertools.combinations(self.axes, 2):
                        yield {a: first, b: count // first}

    def _cost(self, parts: list[Box]) -> float:
        """Cycles until the last engine is done, longest part first to the engine that is free first."""
        loads = [0.0] * self.engines
        for cycles in sorted((self.cycles(part) for part in parts), reverse=True):
            heapq.heapreplace(loads, loads[0] + cycles)
        return max(loads) + JOB_COST * len(parts)

    def streamed(self, box: Box, budget: int, weigh: list[int], thorough: bool = False) -> Steps | None:
        """Steps whose tiles need at most `budget` bytes, as few as possible; None if even the smallest need more.

        thorough: look at every pair of axes for the cut that takes least time, also where nothing is read again.

        Cuts along one axis after another, whole samples first. Where an input would be read again and again for that
        (a matrix for each row of the other one), the cut that takes least time.
        weigh: numbers of the tensors that count (0.. activations, then the output).
        """
        steps: Steps = {}
        for axis in self._streaming_axes():
            steps[axis] = self._largest_step(box, steps, axis, budget, weigh)
            if self._fits(box, steps, budget, weigh):
                break
        if not self._fits(box, steps, budget, weigh):
            return None
        if not thorough and not self._reads_again(box, steps, weigh):
            return steps
        return min([steps, *self._pairs(box, budget, weigh)], key=lambda each: self._time(box, each, weigh))

    def _pairs(self, box: Box, budget: int, weigh: list[int]) -> Iterator[Steps]:
        """Cuts along two axes: halves, quarters .. along one, and what fits along the other, in whole lanes or not."""
        for first, second in itertools.permutations(self._streaming_axes(), 2):
            unit, step = self.grain(first), box.shape[first]
            lanes = math.lcm(self.grain(second), self.rates.mac_co)
            while step > unit:
                fitting = self._largest_step(box, {first: step}, second, budget, weigh)
                for extent in dict.fromkeys((fitting, fitting // lanes * lanes or fitting)):
                    if self._fits(box, {first: step, second: extent}, budget, weigh):
                        yield {first: step, second: extent}
                step = max(unit, step // 2 // unit * unit)

    def _reads_again(self, box: Box, steps: Steps, weigh: list[int]) -> bool:
        """Whether a part of an input is loaded, dropped, and loaded again."""
        tile, counts = self._first(box, steps), self._counts(box, steps)
        parts = {n: math.prod(counts[axis] for axis in counts if self._changes(tile, axis, n)) for n in weigh}
        return any(self._loads(tile, counts, number) > parts[number] for number in weigh)

    def _time(self, box: Box, steps: Steps, weigh: list[int]) -> float:
        """Cycles of all tiles: arithmetic or traffic to and from the DDR, whatever takes longer, and a cost a job."""
        tile, counts = self._first(box, steps), self._counts(box, steps)
        jobs = math.prod(counts.values())
        traffic = sum(self.bytes(tile, [number]) * self._loads(tile, counts, number) for number in weigh)
        arithmetic = self.cycles(tile) * jobs / self.engines
        return max(arithmetic, traffic / self.rates.ddr_bytes) + JOB_COST * jobs

    def _loads(self, tile: Box, counts: dict[int, int], number: int) -> int:
        """How often a tile of a tensor is moved: at each turn of the innermost loop that it changes with."""
        inner = max((axis for axis in counts if self._changes(tile, axis, number)), default=-1)
        return math.prod(count for axis, count in counts.items() if axis <= inner)

    def _changes(self, tile: Box, axis: int, number: int) -> bool:
        """Whether the next tile along an axis needs another part of a tensor."""
        start, stop = tile.ranges[axis]
        by = -1 if start else 1
        moved = tile.along(axis, start + by, stop + by)
        return self._boxes(tile)[number] != self._boxes(moved)[number]

    @staticmethod
    def _counts(box: Box, steps: Steps) -> dict[int, int]:
        """Tiles along each axis that is cut."""
        return {axis: -(-box.shape[axis] // step) for axis, step in steps.items() if step < box.shape[axis]}

    def _fits(self, box: Box, steps: Steps, budget: int, weigh: list[int]) -> bool:
        return self.bytes(self._first(box, steps), weigh) <= budget

    def _streaming_axes(self) -> list[int]:
        """Whole samples first, then rows; channels last, because cutting them reads the input again."""
        first = [axis for axis in (0, 1) if axis in self.axes]
        return first + [axis for axis in self.axes if axis not in first]

    def _largest_step(self, box: Box, steps: Steps, axis: int, budget: int, weigh: list[int]) -> int:
        """The largest extent along `axis` that fits the budget, by halving intervals; the smallest if none does."""
        size, unit = box.shape[axis], self.grain(axis)
        low, high = 1, -(-size // unit)
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits(box, {**steps, axis: min(middle * unit, size)}, budget, weigh):
                low = middle
            else:
                high = middle - 1
        return min(low * unit, size)

    def _first(self, box: Box, steps: Steps) -> Box:
        """A tile of the largest extent; its input part is taken away from the borders, where padding shortens it."""
        ranges = []
        for axis, (start, stop) in enumerate(box.ranges):
            step = min(steps.get(axis, stop - start), stop - start)
            middle = start + (stop - start - step) // 2
            ranges.append((middle, middle + step))
        return Box(tuple(ranges))

    def bytes(self, tile: Box, weigh: list[int]) -> int:
        """Bytes that the tensors `weigh` of one tile take."""
        boxes = self._boxes(tile)
        return sum(boxes[i].elements * self.item_bytes[i] for i in weigh)

    def _boxes(self, tile: Box) -> tuple[Box, ...]:
        """What a tile needs of each activation, and itself."""
        return (*self.kind.input_boxes(tile, *self.geometry.inputs), tile)
