"""Stage: compiled programs -> where their time goes: a trace, a row an operator, a summary, and a page of pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axbuild.progress import tell
from axbuild.toolchain.npu.chips.preset import Chip, chip_of
from axbuild.toolchain.npu.chips.records import Preset
from axbuild.toolchain.npu.options import CompileOptions
from axbuild.toolchain.npu.plan.record import NPU, Partition
from axbuild.toolchain.npu.profile.layers import LayerProfile, layer_profiles, table
from axbuild.toolchain.npu.profile.occupied import blocks
from axbuild.toolchain.npu.profile.pictures import STYLE, memory_map, peak_macs, roofline
from axbuild.toolchain.npu.profile.trace import trace
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.program.form import Program
from axbuild.toolchain.page import document, section, table_of


@dataclass(frozen=True)
class ProfileParams:
    """chip, options, sub_options: what the programs were compiled for, as in SplitParams; sub_configs: of which parts,
    None for what is in none, all where it is empty."""

    chip: Preset
    options: CompileOptions = field(default_factory=CompileOptions)
    sub_options: tuple[CompileOptions, ...] = ()
    sub_configs: tuple[int | None, ...] = ()


def profile(partition: Path, programs: Path, out: Path, *, params: ProfileParams) -> None:
    """`programs`: <subgraph>/b<N>/program.msgpack and report.json. Writes debug/<subgraph>/b<N>/: trace.json,
    op_profile.csv, summary.json and profile.html."""
    planned = Partition.read(partition)
    batches, parts = planned.compiled(programs), planned.of(params.sub_configs)
    asked = [(subgraph, batch) for subgraph in parts if subgraph.place == NPU for batch in batches[subgraph.name]]
    for place, (subgraph, batch) in enumerate(asked):
        tell("program", place + 1, len(asked))
        options = subgraph.own(params.options, params.sub_options)
        chip = chip_of(params.chip, options.ddr_bw_limit)
        source = programs / subgraph.name / f"b{batch}"
        program = decode((source / "program.msgpack").read_bytes())
        report = json.loads((source / "report.json").read_text(encoding="utf-8"))
        ports = zip((port.name for port in program.outputs), subgraph.outputs, strict=True)
        layers = layer_profiles(program, chip, report["ops"], subgraph.layers | dict(ports))
        folder = out / "debug" / subgraph.name / f"b{batch}"
        folder.mkdir(parents=True)
        _write(folder, subgraph.name, program, report, layers, chip)


def _write(
    folder: Path,
    name: str,
    program: Program,
    report: Mapping[str, Any],
    layers: Sequence[LayerProfile],
    chip: Chip,
) -> None:
    found = summary(report, chip)
    texts = {
        "trace.json": json.dumps(
            trace(program, name, {one.op: one.makes for one in layers}), sort_keys=True, separators=(",", ":")
        ),
        "op_profile.csv": table(layers),
        "summary.json": json.dumps(found, indent=1, sort_keys=True) + "\n",
        "profile.html": page(name, program, found, layers, chip),
    }
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")


def summary(report: Mapping[str, Any], chip: Chip) -> dict[str, Any]:
    """Figures of one program. utilisation: share of the estimate that an engine works; peak_macs: a cycle."""
    cycles = report["max_cycle"]
    kept = ("note", "chip", "npu_mode", "batch", "clock_mhz", "max_cycle", "least_cycles", "least_by", "bounds")
    return {name: report[name] for name in kept} | {
        "macs": report["macs"],
        "macs_per_cycle": report["macs"] / cycles if cycles else 0.0,
        "peak_macs": peak_macs(chip),
        "utilisation": {name: busy / cycles if cycles else 0.0 for name, busy in report["busy_cycles"].items()},
        "busy_cycles": report["busy_cycles"],
        "ddr_bytes": report["ddr_bytes"],
        "ddr_utilisation": sum(report["ddr_bytes"].values()) / chip.ddr_bytes / cycles if cycles else 0.0,
        "ocm_peak": report["ocm_peak"],
        "ocm_bytes": chip.ocm_bytes,
    }


def page(name: str, program: Program, found: Mapping[str, Any], layers: Sequence[LayerProfile], chip: Chip) -> str:
    """profile.html."""
    title = f"{name} at batch {found['batch']} on {found['chip']} {found['npu_mode']}"
    said = "".join(f"<p>{line}</p>" for line in _sentences(found))
    key = '<p class="soft"><span class="key" style="background:var(--{})"></span>{}'
    maps = key.format("first", "maps") + '<span class="key" style="background:var(--second)"></span>constants; '
    maps += "addresses downwards, cycles to the right</p>"
    engines = [
        (engine, f"{busy:,}", f"{found['utilisation'][engine]:.1%}") for engine, busy in found["busy_cycles"].items()
    ]
    return document(
        title,
        [
            said,
            section("Engines", table_of(("engine", "busy cycles", "of the estimate"), engines)),
            section("DDR", table_of(("what moves", "bytes"), [(k, f"{v:,}") for k, v in found["ddr_bytes"].items()])),
            section("On-chip memory", maps, memory_map(blocks(program), program.max_cycle, found["ocm_peak"])),
            section(
                "Roofline",
                '<p class="soft">MACs a cycle over MACs a byte of DDR traffic; the line is what the chip allows</p>',
                roofline(layers, chip),
            ),
            section("Operators", _operators(layers)),
        ],
        STYLE,
    )


def _sentences(found: Mapping[str, Any]) -> Iterator[str]:
    cycles, milliseconds = found["max_cycle"], found["max_cycle"] / found["clock_mhz"] / 1e3
    yield f"Estimate: {cycles:,} cycles, {milliseconds:.3g} ms; {found['note']}."
    yield (
        f"No schedule takes fewer than {found['least_cycles']:,} ({found['least_by']}); "
        f"the longest chain of these jobs takes {found['bounds']['path']:,}."
    )
    yield (
        f"{found['macs']:,} MACs, {found['macs_per_cycle']:.4g} a cycle of at most {found['peak_macs']:.4g}; "
        f"DDR {found['ddr_utilisation']:.1%} busy; on chip {found['ocm_peak']:,} of {found['ocm_bytes']:,} bytes used."
    )


def _operators(layers: Sequence[LayerProfile]) -> str:
    head = ("makes", "operator", "engine", "begins", "ends", "busy cycles", "MACs", "DDR bytes", "bound by")
    rows = [
        (
            layer.makes,
            layer.op_type,
            layer.engine,
            f"{layer.start:,}",
            f"{layer.end:,}",
            f"{layer.busy:,}",
            f"{layer.macs:,}",
            f"{layer.ddr_bytes:,}",
            layer.bound,
        )
        for layer in layers
    ]
    return table_of(head, rows, words=(1, 2, len(head) - 1))
