"""Stage, an expansion: what a check compares, by what the model's partition is.

Wholly on the NPU: the compiled model against the quantised one, from samples to outputs, exact on every machine.
With subgraphs on the CPU, processed outputs, layer by layer, of some subgraphs alone, or from data that the compiled
model takes in: each NPU subgraph on its own, on what the reference found at its border.
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
    """layers: whether tensors inside the NPU's programs are compared too; processed: outputs have processors, which
    only the partition knows; shape_group: which column of the compiled model is held against `model` and `partition`;
    sub_configs: those whose subgraphs are compared, None for what is in none; the whole where it is empty; start: as
    in GivenParams."""

    layers: bool = False
    processed: bool = False
    shape_group: int = 0
    start: int | None = None
    sub_configs: tuple[int | None, ...] = ()


def answers(
    axmodel: Path,
    model: Path,
    partition: Path,
    samples: list[Path],
    data: list[Path],
    out: Path,
    *,
    params: AnswersParams,
) -> None:
    """model: quant_axmodel.onnx; data: none, or a folder of what the compiled model takes in, instead of samples.
    Writes expansion.json; its result are the trees simulated/ and reference/.

    Raises NothingToCompareError where every subgraph is compared by itself.
    """
    about = dataclasses.asdict(ReferenceParams(params.inputs, params.input_processors))
    column = about | {"shape_group": params.shape_group}
    asked, planned = params.sub_configs, Partition.read(partition)
    if asked or data or params.layers or params.processed or planned.at(CPU):
        named = [subgraph.name for subgraph in planned.of(asked) if subgraph.check] if asked else []
        if asked and not named:
            raise NothingToCompareError("Every subgraph on the NPU is of a sub_config that has a check of its own.")
        look = {"layers": params.layers, "subgraphs": named}
        reference = (
            _child("given", look | {"start": params.start}, partition="input:partition", data="input:data.0000")
            if data
            else _child("follow", about | look, partition="input:partition", samples="input:samples")
        )
        borders = f"child:{reference['name']}/boundaries/"
        simulated = {"axmodel": "input:axmodel", "boundaries": borders, "samples": "input:samples"}
        children = [reference, _child("simulate_parts", column | look, **simulated)]
    else:
        children = [
            _child("reference", about, model="input:model", samples="input:samples"),
            _child("simulate", column, axmodel="input:axmodel", samples="input:samples"),
        ]
    sides = zip(("reference/", "simulated/"), children, strict=True)
    result = {side: f"child:{child['name']}/outputs/" for side, child in sides}
    text = json.dumps({"children": children, "result": result}, indent=1, sort_keys=True)
    (out / "expansion.json").write_text(text + "\n", encoding="utf-8")


def _child(name: str, params: dict[str, Any], **inputs: str) -> dict[str, Any]:
    return {"name": name, "stage": f"{ROOM}.{name}:{name}", "params": params, "inputs": inputs}
