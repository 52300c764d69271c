"""An operator whose maps do not fit: tiles pass through slots on chip, from ddr_swap and back.

There is one slot more than engines, so that a tile is loaded while the others are computed or stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.npu.chips.records import ALIGNMENT
from axbuild.toolchain.npu.layout.allocate import OcmError
from axbuild.toolchain.npu.layout.constants import Piece, served
from axbuild.toolchain.npu.layout.draft import Storage
from axbuild.toolchain.npu.layout.moves import evict, load_name, store_output
from axbuild.toolchain.npu.layout.places import TensorPlace
from axbuild.toolchain.npu.layout.slots import Slots
from axbuild.toolchain.npu.layout.state import LayoutState
from axbuild.toolchain.npu.layout.task import Task, write_part
from axbuild.toolchain.npu.layout.tile import Steps, tiles
from axbuild.toolchain.npu.lower.packing import aligned


def stream(state: LayoutState, task: Task, out: TensorPlace) -> None:
    """One operator tile by tile; inputs that are on chip are read in place, and so is an output that has room."""
    TileStream(state, task, out).run()


@dataclass(frozen=True)
class TilePlan:
    """steps: extent of a tile; depth: slots for each streamed tensor; sizes: bytes of a slot by tensor number."""

    steps: Steps
    depth: int
    sizes: dict[int, int]

    @property
    def bytes(self) -> int:
        return self.depth * sum(aligned(size) for size in self.sizes.values())


class TileStream:
    """The state of one streamed operator; tensors are numbered as its inputs are, the output comes last."""

    def __init__(self, state: LayoutState, task: Task, out: TensorPlace) -> None:
        self.state = state
        self.memory = state.memory
        self.task = task
        self.out = out
        self.inputs = [state.places[name] for name in task.op.inputs]
        self.slots: dict[int, Slots] = {}

    def run(self) -> None:
        plan = self._plan()
        self.slots = {number: self._ring(number, plan) for number in plan.sizes}
        if self.out.home.near is None and self.out.home.far is None and self.out.home.uses:
            self.memory.take_far(self.out.home)
        for piece in self.task.pieces:
            for part in self._parts(piece, plan.steps):
                self._tile(piece, part)
            if piece is not None:
                self.state.prefetcher.done(piece)
        for ring in self.slots.values():
            for address in ring.addresses:
                self.memory.maps.give_back(address)
        name = self.task.op.output
        if self.out.home.near is not None and name in self.state.outputs:
            store_output(self.state, self.out, name, self.task.position, self.task.op.name)

    # Space ----------------------------------------------------------------------------------------------------

    def _streamed(self) -> list[int]:
        """Numbers of the tensors that are not on chip."""
        places = [*self.inputs, self.out]
        return [number for number, place in enumerate(places) if place.home.near is None]

    def _plan(self) -> TilePlan:
        """Evicts until tiles of some size fit: first other maps, then the output's room, then the inputs."""
        engines = self.state.chip.count(self.task.engine_class)
        while True:
            for depth in (engines + 1, 2, 1):
                plan = self._try(depth)
                if plan is not None:
                    return plan
            if not self._make_space():
                raise OcmError(
                    f"Operator '{self.task.op.name}' does not fit the {self.state.chip.ocm_bytes} bytes of on-chip "
                    "memory, however small its tiles."
                )

    def _make_space(self) -> bool:
        own = {id(place.home) for place in (*self.inputs, self.out)}
        victim = self.memory.victim(own)
        if victim is not None:
            evict(self.state, victim, self.task)
        elif self.out.home.near is not None and not self.out.home.unwritten:
            self.memory.drop_near(self.out.home)
        else:
            near = next((p.home for p in self.inputs if p.home.near is not None and not p.home.unwritten), None)
            if near is None:
                return False
            evict(self.state, near, self.task)
        return True

    def _try(self, depth: int) -> TilePlan | None:
        """A plan with `depth` slots a tensor in the largest gap: the fixed tiling's where there is one and it fits."""
        weigh = self._streamed()
        gap = self.memory.maps.largest_gap()
        if self.state.choices.tiling:
            fixed = self._planned(self.state.choices.tiling(self.task.op, self.task.cutter), depth, weigh)
            if fixed.bytes <= gap:
                return fixed
        budget = gap // depth
        while True:
            room = budget - len(weigh) * ALIGNMENT
            steps = self.task.cutter.streamed(self.task.whole, room, weigh, self.state.choices.thorough)
            plan = None if steps is None else self._planned(steps, depth, weigh)
            if plan is None or plan.bytes <= gap:
                return plan
            budget = budget * gap // plan.bytes  # the largest tile is larger than the one in the middle

    def _planned(self, steps: Steps, depth: int, weigh: list[int]) -> TilePlan:
        return TilePlan(steps, depth, self._sizes(steps, weigh))

    def _sizes(self, steps: Steps, weigh: list[int]) -> dict[int, int]:
        """Bytes of the largest tile of each tensor."""
        parts = [part for piece in self.task.pieces for part in self._parts(piece, steps)]
        return {number: max(self.task.cutter.bytes(part, [number]) for part in parts) for number in weigh}

    def _ring(self, number: int, plan: TilePlan) -> Slots:
        place = [*self.inputs, self.out][number]
        addresses = [self.memory.maps.take(plan.sizes[number]) for _ in range(plan.depth)]
        assert None not in addresses, "the plan fits the largest gap"
        return Slots(place.home.name, place.dtype, [a for a in addresses if a is not None])

    # Tiles ----------------------------------------------------------------------------------------------------

    def _parts(self, piece: Piece | None, steps: Steps) -> list[Box]:
        """Tiles of what a piece of constants serves; pieces outside, for they are loaded once."""
        return tiles(served(piece, self.task.whole), steps)

    def _tile(self, piece: Piece | None, part: Box) -> None:
        boxes = self.task.op.kind.input_boxes(part, *self.task.geometry.inputs)
        sources = [self._source(number, box) for number, box in enumerate(boxes)]
        near = self.out.near()
        target = near or self.slots[len(self.inputs)].next(part)
        write_part(self.state, self.task, part, sources, target, self.out, piece)
        if near is None:
            self._store(target, part)

    def _source(self, number: int, box: Box) -> Storage | None:
        place = self.inputs[number]
        if place.home.near is not None or not box.elements:
            return place.near()
        held = self.slots[number].find(box)
        if held is not None:
            return held
        target, far = self.slots[number].next(box), place.far()
        assert far is not None, "a tensor off chip has a far copy"
        self.state.writer.copy(far, target, box, load_name(far), self.task.position, self.task.op.name)
        return target

    def _store(self, source: Storage, part: Box) -> None:
        task, far = self.task, self.out.far()
        if far is not None:
            self.state.writer.copy(source, far, part, "st:ddr_swap", task.position, task.op.name)
        if task.op.output in self.state.outputs:
            target = self.state.outputs[task.op.output]
            self.state.writer.copy(source, target, part, "st:output", task.position, task.op.name)
