"""Proves from the program alone that any execution its dependencies allow gives what issue order gives.

1. Bounds: every operand lies inside its region; parameters and inputs are never written.
2. In issue order every byte a job reads was written before, under the very tensor name it is read by; so no two live
   ranges overlap. Every byte of every output is written.
3. Any two jobs that touch a common byte, one of them writing (RAW, WAR, WAW), are joined by a path of dependencies.
4. No engine does two things at once, no job starts before what it waits for has ended.

1 to 3 hold whatever the durations turn out to be; 4 is about the estimate.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.program.form import ITEM_BYTES, PARAMS, Job, Operand, Program

MAX_OVERLAP_WORK = 100_000
"""steps of the exact test whether two strided operands share a byte; beyond, they count as sharing one"""


class VerifyError(AxError):
    """AX405: a program that is not sound; where the compiler made it, a defect of the compiler."""

    code = "AX405"

    def __init__(self, job: Job | None, sentence: str) -> None:
        super().__init__(f"Job {job.index} ({job.label}): {sentence}" if job else sentence)


def verify(program: Program) -> None:
    """Raises VerifyError at the first thing that does not hold."""
    _check_bounds(program)
    _check_contents(program)
    _check_hazards(program)
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


class _Owners:
    """For each byte of each region the number of the tensor that was last written there; 0: nothing yet."""

    def __init__(self, program: Program) -> None:
        self.numbers: dict[str, int] = {}
        self.bytes = {name: np.zeros(size, np.uint32) for name, size in sizes(program).items()}
        for port in program.inputs:
            self.bytes[port.name][:] = self.number(port.name)

    def number(self, tensor: str) -> int:
        return self.numbers.setdefault(tensor, len(self.numbers) + 1)

    def name(self, number: int) -> str:
        return next(name for name, n in self.numbers.items() if n == number)

    def of(self, operand: Operand) -> Array:
        return _bytes_of(operand, self.bytes[operand.region])


def _bytes_of(operand: Operand, memory: Array) -> Array:
    """The elements of `memory`, one a byte of the region, that belong to an operand."""
    size, item = memory.itemsize, ITEM_BYTES[operand.dtype]
    if operand.end - operand.begin == operand.bytes:
        return memory[operand.begin : operand.end]
    shape, strides = (*operand.shape, item), (*(s * size for s in operand.strides), size)
    return np.ndarray(shape, memory.dtype, memory.data, operand.begin * size, strides)


def _check_contents(program: Program) -> None:
    owners = _Owners(program)
    for job in program.jobs:
        for operand in job.inputs:
            if operand.blob < 0:
                _check_read(job, operand, owners)
        for operand in job.outputs:
            owners.of(operand)[...] = owners.number(operand.tensor)
    for port in program.outputs:
        if not owners.bytes[port.name].all():
            raise VerifyError(None, f"Output '{port.name}' is not written completely.")


def _check_read(job: Job, operand: Operand, owners: _Owners) -> None:
    found = owners.of(operand)
    wanted = owners.number(operand.tensor)
    if (found == wanted).all():
        return
    place = f"bytes of {operand.region}[{operand.begin}:{operand.end}]"
    if not found.all():
        raise VerifyError(job, f"reads '{operand.tensor}' from {place} that nothing has written.")
    other = owners.name(int(found[found != wanted].flat[0]))
    raise VerifyError(job, f"reads '{operand.tensor}' from {place} that hold '{other}': their live ranges overlap.")


class _Accesses:
    """Everything that touched one region so far, as arrays."""

    def __init__(self, count: int, size: int) -> None:
        self.begin = np.zeros(count, np.int64)
        self.end = np.zeros(count, np.int64)
        self.job = np.zeros(count, np.int64)
        self.write = np.zeros(count, bool)
        self.operands: list[Operand] = []
        self.scratch = np.empty(size, np.uint8)

    def add(self, operand: Operand, job: int, write: bool) -> None:
        at = len(self.operands)
        self.begin[at], self.end[at], self.job[at], self.write[at] = operand.begin, operand.end, job, write
        self.operands.append(operand)

    def clashes(self, operand: Operand, write: bool, ordered: Array) -> int | None:
        """An earlier job that touches a byte of the operand, is not ordered before it, and must be."""
        n = len(self.operands)
        hit = (self.begin[:n] < operand.end) & (self.end[:n] > operand.begin) & ~ordered[self.job[:n]]
        if not write:
            hit &= self.write[:n]
        for at in np.flatnonzero(hit):
            if self._share(self.operands[at], operand):
                return int(self.job[at])
        return None

    def _share(self, a: Operand, b: Operand) -> bool:
        if all(o.end - o.begin == o.bytes for o in (a, b)):
            return True
        views = _bytes_of(a, self.scratch), _bytes_of(b, self.scratch)
        try:
            return np.shares_memory(*views, max_work=MAX_OVERLAP_WORK)  # type: ignore[arg-type]  # any int is allowed
        except np.exceptions.TooHardError:
            return True


def _check_hazards(program: Program) -> None:
    counts: dict[str, int] = {}
    for job in program.jobs:
        for operand in (*job.inputs, *job.outputs):
            counts[operand.region] = counts.get(operand.region, 0) + 1
    limits = sizes(program)
    regions = {name: _Accesses(counts[name], limits[name]) for name in counts if name != PARAMS}
    precedes = _Order(program)
    for job in program.jobs:
        ordered = precedes.bits(job)
        for write, operands in ((False, job.inputs), (True, job.outputs)):
            for operand in operands:
                if operand.blob < 0:
                    _check_order(program, job, operand, write, ordered, regions[operand.region])
                    regions[operand.region].add(operand, job.index, write)


def _check_order(program: Program, job: Job, operand: Operand, write: bool, ordered: Array, region: _Accesses) -> None:
    clash = region.clashes(operand, write, ordered)
    if clash is None:
        return
    verb = "writes" if write else "reads"
    if clash == job.index:
        raise VerifyError(job, f"{verb} bytes of '{operand.tensor}' that it also touches otherwise.")
    other = program.jobs[clash]
    raise VerifyError(
        job, f"{verb} bytes of '{operand.tensor}' that job {clash} ({other.label}) touches, and does not wait for it."
    )


class _Order:
    """Which jobs every execution runs before a job: the transitive closure of the dependencies."""

    def __init__(self, program: Program) -> None:
        self.count = len(program.jobs)
        self.before: list[int] = []

    def bits(self, job: Job) -> Array:
        """bool [jobs] for the next job in issue order."""
        before = 0
        for dep in job.deps:
            before |= self.before[dep] | 1 << dep
        self.before.append(before)
        packed = np.frombuffer(before.to_bytes(-(-self.count // 8), "little"), np.uint8)
        return np.unpackbits(packed, bitorder="little", count=self.count).astype(bool)


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
