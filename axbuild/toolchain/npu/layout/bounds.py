"""Cycles below which no schedule can be, by the same cost model: what is left to gain stands beside every estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from axbuild.toolchain.kinds.base import whole_box
from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.layout.batch import base_name
from axbuild.toolchain.npu.net import Net
from axbuild.toolchain.npu.program.form import Job, Program


@dataclass(frozen=True)
class CycleBounds:
    """Cycles.

    compute: of the busiest class of engines, where its operators are spread over it without loss; finer tiles never
    take fewer, since lanes are filled up and halos read again. ddr: every constant that is needed, every input and
    output moved once. path: the longest chain of the program's own jobs; other tiles have other chains.
    """

    compute: int
    ddr: int
    path: int

    @property
    def least(self) -> int:
        """What no tiling, order or residency takes less than."""
        return max(self.compute, self.ddr)

    @property
    def by(self) -> str:
        """What that is: "arithmetic" or "DDR"."""
        return "DDR" if self.ddr > self.compute else "arithmetic"


def bounds_of(program: Program, net: Net, chip: Chip) -> CycleBounds:
    """net: at the program's batch, with every operator once."""
    ends = sum(port.bytes for port in (*program.inputs, *program.outputs))
    traffic = ends + _constants(program)
    return CycleBounds(_compute(program, net, chip), math.floor(traffic / chip.ddr_bytes), _path(program, chip))


def _constants(program: Program) -> int:
    """Bytes of constants that must move: of a table that is read by index the rows that are read, of all others all."""
    fetches = [(job, o.blob) for job in program.jobs if job.kernel != "move" for o in job.inputs if o.blob >= 0]
    sizes = {number: blob.size for number, blob in enumerate(program.blobs)}
    read = dict.fromkeys((blob for _, blob in fetches), 0)
    for job, blob in fetches:
        read[blob] += job.outputs[0].bytes
    return sum(min(size, read.get(number, size)) for number, size in sizes.items())


def _compute(program: Program, net: Net, chip: Chip) -> int:
    working = {base_name(job.op) for job in program.jobs if not job.cname}
    loads = {engine.engine_class: 0.0 for engine in chip.engines}
    for op in net.ops:
        if op.name in working:
            engine_class = chip.engine_class(op.kind)
            box = whole_box(net.tensors[op.output].shape)
            cycles = op.kind.job_cycles(box, chip.job_rates(engine_class), *net.shapes(op.inputs))
            loads[engine_class] += cycles + chip.op_overhead
    return math.floor(max(load / chip.count(engine_class) for engine_class, load in loads.items()))


def _path(program: Program, chip: Chip) -> int:
    ends: list[float] = []
    for job in program.jobs:
        ends.append(max((ends[dep] for dep in job.deps), default=0.0) + _alone(job, chip))
    return math.floor(max(ends, default=0.0))


def _alone(job: Job, chip: Chip) -> float:
    """Cycles of a job that shares the DDR with no other."""
    if not job.cname:
        return job.duration
    return job.outputs[0].bytes / min(chip.rates.mover_bytes, chip.ddr_bytes)
