"""A program as a trace that chrome://tracing, edge://tracing and https://ui.perfetto.dev load: a lane an engine.

The fields are those of the vendor's trace.json. One cycle is shown as one nanosecond, whatever the clock, so that the
trace is as long as the estimate; `ts` and `dur` are in microseconds, as the format has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axbuild.toolchain.npu.layout.batch import base_name
from axbuild.toolchain.npu.program.form import PARAMS, Job, Operand, Program

COLOURS = {
    "ld:param": "yellow",
    "ld:input": "good",
    "ld:ddr_swap": "thread_state_runnable",
    "st:ddr_swap": "terrible",
    "st:output": "thread_state_iowait",
}
"""what moves -> one of the colours that viewers know: yellow, green, blue, red, orange"""


def trace(program: Program, subgraph: str, makes: Mapping[str, str]) -> dict[str, Any]:
    """The content of trace.json. makes: operator of the program -> what it writes, as the quantised model calls it, so
    that a viewer finds tasks by the names that users know."""
    followers: dict[int, list[int]] = {job.index: [] for job in program.jobs}
    for job in program.jobs:
        for dep in job.deps:
            followers[dep].append(job.index)
    return {
        "displayTimeUnit": "ns",
        "otherData": {
            "estimate": "cycles of a cost model, not of a chip; 1 cycle is shown as 1 ns",
            "chip": program.chip,
            "npu_mode": program.npu_mode,
            "batch": program.batch,
            "clock_mhz": program.clock_mhz,
            "max_cycle": program.max_cycle,
        },
        "traceEvents": [_event(job, program, subgraph, makes, followers[job.index]) for job in program.jobs],
    }


def _event(job: Job, program: Program, subgraph: str, makes: Mapping[str, str], followers: list[int]) -> dict[str, Any]:
    colour = {"cname": COLOURS[job.cname]} if job.cname in COLOURS else {}
    return {
        "ph": "X",
        "pid": subgraph,
        "tid": job.engine,
        "name": job.label,
        "cat": ",".join(program.jobs[dep].label for dep in job.deps),
        "ts": job.start / 1000,
        "dur": job.duration / 1000,
        **colour,
        "args": {
            "label": job.label,
            "op": job.op,
            "makes": makes.get(base_name(job.op), ""),
            "inputs": ",".join(map(_range, job.inputs)),
            "outputs": ",".join(map(_range, job.outputs)),
            "cname": job.cname,
            "starts": job.start,
            "dur": job.duration,
            "index": job.index,
            "dep_by": [program.jobs[follower].label for follower in followers],
        },
    }


def _range(operand: Operand) -> str:
    """The bytes; of a constant, those of its blob."""
    region = f"{PARAMS}/{operand.blob}" if operand.blob >= 0 else operand.region
    return f"{operand.tensor} - {region}:[{operand.begin}:{operand.end}]"
