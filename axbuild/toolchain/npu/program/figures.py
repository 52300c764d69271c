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
