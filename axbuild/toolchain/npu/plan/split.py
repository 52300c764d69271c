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
    """chip, options: what every compilation is told beside its batch, handed on unread."""

    chip: dict[str, Any]
    options: dict[str, Any]
    batches: tuple[int, ...]


def split(partition: Path, out: Path, *, params: SplitParams) -> None:
    """Writes expansion.json; its result is <subgraph>/b<batch>/<output> for every output of a compilation."""
    record = json.loads((partition / "partition.json").read_text(encoding="utf-8"))
    children: list[dict[str, Any]] = []
    result: dict[str, str] = {}
    for number, subgraph in enumerate(record["subgraphs"]):
        for batch in params.batches:
            name = f"compile_{number}_b{batch}"
            children.append(
                {
                    "name": name,
                    "stage": COMPILE,
                    "params": {"chip": params.chip, "options": params.options, "batch": batch},
                    "inputs": {"subgraph": f"input:partition/{subgraph['file']}"},
                }
            )
            result |= {f"{subgraph['name']}/b{batch}/{output}": f"child:{name}/{output}" for output in OUTPUTS}
    text = json.dumps({"children": children, "result": result}, indent=1, sort_keys=True)
    (out / "expansion.json").write_text(text + "\n", encoding="utf-8")
