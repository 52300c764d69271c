"""One operator about to be written down, and how one job of it is."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box, whole_box
from axbuild.toolchain.npu.layout.constants import Piece, part_of
from axbuild.toolchain.npu.layout.draft import Access, Storage
from axbuild.toolchain.npu.layout.places import TensorPlace
from axbuild.toolchain.npu.layout.state import LayoutState
from axbuild.toolchain.npu.layout.tile import Cutter, grid, tiles
from axbuild.toolchain.npu.lower.base import Geometry
from axbuild.toolchain.npu.lower.registry import works_of
from axbuild.toolchain.npu.net import Operator


@dataclass(frozen=True, eq=False)
class Task:
    """position: number of the operator in the net; pieces: its constants in order, (None,) where there are none."""

    position: int
    op: Operator
    geometry: Geometry
    engine_class: str
    cutter: Cutter
    pieces: tuple[Piece | None, ...]

    @property
    def whole(self) -> Box:
        """The output."""
        return whole_box(self.geometry.output)


def task_of(state: LayoutState, position: int, op: Operator) -> Task:
    cutter, pieces = state.material.cutter(state.net, op), tuple(state.constants.pieces[position])
    return Task(position, op, cutter.geometry, state.chip.engine_class(op.kind), cutter, pieces or (None,))


def parts_of(state: LayoutState, task: Task, box: Box) -> list[Box]:
    """A part of an output that lies on chip, as jobs compute it: spread over the engines, or as was chosen."""
    if not box.elements:
        return []
    if state.choices.tiling:
        return tiles(box, state.choices.tiling(task.op, task.cutter))
    cut = state.cuts.get(task.position)
    return grid(box, {cut.axis: cut.count}, {cut.axis: task.cutter.grain(cut.axis)}) if cut else task.cutter.spread(box)


def write_part(
    state: LayoutState,
    task: Task,
    part: Box,
    sources: list[Storage | None],
    target: Storage,
    out: TensorPlace,
    piece: Piece | None,
) -> None:
    """The jobs for a part of the output; sources, target: where its share of each activation, and itself, lie on
    chip; out: the output's place."""
    for work in works_of(task.op.kind, task.geometry, part):
        reads = []
        for number, needed in work.sources:
            storage = sources[number]
            assert storage is not None, "sources are on chip"
            reads.append(Access(storage, needed))
        if work.params and piece:
            reads.append(Access(state.prefetcher.need(piece), part_of(piece, work.target.box)))
        cycles = task.cutter.cycles(work.target.box) if work.target.box.elements else 0.0
        state.writer.work(
            work,
            reads,
            target,
            out.dense(),
            task.op.name,
            task.position,
            task.engine_class,
            cycles,
            fetched=piece.fetched(work.target.box) if work.params and piece else 0,
        )
