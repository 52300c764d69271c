"""An operator whose maps do not fit: tiles pass through slots on chip, from ddr_swap and back.

There is one slot more than engines, so that a tile is loaded while the others are computed or stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from axbuild.toolchain.kinds.base import Box, whole_box
from axbuild.toolchain.npu.layout.allocate import ALIGNMENT, OcmError, aligned
from axbuild.toolchain.npu.layout.draft import Storage, packed_strides
from axbuild.toolchain.npu.layout.places import Place, port_storage
from axbuild.toolchain.npu.layout.prefetch import Piece, served
from axbuild.toolchain.npu.layout.tile import Steps, tiles
from axbuild.toolchain.npu.lower.registry import works_of
from axbuild.toolchain.npu.program.form import OCM, SWAP

if TYPE_CHECKING:
    from axbuild.toolchain.npu.layout.emit import Emitter, Task


@dataclass(eq=False)
class Slots:
    """A ring of equal rooms on chip for the tiles of one tensor."""

    tensor: str
    dtype: str
    addresses: list[int]
    turn: int = 0
    held: dict[Box, Storage] = field(default_factory=dict)
    """the boxes that lie in slots now"""

    def find(self, box: Box) -> Storage | None:
        return self.held.get(box)

    def next(self, box: Box) -> Storage:
        """The oldest slot, now for `box`."""
        begin = self.addresses[self.turn]
        self.turn = (self.turn + 1) % len(self.addresses)
        self.held = {b: storage for b, storage in self.held.items() if storage.begin != begin}
        origin = tuple(start for start, _ in box.ranges)
        storage = Storage(self.tensor, OCM, begin, packed_strides(box.shape, self.dtype), self.dtype, origin)
        self.held[box] = storage
        return storage


@dataclass(frozen=True)
class Plan:
    """steps: extent of a tile; depth: slots for each streamed tensor; sizes: bytes of a slot by tensor number."""

    steps: Steps
    depth: int
    sizes: dict[int, int]


class Stream:
    """One operator tile by tile; inputs that are on chip are read in place, and so is an output that has room."""

    def __init__(self, emitter: Emitter, task: Task, out: Place) -> None:
        self.emitter = emitter
        self.memory = emitter.memory
        self.task = task
        self.out = out
        self.whole = whole_box(task.geometry.output)
        self.inputs = [emitter.places[name] for name in task.op.inputs]

    def run(self) -> None:
        plan = self._plan()
        slots = {number: self._slots(number, plan) for number in plan.sizes}
        if self.out.home.near is None and self.out.home.far is None and self.out.home.uses:
            self.memory.take_far(self.out.home)
        for piece in self.task.pieces:
            for part in self._parts(piece, plan.steps):
                self._tile(piece, part, slots)
            self.emitter.done(piece)
        for ring in slots.values():
            for address in ring.addresses:
                self.memory.maps.give_back(address)
        name = self.task.op.output
        if self.out.home.near is not None and name in self.emitter.outputs:
            self.emitter.store(self.out, name, self.task.position, self.task.op.name)

    # Space ----------------------------------------------------------------------------------------------------

    def _streamed(self) -> list[int]:
        """Numbers of the tensors that are not on chip; the output comes last."""
        places = [*self.inputs, self.out]
        return [number for number, place in enumerate(places) if place.home.near is None]

    def _plan(self) -> Plan:
        """Evicts until tiles of some size fit: first other maps, then the output's room, then the inputs."""
        engines = self.emitter.chip.count(self.task.engine_class)
        while True:
            for depth in (engines + 1, 2, 1):
                plan = self._try(depth)
                if plan is not None:
                    return plan
            if not self._make_space():
                raise OcmError(
                    f"Operator '{self.task.op.name}' does not fit the {self.emitter.chip.ocm_bytes} bytes of on-chip "
                    "memory, however small its tiles."
                )

    def _make_space(self) -> bool:
        own = {id(place.home) for place in (*self.inputs, self.out)}
        victim = self.memory.victim(own)
        if victim is not None:
            self.emitter.evict(victim, self.task)
        elif self.out.home.near is not None and not self.out.home.unwritten:
            self.memory.drop_near(self.out.home)
        else:
            near = next((p.home for p in self.inputs if p.home.near is not None and not p.home.unwritten), None)
            if near is None:
                return False
            self.emitter.evict(near, self.task)
        return True

    def _try(self, depth: int) -> Plan | None:
        """A plan with `depth` slots a tensor in the largest gap: the fixed tiling's where there is one and it fits."""
        weigh = self._streamed()
        gap = self.memory.maps.largest_gap()
        fixed = self.emitter.tiling(self.task.op, self.task.cutter) if self.emitter.tiling else None
        chosen = self.task.cutter.streamed(self.whole, gap // depth - len(weigh) * ALIGNMENT, weigh)
        for steps in (fixed, chosen):
            if steps is not None:
                sizes = self._sizes(steps, weigh)
                if sum(aligned(size) for size in sizes.values()) * depth <= gap:
                    return Plan(steps, depth, sizes)
        return None

    def _sizes(self, steps: Steps, weigh: list[int]) -> dict[int, int]:
        """Bytes of the largest tile of each tensor."""
        parts = [part for piece in self.task.pieces for part in self._parts(piece, steps)]
        return {number: max(self.task.cutter.bytes(part, [number]) for part in parts) for number in weigh}

    def _slots(self, number: int, plan: Plan) -> Slots:
        place = [*self.inputs, self.out][number]
        addresses = [self.memory.maps.take(plan.sizes[number]) for _ in range(plan.depth)]
        assert None not in addresses, "the plan fits the largest gap"
        return Slots(place.home.name, place.dtype, [a for a in addresses if a is not None])

    # Tiles ----------------------------------------------------------------------------------------------------

    def _parts(self, piece: Piece | None, steps: Steps) -> list[Box]:
        """Tiles of what a piece of constants serves; pieces outside, for they are loaded once."""
        return tiles(served(piece, self.whole) if piece else self.whole, steps)

    def _tile(self, piece: Piece | None, part: Box, slots: dict[int, Slots]) -> None:
        task = self.task
        boxes = task.op.kind.input_boxes(part, *task.geometry.inputs)
        sources = [self._source(number, box, slots) for number, box in enumerate(boxes)]
        near = self.out.near()
        target = near or slots[len(self.inputs)].next(part)
        for work in works_of(task.op.kind, task.geometry, part):
            self.emitter.compute(task, work, sources, target, piece)
        if near is None:
            self._store(target, part)

    def _source(self, number: int, box: Box, slots: dict[int, Slots]) -> Storage | None:
        place = self.inputs[number]
        if place.home.near is not None or not box.elements:
            return place.near()
        held = slots[number].find(box)
        if held is not None:
            return held
        target, far = slots[number].next(box), place.far()
        assert far is not None, "a tensor off chip has a far copy"
        self.emitter.writer.copy(far, target, box, load_name(far), self.task.position, self.task.op.name)
        return target

    def _store(self, source: Storage, part: Box) -> None:
        task, far = self.task, self.out.far()
        if far is not None:
            self.emitter.writer.copy(source, far, part, "st:ddr_swap", task.position, task.op.name)
        if task.op.output in self.emitter.outputs:
            target = port_storage(self.emitter.outputs[task.op.output])
            self.emitter.writer.copy(source, target, part, "st:output", task.position, task.op.name)


def load_name(far: Storage) -> str:
    """The cname of a load from there."""
    return "ld:ddr_swap" if far.region == SWAP else "ld:input"
