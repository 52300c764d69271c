"""How an operator's output is cut into the parts that single jobs compute.

A full reduction stays inside one job, so any cut gives the same bits; the choice here is about time and space only.
"""

from __future__ import annotations

import heapq
import itertools
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

    def cycles(self, box: Box) -> float:
        return self.kind.job_cycles(box, self.rates, *self.geometry.inputs)

    def grain(self, axis: int) -> int:
        """Cuts along a memory axis are at multiples of this."""
        return self.kind.grain(axis, self.geometry.block, *self.geometry.inputs)

    def spread(self, box: Box) -> list[Box]:
        """Parts of `box` that keep all engines busy for the shortest time."""
        units = {axis: self.grain(axis) for axis in self.axes}
        return min((grid(box, parts, units) for parts in self._candidates()), key=self._cost)

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

    def streamed(self, box: Box, budget: int, weigh: list[int]) -> Steps | None:
        """Steps whose tiles need at most `budget` bytes, as few as possible; None if even the smallest need more.

        weigh: numbers of the tensors that count (0.. activations, then the output).
        """
        steps: Steps = {}
        for axis in self._streaming_axes():
            start, stop = box.ranges[axis]
            unit = self.grain(axis)
            largest = self._largest_step(box, steps, axis, unit, budget, weigh)
            steps[axis] = min(largest * unit, stop - start)
            if self.bytes(self._first(box, steps), weigh) <= budget:
                return steps
        return steps if self.bytes(self._first(box, steps), weigh) <= budget else None

    def _streaming_axes(self) -> list[int]:
        """Whole samples first, then rows; channels last, because cutting them reads the input again."""
        first = [axis for axis in (0, 1) if axis in self.axes]
        return first + [axis for axis in self.axes if axis not in first]

    def _largest_step(self, box: Box, steps: Steps, axis: int, unit: int, budget: int, weigh: list[int]) -> int:
        """Units along `axis` that fit the budget, by halving intervals; 1 if none does."""
        start, stop = box.ranges[axis]
        low, high = 1, -(-(stop - start) // unit)
        while low < high:
            middle = (low + high + 1) // 2
            step = {**steps, axis: min(middle * unit, stop - start)}
            if self.bytes(self._first(box, step), weigh) <= budget:
                low = middle
            else:
                high = middle - 1
        return low

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
        boxes = (*self.kind.input_boxes(tile, *self.geometry.inputs), tile)
        return sum(boxes[i].elements * self.item_bytes[i] for i in weigh)
