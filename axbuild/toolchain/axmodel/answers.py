"""Stage, an expansion: what a check compares, by what the model's partition is.

Wholly on the NPU: the compiled model against the quantised one, from samples to outputs, exact on every machine.
With subgraphs on the CPU, processed outputs, or layer by layer: each NPU subgraph on its own, on what the reference
found at its border.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.toolchain.axmodel.reference import ReferenceParams
from axbuild.toolchain.npu.plan.record import CPU, Partition

ROOM = "axbuild.toolchain.axmodel"


@dataclass(frozen=True)
class AnswersParams(ReferenceParams):
    """shape_group: which column of the compiled model is held against `model` and `partition`."""

    shape_group: int = 0


def answers(
    axmodel: Path, model: Path, partition: Path, samples: list[Path], out: Path, *, params: AnswersParams
) -> None:
    """model: quant_axmodel.onnx. Writes expansion.json; its result are the trees simulated/ and reference/."""
    about = dataclasses.asdict(params)
    simulated = dict(about)
    del about["shape_group"]
    if params.layers or params.processed or Partition.read(partition).at(CPU):
        boundaries = "child:follow/boundaries/"
        children = [
            _child("follow", about, "partition"),
            _child("simulate_parts", simulated, "axmodel", boundaries=boundaries),
        ]
    else:
        children = [_child("reference", about, "model"), _child("simulate", simulated, "axmodel")]
    sides = zip(("reference/", "simulated/"), children, strict=True)
    result = {side: f"child:{child['name']}/outputs/" for side, child in sides}
    text = json.dumps({"children": children, "result": result}, indent=1, sort_keys=True)
    (out / "expansion.json").write_text(text + "\n", encoding="utf-8")


def _child(name: str, params: dict[str, Any], subject: str, **inputs: str) -> dict[str, Any]:
    roles = {subject: f"input:{subject}", "samples": "input:samples"} | inputs
    return {"name": name, "stage": f"{ROOM}.{name}:{name}", "params": params, "inputs": roles}
