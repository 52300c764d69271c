"""One row an operator: what it takes, and whether arithmetic or the DDR bounds it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.layout.batch import base_name
from axbuild.toolchain.npu.program.form import Job, Program


@dataclass(frozen=True)
class LayerProfile:
    """One operator of a program; cycles are estimates.

    makes: the tensor it writes, as the quantised model calls it; start, end: from its first job to its last; busy:
    cycles that its jobs compute, over all engines; ddr_cycles: what its bytes take at the full rate of the DDR;
    macs_per_byte: of DDR traffic, infinite where it has none; macs_per_cycle: as it would be alone on the chip, at its
    bound; bound: "arithmetic" or "DDR", whichever takes longer.
    """

    op: str
    op_type: str
    makes: str
    engine: str
    start: int
    end: int
    jobs: int
    busy: int
    macs: int
    ddr_bytes: int
    ddr_cycles: int
    macs_per_byte: float
    macs_per_cycle: float
    bound: str


def layer_profiles(
    program: Program, chip: Chip, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> list[LayerProfile]:
    """rows: those of report.json, an operator each; names: tensor of the program -> name in the quantised model."""
    jobs: dict[str, list[Job]] = {str(row["name"]): [] for row in rows}
    for job in program.jobs:
        if (own := base_name(job.op)) in jobs:
            jobs[own].append(job)
    return [_layer(row, jobs[str(row["name"])], chip, names) for row in rows if jobs[str(row["name"])]]


def _layer(row: Mapping[str, Any], jobs: Sequence[Job], chip: Chip, names: Mapping[str, str]) -> LayerProfile:
    computing = [job for job in jobs if not job.cname]
    busy = sum(job.duration for job in computing)
    traffic = sum(job.outputs[0].bytes for job in jobs if job.cname)
    class_of = {engine.name: engine.engine_class for engine in chip.engines}
    classes = sorted({class_of[job.engine] for job in computing})
    engines = sum(chip.count(name) for name in classes) or 1
    ddr_cycles = round(traffic / chip.ddr_bytes)
    macs = int(row["macs"])
    written = base_name(computing[-1].outputs[0].tensor) if computing else ""
    return LayerProfile(
        op=str(row["name"]),
        op_type=str(row["op_type"]),
        makes=names.get(written, written),
        engine="+".join(classes),
        start=min(job.start for job in jobs),
        end=max(job.start + job.duration for job in jobs),
        jobs=len(jobs),
        busy=busy,
        macs=macs,
        ddr_bytes=traffic,
        ddr_cycles=ddr_cycles,
        macs_per_byte=macs / traffic if traffic else float("inf"),
        macs_per_cycle=macs / max(busy / engines, ddr_cycles, 1),
        bound="DDR" if ddr_cycles > busy / engines else "arithmetic",
    )


def table(layers: Sequence[LayerProfile]) -> str:
    """The content of op_profile.csv."""
    columns = [field.name for field in fields(LayerProfile)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for layer in layers:
        writer.writerow(_plain(getattr(layer, name)) for name in columns)
    return text.getvalue()


def _plain(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
