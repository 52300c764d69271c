"""Operators -> drafted jobs on addresses: what stays on chip, what is swapped, what is loaded when.

Operators run one after another in issue order. A map stays on chip where it fits; else the map whose next reader is
farthest away goes to ddr_swap, or the operator streams (`stream`): its far inputs and its output pass through a few
slots, a tile at a time. The schedule overlaps whatever the dependencies leave free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from axbuild.toolchain.kinds.base import whole_box
from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.layout.allocate import OcmError, aligned
from axbuild.toolchain.npu.layout.draft import Access, Draft, Storage
from axbuild.toolchain.npu.layout.places import Far, Home, Memory, Place, place_of, port_storage, port_strides
from axbuild.toolchain.npu.layout.prefetch import Piece, Prefetcher, part_of, pieces_of, served
from axbuild.toolchain.npu.layout.stream import Stream, load_name
from axbuild.toolchain.npu.layout.tile import Cutter, Steps, tiles
from axbuild.toolchain.npu.layout.writer import Writer
from axbuild.toolchain.npu.lower.base import Geometry, Pack, Work
from axbuild.toolchain.npu.lower.registry import pack_of, works_of
from axbuild.toolchain.npu.net import Net, Op
from axbuild.toolchain.npu.program.form import Port

Tiling = Callable[[Op, Cutter], Steps]
"""Fixed tile extents for an operator; an axis that is not cut or not named stays whole."""


@dataclass(frozen=True)
class Emission:
    """drafts in issue order; blobs: packed constants, each once; swap_bytes: what ddr_swap must hold."""

    drafts: list[Draft]
    blobs: list[bytes]
    swap_bytes: int


@dataclass(frozen=True, eq=False)
class Task:
    """One operator about to be written down."""

    position: int
    op: Op
    geometry: Geometry
    engine_class: str
    cutter: Cutter
    pieces: tuple[Piece | None, ...]
    """pieces of constants in order; (None,) where there are none"""


def emit(net: Net, chip: Chip, tiling: Tiling | None = None) -> Emission:
    """The jobs of a net on a chip; tiling None lets the compiler choose. OcmError where an operator cannot fit."""
    return Emitter(net, chip, tiling).run()


class Emitter:
    """The state of one layout; `run` may be called once."""

    def __init__(self, net: Net, chip: Chip, tiling: Tiling | None) -> None:
        self.net = net
        self.chip = chip
        self.tiling = tiling
        self.writer = Writer(chip)
        self.blobs: dict[bytes, int] = {}
        self.packs: dict[int, Pack | None] = {}
        self.outputs = {name: Port(name, net.tensors[name].dtype, net.tensors[name].shape) for name in net.outputs}
        self.pieces = [self._pieces(position, op) for position, op in enumerate(net.ops)]
        self.memory = Memory(chip.ocm_bytes, self._param_bytes())
        self.prefetcher = Prefetcher(self.memory.params, [p for ps in self.pieces for p in ps], self._load_piece)
        self.places: dict[str, Place] = {}
        self.readers: dict[str, list[int]] = {name: [] for name in net.tensors}
        for position, op in enumerate(net.ops):
            for name in op.inputs:
                self.readers[name].append(position)

    def run(self) -> Emission:
        for name in self.net.inputs:
            self._settle_input(name)
        self._prepare_wholes()
        for position, op in enumerate(self.net.ops):
            self.prefetcher.ahead()
            if not self._settle_view(position, op):
                self._run(self._task(position, op))
            for name in op.inputs:
                self._read_once(self.places[name].home)
        return Emission(self.writer.drafts, list(self.blobs), self.memory.swap.peak)

    # Constants ------------------------------------------------------------------------------------------------

    def _pieces(self, position: int, op: Op) -> list[Piece]:
        key = id(op.kind)
        if key not in self.packs:
            self.packs[key] = pack_of(op.kind, self.chip.rates.mac_co, len(self.net.tensors[op.output].shape))
        pack = self.packs[key]
        if pack is None:
            return []
        return pieces_of(op.name, position, pack, self._blob(pack), self.chip.param_bytes // 4)

    def _blob(self, pack: Pack) -> int:
        """Number of the pack's bytes among the blobs; equal constants are one blob."""
        return self.blobs.setdefault(pack.data.tobytes(), len(self.blobs))

    def _param_bytes(self) -> int:
        """Room for parameters: the chip's share, or what the largest piece needs."""
        largest = max((p for pieces in self.pieces for p in pieces), key=lambda piece: piece.bytes, default=None)
        if largest is None or aligned(largest.bytes) <= self.chip.param_bytes:
            return self.chip.param_bytes
        if aligned(largest.bytes) >= self.chip.ocm_bytes:
            raise OcmError(
                f"The constants of '{largest.op}' come in pieces of {largest.bytes} bytes or more; {self.chip.name} "
                f"{self.chip.npu_mode} has {self.chip.ocm_bytes} bytes on chip."
            )
        return aligned(largest.bytes)

    def _load_piece(self, piece: Piece, storage: Storage) -> None:
        self.writer.copy(piece.source(), storage, piece.box, "ld:param", piece.position, piece.op)

    # Tensors --------------------------------------------------------------------------------------------------

    def _settle_input(self, name: str) -> None:
        tensor = self.net.tensors[name]
        port = Port(name, tensor.dtype, tensor.shape)
        place = place_of(name, tensor.shape, tensor.dtype)
        place.home.far = Far(name, 0, name)
        place.far_strides = port_strides(port)
        self._settle(name, place)
        if name in self.outputs:
            self.store(place, name, 0, name)
        self._release_unread(place.home)
        for part, (whole, number) in self.net.parts.items():
            if whole == name:
                own = place_of(part, self.net.tensors[part].shape, tensor.dtype)
                own.home.far = Far(name, number * own.home.bytes, name)
                own.far_strides = place.far_strides
                self._settle(part, own)

    def _prepare_wholes(self) -> None:
        """A home for each tensor that is made part by part, and a place in it for each part."""
        for part, (whole, number) in self.net.parts.items():
            if whole in self.net.inputs:
                continue
            if whole not in self.places:
                tensor = self.net.tensors[whole]
                self._settle(whole, place_of(whole, tensor.shape, tensor.dtype))
            tensor = self.net.tensors[part]
            own = place_of(part, tensor.shape, tensor.dtype)
            own.offset, own.home = number * own.home.bytes, self.places[whole].home
            own.home.unwritten += 1
            self._settle(part, own)

    def _settle(self, name: str, place: Place) -> None:
        place.home.uses = sorted(place.home.uses + self.readers[name])
        self.places[name] = place
        if place.home not in self.memory.homes:
            self.memory.settle(place.home)

    def _settle_view(self, position: int, op: Op) -> bool:
        """Whether the output is only another view of the input's bytes, settled as such."""
        if op.output in self.net.parts:
            return False
        source, shapes = self.places[op.inputs[0]], self.net.shapes(op.inputs)
        tensor = self.net.tensors[op.output]
        at_port = source.home.far is not None and source.home.far.region in self.net.inputs
        if (axes := op.kind.permutes(*shapes)) and at_port and source.home.near is None:
            # The loading copy transposes; the view gets a home of its own because it lies otherwise on chip.
            place = place_of(op.output, tensor.shape, tensor.dtype)
            place.home.far = source.home.far
            place.far_strides = tuple(source.far_strides[axis] for axis in axes)
        elif not at_port and op.kind.view(*shapes):
            place = place_of(op.output, tensor.shape, tensor.dtype)
            place.home, place.offset = source.home, source.offset
        else:
            return False
        self._settle(op.output, place)
        if op.output in self.outputs:
            self.store(place, op.output, position, op.name)
        self._release_unread(place.home)
        return True

    def _read_once(self, home: Home) -> None:
        home.uses.pop(0)
        self._release_unread(home)

    def _release_unread(self, home: Home) -> None:
        if not home.uses and not home.unwritten and home in self.memory.homes:
            self.memory.release(home)

    def store(self, place: Place, name: str, position: int, op: str) -> None:
        """The whole tensor to an output's region."""
        source = place.near() or place.far()
        assert source is not None, "a settled tensor lies somewhere"
        box = whole_box(self.outputs[name].shape)
        self.writer.copy(source, port_storage(self.outputs[name]), box, "st:output", position, op)

    # Operators ------------------------------------------------------------------------------------------------

    def _task(self, position: int, op: Op) -> Task:
        geometry = Geometry(self.net.shapes(op.inputs), self.net.tensors[op.output].shape, self.chip.rates.mac_co)
        engine_class = self.chip.engine_class(op.kind)
        rates = self.chip.job_rates(engine_class)
        cutter = Cutter(op.kind, geometry, rates, self.chip.count(engine_class))
        return Task(position, op, geometry, engine_class, cutter, tuple(self.pieces[position]) or (None,))

    def _run(self, task: Task) -> None:
        op = task.op
        far_inputs = self._bring_near(task)
        out = self._output(op)
        near_output = out.home.near is not None
        if not near_output and out.home.far is None:
            near_output = self._make_room(task, out.home, spill=out.home.bytes)
        if far_inputs or not near_output:
            Stream(self, task, out).run()
        else:
            self._run_on_chip(task, out)
        out.home.unwritten -= op.output in self.net.parts
        self._release_unread(out.home)

    def _output(self, op: Op) -> Place:
        """Where the output goes: its part of a home that is there already, or a home of its own."""
        if op.output not in self.net.parts:
            tensor = self.net.tensors[op.output]
            self._settle(op.output, place_of(op.output, tensor.shape, tensor.dtype))
        return self.places[op.output]

    def _run_on_chip(self, task: Task, out: Place) -> None:
        whole = whole_box(task.geometry.output)
        for piece in task.pieces:
            box = served(piece, whole) if piece else whole
            parts = tiles(box, self.tiling(task.op, task.cutter)) if self.tiling else task.cutter.spread(box)
            target = out.near()
            assert target is not None, "the output was given room"
            for part in parts:
                for work in works_of(task.op.kind, task.geometry, part):
                    self.compute(task, work, self.near_sources(task), target, piece)
            self.done(piece)
        if task.op.output in self.outputs:
            self.store(out, task.op.output, task.position, task.op.name)

    def done(self, piece: Piece | None) -> None:
        """The last reader of a piece of constants has been written down."""
        if piece is not None:
            self.prefetcher.done(piece)
            self.prefetcher.ahead()

    def near_sources(self, task: Task) -> list[Storage | None]:
        return [self.places[name].near() for name in task.op.inputs]

    def compute(
        self, task: Task, work: Work, sources: list[Storage | None], target: Storage, piece: Piece | None
    ) -> None:
        """One job; sources: where each activation's part lies on chip."""
        reads = []
        for number, part in work.sources:
            storage = sources[number]
            assert storage is not None, "sources are on chip"
            reads.append(Access(storage, part))
        if work.params and piece:
            reads.append(Access(self.prefetcher.need(piece), part_of(piece, work.target.box)))
        share = work.target.box.elements
        cycles = task.cutter.cycles(work.target.box) if share else 0.0
        self.writer.work(work, reads, target, task.op.name, task.position, task.engine_class, cycles)

    # Room -----------------------------------------------------------------------------------------------------

    def _bring_near(self, task: Task) -> list[str]:
        """Loads the far inputs for which there is a gap; the names of the others."""
        left = []
        for name in dict.fromkeys(task.op.inputs):
            place = self.places[name]
            if place.home.near is not None:
                continue
            if not place.home.unwritten and place.home.bytes == place.bytes and self.memory.take_near(place.home):
                self.load(place, task)
            else:
                left.append(name)
        return left

    def load(self, place: Place, task: Task) -> None:
        """A whole far tensor to the room it was given on chip."""
        near, far = place.near(), place.far()
        assert near is not None, "the tensor was given room"
        assert far is not None, "a tensor off chip has a far copy"
        self.writer.copy(far, near, place.box(), load_name(far), task.position, task.op.name)

    def _make_room(self, task: Task, home: Home, spill: int) -> bool:
        """Room on chip for a home, if that spills at most `spill` bytes of others; whether it got it."""
        keep = {id(self.places[name].home) for name in task.op.inputs}
        while not self.memory.take_near(home):
            victim = self.memory.victim(keep)
            if victim is None or (victim.far is None and victim.bytes > spill):
                return False
            spill -= 0 if victim.far else victim.bytes
            self.evict(victim, task)
        return True

    def evict(self, home: Home, task: Task) -> None:
        """Off the chip, to ddr_swap unless it has a far copy already."""
        if home.far is None:
            self.memory.take_far(home)
            place = next(place for place in self.places.values() if place.home is home)
            near, far = place.near(), place.far()
            assert near is not None, "a home to evict is on chip"
            assert far is not None, "it was given a far copy"
            self.writer.copy(near, far, place.box(), "st:ddr_swap", task.position, task.op.name)
        self.memory.drop_near(home)
