"""The compile stage: one subgraph at one batch on one chip -> its program, its constants, and an estimate."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from axbuild.toolchain.npu.chips.preset import Chip, chip_of
from axbuild.toolchain.npu.chips.records import Preset
from axbuild.toolchain.npu.layout.batch import base_name, cuts_of, unrolled
from axbuild.toolchain.npu.layout.bounds import bounds_of
from axbuild.toolchain.npu.layout.choices import Choices, Tiling
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.layout.schedule import jobs_of
from axbuild.toolchain.npu.layout.search import Chosen, Layout, LayoutStep, Workbench, choose
from axbuild.toolchain.npu.net import Net, at_batch, net_of, read_model
from axbuild.toolchain.npu.options import CompileOptions, OpGroup
from axbuild.toolchain.npu.program.encode import encode
from axbuild.toolchain.npu.program.figures import busy_cycles, ddr_traffic, job_counts, ocm_peak
from axbuild.toolchain.npu.program.form import OCM, SWAP, Blob, Port, Program, Region
from axbuild.toolchain.npu.program.verify import verify

COMPARED_JOBS = ("conv", "fc")
"""what the multiply-accumulates of the networks are that estimates were compared on"""
NEVER_COMPARED = -1.0


@dataclass(frozen=True)
class CompileParams:
    chip: Preset
    batch: int = 1
    options: CompileOptions = field(default_factory=CompileOptions)
    groups: tuple[OpGroup, ...] = ()


def compile_subgraph(subgraph: Path, out: Path, *, params: CompileParams) -> None:
    """Writes program.msgpack (symbolic: offsets are those of params.bin), params.bin and report.json. Warns of groups
    that cannot run as a chain."""
    chip = chip_of(params.chip, params.options.ddr_bw_limit)
    one = net_of(read_model(subgraph))
    net = at_batch(one, params.batch)
    found = laid_out(one, net, chip, params.batch, params.options, params.groups)
    for warning in found.told:
        warnings.warn(warning, stacklevel=1)
    program, constants = assemble(found.net, found.layout, chip, params.batch)
    (out / "program.msgpack").write_bytes(encode(program))
    (out / "params.bin").write_bytes(constants)
    (out / "report.json").write_text(
        json.dumps(report(program, net, chip, found.steps), indent=1, sort_keys=True) + "\n"
    )


def compile_net(net: Net, chip: Chip, batch: int = 1, tiling: Tiling | None = None) -> tuple[Program, bytes]:
    """A verified program and the constants it refers to, one blob after another."""
    bench = Workbench(net, Material(chip))
    return assemble(net, bench.lay(Choices(tiling)) if tiling else bench.start(), chip, batch)


def laid_out(
    one: Net, many: Net, chip: Chip, batch: int, options: CompileOptions, groups: tuple[OpGroup, ...] = ()
) -> Chosen:
    """The net at a batch, all samples together or the early operators one by one, whichever takes fewer cycles; with
    groups, which are of all samples, together."""
    cuts = cuts_of(many, chip) if batch > 1 and not groups else []
    return choose([many, *(unrolled(one, many, cut, batch) for cut in cuts)], Material(chip), options, groups)


def assemble(net: Net, layout: Layout, chip: Chip, batch: int) -> tuple[Program, bytes]:
    """The program of a layout, proved sound."""
    emission, jobs = layout.emission, jobs_of(layout.emission.drafts, layout.slots)
    blobs, offset = [], 0
    for data in emission.blobs:
        blobs.append(Blob(hashlib.sha256(data).hexdigest(), offset, len(data)))
        offset += len(data)
    program = Program(
        chip=chip.name,
        npu_mode=chip.npu_mode,
        batch=batch,
        clock_mhz=chip.clock_mhz,
        engines=tuple(engine.name for engine in chip.engines),
        regions=(Region(OCM, "ocm", chip.ocm_bytes), Region(SWAP, "ddr", emission.swap_bytes)),
        blobs=tuple(blobs),
        inputs=_ports(net, net.inputs),
        outputs=_ports(net, net.outputs),
        activations=emission.activations,
        jobs=jobs,
        max_cycle=layout.cycles,
        macs=net.macs(),
    )
    verify(program)
    return program, b"".join(emission.blobs)


def _ports(net: Net, names: tuple[str, ...]) -> tuple[Port, ...]:
    return tuple(Port(name, net.tensors[name].dtype, net.tensors[name].shape) for name in names)


def report(program: Program, net: Net, chip: Chip, steps: tuple[LayoutStep, ...] = ()) -> dict[str, Any]:
    """What `report.json` holds: figures of an estimate, and a row an operator. cycles of a row: of its jobs, summed;
    steps: what was tried to make the schedule better, in turn."""
    error = chip.error_percent if was_compared(net, chip) else NEVER_COMPARED
    compared = f"within {error:g} % of the figures published for convolutional networks of 8 bits"
    never = "never compared with published figures for this kind of work"
    bounds = bounds_of(program, net, chip)
    return {
        "estimate": True,
        "note": f"cycles of the reference NPU's cost model, not of a chip; {compared if error >= 0 else never}",
        "calibration_error_percent": error,
        "chip": program.chip,
        "npu_mode": program.npu_mode,
        "batch": program.batch,
        "clock_mhz": program.clock_mhz,
        "max_cycle": program.max_cycle,
        "least_cycles": bounds.least,
        "least_by": bounds.by,
        "bounds": asdict(bounds),
        "schedule": [asdict(step) for step in steps],
        "macs": program.macs,
        "params_bytes": sum(blob.size for blob in program.blobs),
        "swap_bytes": program.region(SWAP).size,
        "ocm_peak": ocm_peak(program),
        "ddr_bytes": ddr_traffic(program),
        "stages": {"operators": len(net.ops)} | job_counts(program),
        "jobs": len(program.jobs),
        "busy_cycles": busy_cycles(program),
        "ops": _rows(program, net),
    }


def was_compared(net: Net, chip: Chip) -> bool:
    """Whether all multiply-accumulates are of the kind of work whose cycles were compared: with constant weights, at
    the rates of 8 bits."""
    working = [op.kind for op, macs in net.op_macs() if macs]
    return bool(working) and all(kind.job in COMPARED_JOBS and kind.slowdown(chip.rates) == 1.0 for kind in working)


def _rows(program: Program, net: Net) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {
        op.name: {"name": op.name, "op_type": op.kind.op_type, "macs": 0, "jobs": 0, "cycles": 0, "ddr_bytes": 0}
        for op in net.ops
    }
    for op, macs in net.op_macs():
        rows[op.name]["macs"] = macs
    for job in program.jobs:
        if base_name(job.op) in rows:
            row = rows[base_name(job.op)]
            row["jobs"] += 1
            row["ddr_bytes" if job.cname else "cycles"] += job.outputs[0].bytes if job.cname else job.duration
    return list(rows.values())
