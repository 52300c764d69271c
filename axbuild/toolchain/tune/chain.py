"""Stage, an expansion: every block in turn, each tuned on what the ones before it give."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axbuild.toolchain.tune.plan import PLAN, REPORT, SCHEME, read_plan

TUNE = "axbuild.toolchain.tune.tune_block:tune_block"
CARRY = "axbuild.toolchain.tune.carry:carry"


@dataclass(frozen=True)
class ChainParams:
    """What every block is told, as in TuneParams."""

    method: str
    steps: int
    batch: int
    rate: float


def chain(blocks: Path, out: Path, *, params: ChainParams) -> None:
    """Writes expansion.json, whose children read the input `begin`, the boundary of the first block; its result is
    <i>/scheme.msgpack and <i>/report.json of every block i that is tuned."""
    plan = read_plan(blocks / PLAN)
    last = max((number for number, block in enumerate(plan) if block.tuned), default=-1)
    tuned = [number for number, block in enumerate(plan) if block.tuned]
    children: list[dict[str, Any]] = []
    result: dict[str, str] = {}
    boundary = "input:begin"
    for number, block in enumerate(plan[: last + 1]):
        part, scheme = {"block": f"input:blocks/{number}/"}, f"input:blocks/{number}/{SCHEME}"
        if block.tuned:
            # The name is what the screen shows while it runs.
            name = f"tune_{tuned.index(number) + 1}_of_{len(tuned)}"
            children.append(_child(name, TUNE, asdict(params), part | {"boundary": boundary}))
            result |= {f"{number}/{file}": f"child:{name}/{file}" for file in (SCHEME, REPORT)}
            scheme = f"child:{name}/{SCHEME}"
        if number < last:
            goes_on = {"goes_on": list(block.goes_on)}
            children.append(_child(f"carry_{number}", CARRY, goes_on, part | {"scheme": scheme, "boundary": boundary}))
            boundary = f"child:carry_{number}/boundary/"
    text = json.dumps({"children": children, "result": result}, indent=1, sort_keys=True)
    (out / "expansion.json").write_text(text + "\n", encoding="utf-8")


def _child(name: str, stage: str, params: dict[str, Any], inputs: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "stage": stage, "params": params, "inputs": inputs}
