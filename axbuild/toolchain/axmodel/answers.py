"""Stage, an expansion: what a check compares, by what the model's partition is.

Wholly on the NPU: the compiled model against the quantised one, from samples to outputs, exact on every machine.
With subgraphs on the CPU, layer by layer, or of some subgraphs alone: each NPU subgraph on its own, on what the
reference found at its border.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.errors import AxError
from axbuild.toolchain.axmodel.reference import ReferenceParams
from axbuild.toolchain.npu.plan.record import CPU, Partition

ROOM = "axbuild.toolchain.axmodel"


class NothingToCompareError(AxError):
    """AX489: a check of what is left, where nothing is."""

    code = "AX489"


@dataclass(frozen=True)
class AnswersParams(ReferenceParams):
    """layers: whether tensors inside the NPU's programs are compared too; sub_configs: those whose subgraphs are
    compared, None for what is in none; the whole where it is empty."""

    layers: bool = False
    sub_configs: tuple[int | None, ...] = ()


def answers(
    axmodel: Path, model: Path, partition: Path, samples: list[Path], out: Path, *, params: AnswersParams
) -> None:
    """model: quant_axmodel.onnx. Writes expansion.json; its result are the trees simulated/ and reference/.

    Raises NothingToCompareError where every subgraph is compared by itself.
    """
    about = dataclasses.asdict(ReferenceParams(params.inputs, params.input_processors))
    asked, planned = params.sub_configs, Partition.read(partition)
    if asked or params.layers or planned.at(CPU):
        named = [subgraph.name for subgraph in planned.of(asked) if subgraph.check] if asked else []
        if asked and not named:
            raise NothingToCompareError("Every subgraph on the NPU is of a sub_config that has a check of its own.")
        about |= {"layers": params.layers, "subgraphs": named}
        boundaries = "child:follow/boundaries/"
        children = [
            _child("follow", about, "partition"),
            _child("simulate_parts", about, "axmodel", boundaries=boundaries),
        ]
    else:
        children = [_child("reference", about, "model"), _child("simulate", about, "axmodel")]
    sides = zip(("reference/", "simulated/"), children, strict=True)
    result = {side: f"child:{child['name']}/outputs/" for side, child in sides}
    text = json.dumps({"children": children, "result": result}, indent=1, sort_keys=True)
    (out / "expansion.json").write_text(text + "\n", encoding="utf-8")


def _child(name: str, params: dict[str, Any], subject: str, **inputs: str) -> dict[str, Any]:
    roles = {subject: f"input:{subject}", "samples": "input:samples"} | inputs
    return {"name": name, "stage": f"{ROOM}.{name}:{name}", "params": params, "inputs": roles}
