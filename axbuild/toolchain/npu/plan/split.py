"""Stage, an expansion: one compilation for each subgraph and batch, each from its own subgraph file alone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axbuild.errors import AxError
from axbuild.toolchain.npu.plan.record import NPU, Partition, PlannedSubgraph

COMPILE = "axbuild.toolchain.npu.compile:compile_subgraph"
OUTPUTS = ("program.msgpack", "params.bin", "report.json")


class BatchError(AxError):
    """AX403: a model whose answers to several samples cannot be joined."""

    code = "AX403"


@dataclass(frozen=True)
class SplitParams:
    """chip, options: what every compilation is told beside its batch, handed on unread; sub_options: the options of the
    subgraphs of each sub_config instead.

    batches: to compile; none where `dynamic` says which; sub_batches: those of each sub_config instead, none where all
    are as the model's.
    """

    chip: dict[str, Any]
    options: dict[str, Any]
    batches: tuple[int, ...]
    sub_options: tuple[dict[str, Any], ...] = ()
    sub_batches: tuple[tuple[int, ...], ...] = ()


def split(partition: Path, dynamic: list[Path], out: Path, *, params: SplitParams) -> None:
    """dynamic: each a batches.json that says what is worth compiling, of the whole or of some sub_configs. Writes
    expansion.json; its result is <subgraph>/b<batch>/<output> for every output of a compilation.

    Raises BatchError where samples of a batch could not be answered together.
    """
    planned = Partition.read(partition)
    wanted = _Wanted(params, [json.loads(file.read_text(encoding="utf-8")) for file in dynamic])
    _require_joined(planned, wanted)
    children: list[dict[str, Any]] = []
    result: dict[str, str] = {}
    for number, subgraph in enumerate(planned.at(NPU)):
        options, batches = subgraph.own(params.options, params.sub_options), wanted.batches(subgraph)
        groups = {"groups": [asdict(one) for one in subgraph.groups]} if subgraph.groups else {}
        for batch in sorted({subgraph.batch_of(batch) for batch in batches}):
            children.append(
                {
                    "name": f"compile_{number}_b{batch}",
                    "stage": COMPILE,
                    "params": {"chip": params.chip, "options": options, "batch": batch} | groups,
                    "inputs": {"subgraph": f"input:partition/{subgraph.file}"},
                }
            )
        for batch in batches:
            child = f"child:compile_{number}_b{subgraph.batch_of(batch)}"
            result |= {f"{subgraph.name}/b{batch}/{output}": f"{child}/{output}" for output in OUTPUTS}
    text = json.dumps({"children": children, "result": result}, indent=1, sort_keys=True)
    (out / "expansion.json").write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Wanted:
    """dynamic: contents of batches.json files."""

    params: SplitParams
    dynamic: list[dict[str, Any]]

    def batches(self, subgraph: PlannedSubgraph) -> tuple[int, ...]:
        """Those that were asked for, or found to pay."""
        part = subgraph.sub_config
        found = (one["batches"] for one in self.dynamic if part in one.get("sub_configs", [part]))
        return subgraph.own(self.params.batches, self.params.sub_batches) or tuple(next(found))


def _require_joined(planned: Partition, wanted: _Wanted) -> None:
    """Raises BatchError."""
    for subgraph in planned.subgraphs:
        largest = max(wanted.batches(subgraph))
        if largest > 1 and (why := planned.single or subgraph.single):
            own = subgraph.sub_config if subgraph.single else None
            raise BatchError(
                f"{why}, so that the answers of {largest} samples cannot be joined.",
                hint="build it at batch 1 only"
                if own is None
                else f"static_batch_sizes = [1] in sub_configs[{own}] gives that part one sample at a time",
            )
