"""Writes jobs down in issue order: operands from storages and parts, dependencies from hazards, costs from the chip."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.npu.chips.preset import MOVERS, Chip
from axbuild.toolchain.npu.layout.draft import Access, Draft, Storage
from axbuild.toolchain.npu.layout.hazards import Hazards
from axbuild.toolchain.npu.layout.tile import Steps, tiles
from axbuild.toolchain.npu.lower.base import Part, Work
from axbuild.toolchain.npu.program.form import ITEM_BYTES, DensePlace

COPY_BYTES = 64 << 10
"""Bytes of one copy job at most (one row of its box at least), so that an urgent copy waits for a short one only."""


class Writer:
    """drafts: what has been written down. position: number of the operator a job serves."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.drafts: list[Draft] = []
        self.hazards = Hazards()
        self.labelled: Counter[int] = Counter()
        self.movers = tuple(c for c in MOVERS if chip.count(c))

    def copy(self, source: Storage, target: Storage, box: Box, cname: str, position: int, op: str) -> None:
        """Moves a box between the DDR and the chip, in pieces."""
        for piece in tiles(box, _piece_steps(box, ITEM_BYTES[source.dtype])):
            label = self._label(f"{cname[:3]}{source.tensor}", piece, position)
            self._copy(source, target, piece, cname, label, position, op)

    def move(self, source: Storage, target: Storage, box: Box, position: int, op: str) -> None:
        """Moves a box on chip."""
        self._copy(source, target, box, "", self._label(source.tensor, box, position), position, op)

    def _copy(self, source: Storage, target: Storage, box: Box, cname: str, label: str, position: int, op: str) -> None:
        size = box.elements * ITEM_BYTES[source.dtype]
        reads, write = [Access(source, Part(box))], Access(target, Part(box))
        self.drafts.append(
            Draft(
                index=len(self.drafts),
                label=label,
                op=op,
                position=position,
                engine_classes=self.movers,
                kind="copy",
                kernel="move",
                cname=cname,
                inputs=(reads[0].operand,),
                outputs=(write.operand,),
                deps=self.hazards.add(reads, [write]),
                cycles=size / self.chip.rates.mover_bytes,
                ddr_bytes=size if cname else 0,
                copies=True,
            )
        )

    def work(
        self,
        work: Work,
        reads: list[Access],
        target: Storage,
        dense: Storage,
        op: str,
        position: int,
        engine_class: str,
        cycles: float,
        fetched: int = 0,
    ) -> None:
        """One job that computes; dense: the whole output as a dense copy has it; fetched: bytes of constants that it
        reads off chip, which makes it a mover's job."""
        write = Access(target, work.target)
        place = dense.operand(work.target)
        self.drafts.append(
            Draft(
                index=len(self.drafts),
                label=self._label(("ld:" if fetched else "") + op, work.target.box, position),
                op=op,
                position=position,
                engine_classes=self.movers if fetched else (engine_class,),
                kind=work.kind,
                kernel=work.kernel,
                cname="ld:param" if fetched else "",
                inputs=tuple(access.operand for access in reads),
                outputs=(replace(write.operand, dense=DensePlace(place.begin, place.strides)),),
                deps=self.hazards.add(reads, [write]),
                cycles=fetched / self.chip.rates.mover_bytes if fetched else cycles,
                ddr_bytes=fetched,
                attr=work.attr.plain(),
            )
        )

    def _label(self, stem: str, box: Box, position: int) -> str:
        """As the vendor's traces name tasks: `<stem>[<slice>]_<operator>_<tile>`, each once in a program."""
        tile = self.labelled[position]
        self.labelled[position] += 1
        return f"{stem}{_slices(box)}_{position}_{tile}"


def _piece_steps(box: Box, item_bytes: int) -> Steps:
    """Cuts along the first axes until a piece is small enough."""
    steps: Steps = {}
    size = box.elements * item_bytes
    for axis, extent in enumerate(box.shape):
        if size <= COPY_BYTES:
            break
        step = max(1, extent * COPY_BYTES // size)
        steps[axis] = step
        size = -(-size // extent) * step
    return steps


def _slices(box: Box) -> str:
    return "[" + ",".join(f"{start}:{stop}" for start, stop in box.ranges) + "]"
