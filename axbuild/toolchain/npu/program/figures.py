"""What a program says of itself in figures: traffic, memory, and how busy its engines are. Cycles are estimates."""

from __future__ import annotations

from axbuild.toolchain.npu.program.form import OCM, Program


def ddr_traffic(program: Program) -> dict[str, int]:
    """Bytes that move between the DDR and the chip, by what they are: "ld:param", "st:ddr_swap" and so on."""
    found: dict[str, int] = {}
    for job in program.jobs:
        if job.cname:
            found[job.cname] = found.get(job.cname, 0) + job.outputs[0].bytes
    return dict(sorted(found.items()))


def job_counts(program: Program) -> dict[str, int]:
    """How many jobs there are at each stage of a compilation: tiles that compute, these and what moves to and from the
    DDR swap, all jobs, and the dependencies between them."""
    computing = sum(not job.cname for job in program.jobs)
    swapping = sum(job.cname.endswith(":ddr_swap") for job in program.jobs)
    return {
        "tiles": computing,
        "after_ddr_swap": computing + swapping,
        "jobs": len(program.jobs),
        "dependencies": sum(len(job.deps) for job in program.jobs),
    }


def busy_cycles(program: Program) -> dict[str, int]:
    """Cycles that each engine works."""
    found = dict.fromkeys(program.engines, 0)
    for job in program.jobs:
        found[job.engine] += job.duration
    return found


def ocm_peak(program: Program) -> int:
    """One past the highest byte of the on-chip memory that a job touches."""
    operands = (operand for job in program.jobs for operand in (*job.inputs, *job.outputs))
    return max((operand.end for operand in operands if operand.region == OCM), default=0)
