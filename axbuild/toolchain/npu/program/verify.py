"""Proves from the program alone that any execution its dependencies allow gives what issue order gives.

1. Bounds: every operand lies inside its region; parameters and inputs are never written.
2. In issue order every byte a job reads was written before, under the very tensor name it is read by; so no two live
   ranges overlap. Every byte of every output is written.
3. Any two jobs that touch a common byte, one of them writing (RAW, WAR, WAW), are joined by a path of dependencies.
4. The dense copies in which tensors are watched are written completely, each byte once.
5. No engine does two things at once, no job starts before what it waits for has ended.

1 to 4 hold whatever the durations turn out to be; 5 is about the estimate. What is looked at is bytes, one by one: the
work grows with the bytes that move, not with the pairs of jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.program.form import ITEM_BYTES, PARAMS, Job, Operand, Program


class VerifyError(AxError):
    """AX405: a program that is not sound; where the compiler made it, a defect of the compiler."""

    code = "AX405"

    def __init__(self, job: Job | None, sentence: str) -> None:
        super().__init__(f"Job {job.index} ({job.label}): {sentence}" if job else sentence)


def verify(program: Program) -> None:
    """Raises VerifyError at the first thing that does not hold."""
    _check_bounds(program)
    hazards = _Hazards(program)
    hazards.check_contents()
    hazards.check_order()
    _check_activations(program)
    _check_schedule(program)


def sizes(program: Program) -> dict[str, int]:
    """Bytes of each region except the parameters."""
    ports = {port.name: port.bytes for port in (*program.inputs, *program.outputs)}
    return ports | {region.name: region.size for region in program.regions}


def _check_bounds(program: Program) -> None:
    limits = sizes(program)
    read_only = {PARAMS, *(port.name for port in program.inputs)}
    for job in program.jobs:
        for operand in (*job.inputs, *job.outputs):
            limit = program.blobs[operand.blob].size if operand.blob >= 0 else limits.get(operand.region, -1)
            if operand.end > limit:
                raise VerifyError(
                    job, f"'{operand.tensor}' ends at byte {operand.end} of {operand.region}, which has {limit}."
                )
        for operand in job.outputs:
            if operand.region in read_only:
                raise VerifyError(job, f"writes '{operand.tensor}' to {operand.region}, which is read-only.")


class _Marks:
    """For each byte of each memory the number of an access, counted from 1; 0: none yet."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.bytes = {name: np.zeros(size, np.uint32) for name, size in sizes.items()}

    def mark(self, operand: Operand, number: int) -> None:
        self._of(operand)[...] = number

    def found(self, operand: Operand) -> list[int]:
        """The marks that the operand's bytes bear, ascending."""
        marks = self._of(operand).reshape(-1)
        changes = marks[1:][marks[1:] != marks[:-1]]
        if not len(changes):
            return [int(marks[0])]
        return [int(mark) for mark in np.unique(np.append(changes, marks[0]))]

    def _of(self, operand: Operand) -> Array:
        """The elements, one a byte, that belong to an operand."""
        memory, item = self.bytes[operand.region], ITEM_BYTES[operand.dtype]
        if operand.end - operand.begin == operand.bytes:
            return memory[operand.begin : operand.end]
        size = memory.itemsize
        shape, strides = (*operand.shape, item), (*(s * size for s in operand.strides), size)
        return np.ndarray(shape, memory.dtype, memory.data, operand.begin * size, strides)


@dataclass(frozen=True, order=True)
class _Clash:
    """Two jobs, by number, that touch a byte in no order; `verb`, `tensor`: what the later one does with it."""

    later: int
    earlier: int
    verb: str
    tensor: str


