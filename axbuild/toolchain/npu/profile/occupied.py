"""What lies where in the on-chip memory, and for how long: the blocks of the memory map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from axbuild.toolchain.npu.program.form import OCM, Job, Operand, Program


@dataclass(frozen=True)
class Occupied:
    """Bytes begin..end that hold a part of `tensor` from cycle `start`, when a job begins to write it, to cycle `stop`,
    when the last one has read it; constant: parameters, which nothing on the chip computes."""

    tensor: str
    begin: int
    end: int
    start: int
    stop: int
    constant: bool


@dataclass
class _Held:
    """What one job wrote, while it may still be read."""

    writer: Job
    operand: Operand
    stop: int

    def meets(self, operand: Operand) -> bool:
        return self.operand.begin < operand.end and operand.begin < self.operand.end


@dataclass
class _Tensor:
    held: list[_Held] = field(default_factory=list)

    def read(self, operand: Operand, stop: int) -> None:
        for one in self.held:
            if one.meets(operand):
                one.stop = max(one.stop, stop)

    def write(self, job: Job, operand: Operand) -> Iterator[Occupied]:
        """What lay there before is over."""
        gone = [one for one in self.held if one.meets(operand)]
        # Tiles of interleaved rows overlap as ranges and not as bytes: they are one another's neighbours, not heirs.
        gone = [one for one in gone if one.stop > one.writer.start + one.writer.duration and one.stop <= job.start]
        self.held = [one for one in self.held if one not in gone]
        self.held.append(_Held(job, operand, job.start + job.duration))
        yield from map(_block, gone)


def blocks(program: Program) -> list[Occupied]:
    """One for each part that a job writes; by first cycle."""
    tensors: dict[str, _Tensor] = {}
    found: list[Occupied] = []
    for job in program.jobs:
        for operand in job.inputs:
            if operand.region == OCM:
                tensors.setdefault(operand.tensor, _Tensor()).read(operand, job.start + job.duration)
        for operand in job.outputs:
            if operand.region == OCM:
                found += tensors.setdefault(operand.tensor, _Tensor()).write(job, operand)
    found += [_block(one) for tensor in tensors.values() for one in tensor.held]
    return sorted(found, key=lambda block: (block.start, block.begin))


def _block(held: _Held) -> Occupied:
    job, operand = held.writer, held.operand
    return Occupied(operand.tensor, operand.begin, operand.end, job.start, held.stop, job.cname == "ld:param")
