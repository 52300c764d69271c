"""What matters of a compiled model, in a few lines for the end of a build."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from axbuild.errors import counted
from axbuild.toolchain.axmodel.columns import Column
from axbuild.toolchain.axmodel.runs import split
from axbuild.toolchain.npu.plan.record import NPU, Partition, PlannedSubgraph

MOST_NAMED = 5
GAINED = ("trials", "cycles", "swap_bytes")
WAYS = {"groups": "group patterns", "slice": "slice mode", "tile": "tile mode", "search": "searched"}


def notes(columns: Sequence[Column], size: int, chip: str) -> Iterator[str]:
    """size: bytes of the container; chip: name and mode. Cycles are the cost model's, and said to be estimates."""
    yield f"{size / 1e6:.1f} MB for {chip}; a simulated program, not for real hardware"
    for column in columns:
        group = f"shape group {column.number}, {_shapes(column.planned)}: " if column.number else ""
        yield from (group + sentence for sentence in _of_column(column))


def _shapes(planned: Partition) -> str:
    return ", ".join(f"{tensor.name} {'x'.join(map(str, tensor.shape))}" for tensor in planned.inputs)


def _of_column(column: Column) -> Iterator[str]:
    planned, programs = column.planned, column.programs
    for batch in sorted(set[int]().union(*column.batches.values())):
        reports = [report for one in planned.at(NPU) for report in _runs(one, column, batch)]
        cycles = sum(report["max_cycle"] for report in reports)
        milliseconds = sum(report["max_cycle"] / report["clock_mhz"] / 1e3 for report in reports)
        least = sum(report["least_cycles"] for report in reports)
        macs = sum(report["macs"] for report in reports)
        yield (
            f"estimate at batch {batch}: {cycles:,} cycles, {milliseconds:.3g} ms on the NPU for {macs:,} MACs; "
            f"no schedule takes fewer cycles than {least:,}"
        )
        if not planned.parted:
            yield from gains([_report(programs / one.name / f"b{batch}")["schedule"] for one in planned.at(NPU)])
    if planned.parted:
        yield from parts(planned, programs, column.batches)
    yield placement(planned)


def _runs(one: PlannedSubgraph, column: Column, samples: int) -> list[dict[str, Any]]:
    """Reports of the programs that a subgraph runs so many samples as, one after another."""
    own = {one.batch_of(batch): batch for batch in column.batches[one.name]}
    reports = {size: _report(column.programs / one.name / f"b{batch}") for size, batch in own.items()}
    return [reports[size] for size in split(samples, tuple(own))]


def gains(schedules: list[list[dict[str, Any]]]) -> Iterator[str]:
    """What each mode and the search of a batch came to, over all subgraphs, which took the same steps."""
    steps = [
        (same[0]["name"], *(sum(step[key] for step in same) for key in GAINED)) for same in zip(*schedules, strict=True)
    ]
    for (_, _, cycles, swapped), (name, trials, fewer, less) in pairwise(steps):
        swap = f", {swapped:,} -> {less:,} bytes swapped" if swapped or less else ""
        moved = f"{WAYS[name]}: {cycles:,} -> {fewer:,} cycles{swap}"
        if name == "groups":
            yield moved
        elif (fewer, less) == (cycles, swapped):
            yield f"{WAYS[name]}: nothing better in {counted(trials, 'layout')}"
        else:
            yield f"{moved}, the best of {counted(trials, 'layout')}"


def parts(planned: Partition, programs: Path, batches: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    """Lines of each subgraph at its smallest batch, which may have options of its own. batches: as in Column."""
    for one in planned.at(NPU)[:MOST_NAMED]:
        batch = batches[one.name][0]
        report = _report(programs / one.name / f"b{batch}")
        stages = report["stages"]
        what = "" if one.sub_config is None else f" (sub_configs[{one.sub_config}])"
        yield (
            f"{one.name}{what}: {report['max_cycle']:,} cycles at batch {batch}; {stages['operators']:,} operators in "
            f"{stages['tiles']:,} tiles, {stages['after_ddr_swap']:,} with DDR swap, {stages['jobs']:,} jobs"
        )
        yield from (f"{one.name}: {gain}" for gain in gains([report["schedule"]]))


def placement(planned: Partition) -> str:
    """Which operators run on the CPU."""
    on_cpu = planned.on_cpu
    if not on_cpu:
        return f"all {planned.node_count} operators run on the NPU" if planned.node_count > 1 else "it runs on the NPU"
    named = ", ".join(f"{node.op_type} '{node.name}'" for node in on_cpu[:MOST_NAMED])
    more = f" and {len(on_cpu) - MOST_NAMED} more" if len(on_cpu) > MOST_NAMED else ""
    run = f"{len(on_cpu)} of {counted(planned.node_count, 'operator')} run{'s' if len(on_cpu) == 1 else ''}"
    return f"{run} on the CPU, whose time is not estimated: {named}{more}"


def _report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found