class _Hazards:
    """Looks for clashes from both ends: going forward, whoever touches a byte must wait for who wrote it last; going
    back, whoever reads it must be waited for by who writes it next. All other pairs follow from these."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.clashes: list[_Clash] = []
        self.before: list[int] = []
        """for each job a bit set of the jobs that every execution runs before it"""
        for job in program.jobs:
            before = 0
            for dep in job.deps:
                before |= self.before[dep] | 1 << dep
            self.before.append(before)

    def check_contents(self) -> None:
        """Forward; refuses reads of bytes that hold something else, and outputs that are not written completely."""
        marks = _Marks(sizes(self.program))
        owners = [(-1, port.name) for port in self.program.inputs]
        for number, port in enumerate(self.program.inputs, 1):
            marks.bytes[port.name][:] = number
        for job in self.program.jobs:
            for operand in job.inputs:
                if operand.blob < 0:
                    found = [owners[mark - 1] if mark else None for mark in marks.found(operand)]
                    _check_read(job, operand, found)
                    self._note(job, "reads", operand, [owner[0] for owner in found if owner])
            for operand in job.outputs:
                over = [owners[mark - 1][0] for mark in marks.found(operand) if mark]
                self._note(job, "writes", operand, over)
                owners.append((job.index, operand.tensor))
                marks.mark(operand, len(owners))
        for port in self.program.outputs:
            if not marks.bytes[port.name].all():
                raise VerifyError(None, f"Output '{port.name}' is not written completely.")

    def check_order(self) -> None:
        """Back; then refuses the first pair that is in no order."""
        marks = _Marks(sizes(self.program))
        writes = [(job.index, operand.tensor) for job in self.program.jobs for operand in job.outputs]
        number = len(writes)
        for job in reversed(self.program.jobs):
            for operand in reversed(job.outputs):
                marks.mark(operand, number)
                number -= 1
            for operand in (operand for operand in job.inputs if operand.blob < 0):
                for later, tensor in (writes[mark - 1] for mark in marks.found(operand) if mark):
                    self._need(job.index, later, "writes", tensor)
        for clash in sorted(self.clashes)[:1]:
            self._refuse(clash)

    def _note(self, job: Job, verb: str, operand: Operand, writers: list[int]) -> None:
        for earlier in writers:
            if earlier >= 0:
                self._need(earlier, job.index, verb, operand.tensor)

    def _need(self, earlier: int, later: int, verb: str, tensor: str) -> None:
        if not self.before[later] >> earlier & 1:
            self.clashes.append(_Clash(later, earlier, verb, tensor))

    def _refuse(self, clash: _Clash) -> None:
        job, other = self.program.jobs[clash.later], self.program.jobs[clash.earlier]
        touched = f"{clash.verb} bytes of '{clash.tensor}' that"
        if job is other:
            raise VerifyError(job, f"{touched} it also touches otherwise.")
        raise VerifyError(job, f"{touched} job {other.index} ({other.label}) touches, and does not wait for it.")


def _check_read(job: Job, operand: Operand, owners: list[tuple[int, str] | None]) -> None:
    place = f"bytes of {operand.region}[{operand.begin}:{operand.end}]"
    for owner in owners:
        if owner is None:
            raise VerifyError(job, f"reads '{operand.tensor}' from {place} that nothing has written.")
        if owner[1] != operand.tensor:
            raise VerifyError(
                job, f"reads '{operand.tensor}' from {place} that hold '{owner[1]}': their live ranges overlap."
            )


def _check_activations(program: Program) -> None:
    """Every byte of a dense copy is written by some job, and by no two."""
    written = _Marks(program.dense_bytes())
    for job in program.jobs:
        for operand in (operand for operand in job.outputs if operand.dense):
            if operand.tensor not in written.bytes or operand.in_dense.end > written.bytes[operand.tensor].size:
                raise VerifyError(job, f"writes beyond the dense copy of '{operand.tensor}'.")
            if written.found(operand.in_dense) != [0]:
                raise VerifyError(job, f"writes what the dense copy of '{operand.tensor}' already has.")
            written.mark(operand.in_dense, job.index + 1)
    for name, marks in written.bytes.items():
        if not marks.all():
            raise VerifyError(None, f"No job writes all of '{name}'.")


def _check_schedule(program: Program) -> None:
    ends = [job.start + job.duration for job in program.jobs]
    for job in program.jobs:
        late = [dep for dep in job.deps if ends[dep] > job.start]
        if late:
            raise VerifyError(job, f"starts at cycle {job.start}, before job {late[0]} has ended at {ends[late[0]]}.")
    by_engine: dict[str, list[Job]] = {}
    for job in program.jobs:
        by_engine.setdefault(job.engine, []).append(job)
    for engine, jobs in by_engine.items():
        for first, second in pairwise(sorted(jobs, key=lambda job: job.start)):
            if ends[first.index] > second.start:
                raise VerifyError(second, f"starts on {engine} before job {first.index} has ended there.")
    if program.max_cycle != max(ends, default=0):
        raise VerifyError(None, f"max_cycle is {program.max_cycle}, but the last job ends at {max(ends, default=0)}.")
