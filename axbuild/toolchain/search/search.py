"""Stage, an expansion: every block's grids searched, all at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.toolchain.tune.plan import PLAN, REPORT, SCHEME, read_plan

SEARCH_BLOCK = "axbuild.toolchain.search.search_block:search_block"


@dataclass(frozen=True)
class SearchParams:
    """Nothing to choose."""


def search(blocks: Path, tensors: Path, out: Path, *, params: SearchParams) -> None:
    """tensors: what each block reads. Writes expansion.json; its result is <i>/scheme.msgpack and <i>/report.json of
    every block i."""
    count = len(read_plan(blocks / PLAN))
    children: list[dict[str, Any]] = []
    result: dict[str, str] = {}
    for number in range(count):
        # The name is what the screen shows while it runs.
        name = f"search_{number + 1}_of_{count}"
        inputs = {"block": f"input:blocks/{number}/", "tensors": f"input:tensors/{number}/"}
        children.append({"name": name, "stage": SEARCH_BLOCK, "params": {}, "inputs": inputs})
        result |= {f"{number}/{file}": f"child:{name}/{file}" for file in (SCHEME, REPORT)}
    text = json.dumps({"children": children, "result": result}, indent=1, sort_keys=True)
    (out / "expansion.json").write_text(text + "\n", encoding="utf-8")
