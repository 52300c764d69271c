"""Stage, an expansion: one compilation for each subgraph and batch, each from its own subgraph file alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMPILE = "axbuild.toolchain.npu.compile:compile_subgraph"
OUTPUTS = ("program.msgpack", "params.bin", "report.json")


@dataclass(frozen=True)
class SplitParams:
    """ddr_bw_limit: GB/s, 0 for none."""

    target_hardware: str
    npu_mode: str
    batches: tuple[int, ...]
    ddr_bw_limit: float


def split(partition: Path, out: Path, *, params: SplitParams) -> None:
    """Writes expansion.json; its result is <subgraph>/b<batch>/<output> for every output of a compilation."""
    record = json.loads((partition / "partition.json").read_text(encoding="utf-8"))
    children: list[dict[str, Any]] = []
    result: dict[str, str] = {}
    for number, subgraph in enumerate(record["subgraphs"]):
        for batch in params.batches:
            child = _compile(number, subgraph["file"], batch, params)
            children.append(child)
            result |= {f"{subgraph['name']}/b{batch}/{name}": f"child:{child['name']}/{name}" for name in OUTPUTS}
    text = json.dumps({"children": children, "result": result}, indent=1, sort_keys=True)
    (out / "expansion.json").write_text(text + "\n", encoding="utf-8")


def _compile(number: int, file: str, batch: int, params: SplitParams) -> dict[str, Any]:
    return {
        "name": f"compile_{number}_b{batch}",
        "stage": COMPILE,
        "params": {
            "target_hardware": params.target_hardware,
            "npu_mode": params.npu_mode,
            "batch": batch,
            "ddr_bw_limit": params.ddr_bw_limit,
        },
        "inputs": {"subgraph": f"input:partition/{file}"},
    }
