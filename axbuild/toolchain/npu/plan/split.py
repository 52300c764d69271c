"""Stage, an expansion: one compilation for each subgraph and batch, each from its own subgraph file alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.errors import AxError
from axbuild.toolchain.npu.plan.record import NPU, Partition

COMPILE = "axbuild.toolchain.npu.compile:compile_subgraph"
OUTPUTS = ("program.msgpack", "params.bin", "report.json")


class BatchError(AxError):
    """AX403: a model whose answers to several samples cannot be joined."""

    code = "AX403"


@dataclass(frozen=True)
class SplitParams:
    """chip, options: what every compilation is told beside its batch, handed on unread; sub_options: the options of the
    subgraphs of each sub_config instead.

    batches: to compile; none where `dynamic` says which.
    """

    chip: dict[str, Any]
    options: dict[str, Any]
    batches: tuple[int, ...]
    sub_options: tuple[dict[str, Any], ...] = ()


def split(partition: Path, dynamic: list[Path], out: Path, *, params: SplitParams) -> None:
    """dynamic: none, or the batches.json that says what is worth compiling. Writes expansion.json; its result is
    <subgraph>/b<batch>/<output> for every output of a compilation.

    Raises BatchError where samples of a batch could not be answered together.
    """
    planned = Partition.read(partition)
    batches = params.batches
    for file in dynamic:
        batches = tuple(json.loads(file.read_text(encoding="utf-8"))["batches"])
    if planned.single and max(batches) > 1:
        raise BatchError(
            f"{planned.single}, so that the answers of {max(batches)} samples cannot be joined.",
            hint="build it at batch 1 only",
        )
    children: list[dict[str, Any]] = []
    result: dict[str, str] = {}
    for number, subgraph in enumerate(planned.at(NPU)):
        options = subgraph.own(params.options, params.sub_options)
        for batch in sorted({subgraph.batch_of(batch) for batch in batches}):
            children.append(
                {
                    "name": f"compile_{number}_b{batch}",
                    "stage": COMPILE,
                    "params": {"chip": params.chip, "options": options, "batch": batch},
                    "inputs": {"subgraph": f"input:partition/{subgraph.file}"},
                }
            )
        for batch in batches:
            child = f"child:compile_{number}_b{subgraph.batch_of(batch)}"
            result |= {f"{subgraph.name}/b{batch}/{output}": f"{child}/{output}" for output in OUTPUTS}
    text = json.dumps({"children": children, "result": result}, indent=1, sort_keys=True)
    (out / "expansion.json").write_text(text + "\n", encoding="utf-8")
