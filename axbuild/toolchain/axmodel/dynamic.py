"""Stage: which batches pay? They double from 1 for as long as a sample then takes fewer estimated cycles."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axbuild.errors import AxNote
from axbuild.progress import tell
from axbuild.toolchain.npu.chips.preset import chip_of
from axbuild.toolchain.npu.chips.records import Preset
from axbuild.toolchain.npu.compile import laid_out
from axbuild.toolchain.npu.net import Net, at_batch, net_of, read_model
from axbuild.toolchain.npu.options import CompileOptions
from axbuild.toolchain.npu.plan.record import NPU, Partition, PlannedSubgraph


@dataclass(frozen=True)
class DynamicParams:
    """limit: the largest batch that may be compiled; options, sub_options: as in SplitParams; sub_configs: whose
    subgraphs it is asked of, None for those in none; all where it is empty."""

    chip: Preset
    limit: int
    options: CompileOptions = field(default_factory=CompileOptions)
    sub_options: tuple[CompileOptions, ...] = ()
    sub_configs: tuple[int | None, ...] = ()


def dynamic_batches(partition: Path, out: Path, *, params: DynamicParams) -> None:
    """Writes batches.json: those worth compiling, ascending, the cycles of each that was tried, and which sub_configs
    they are of, where they are not of all."""
    asked = [item for item in Partition.read(partition).of(params.sub_configs) if item.place == NPU]
    subgraphs = [(item, net_of(read_model(partition / item.file))) for item in asked]

    def cycles(batch: int) -> int:
        tell("batch", batch, params.limit)
        sizes = ((item, item.batch_of(batch), net) for item, net in subgraphs)
        return sum(_cycles(params, item, net, size) * (batch // size) for item, size, net in sizes)

    batches, tried = chosen(cycles, params.limit)
    record: dict[str, Any] = {"batches": batches, "cycles": {str(batch): tried[batch] for batch in sorted(tried)}}
    if params.sub_configs:
        record["sub_configs"] = params.sub_configs
    (out / "batches.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if subgraphs:
        warnings.warn(AxNote(_whose(params.sub_configs) + _sentence(batches, tried, params.limit)), stacklevel=1)


def chosen(cycles: Callable[[int], int], limit: int) -> tuple[list[int], dict[int, int]]:
    """(batches that pay, cycles of each that was tried): 1, and doubles of it up to `limit` until one of them takes as
    many cycles a sample as the one before, or more."""
    batches, tried = [1], {1: cycles(1)}
    while (batch := 2 * batches[-1]) <= limit:
        tried[batch] = cycles(batch)
        if tried[batch] >= 2 * tried[batches[-1]]:
            break
        batches.append(batch)
    return batches, tried


def _cycles(params: DynamicParams, subgraph: PlannedSubgraph, net: Net, batch: int) -> int:
    options = subgraph.own(params.options, params.sub_options)
    chip = chip_of(params.chip, options.ddr_bw_limit)
    return laid_out(net, at_batch(net, batch), chip, batch, options, subgraph.groups).layout.cycles


def _whose(sub_configs: tuple[int | None, ...]) -> str:
    return "".join(f"sub_configs[{number}]: " for number in sub_configs if None not in sub_configs)


def _sentence(batches: list[int], tried: dict[int, int], limit: int) -> str:
    each = ", ".join(f"{cycles / batch:,.0f} at {batch}" for batch, cycles in tried.items())
    named = ", ".join(map(str, batches))
    return f"batch{'es' if len(batches) > 1 else ''} {named} of at most {limit}; estimated cycles a sample: {each}"
