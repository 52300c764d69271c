"""What the vendor's command tells of a model: the user's own as it stands in its file, and how it was quantised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import ValueInfoProto

from axbuild.toolchain.frontend.load import read

PLAIN = ("FP32", "SOI")
"""states of records that no quantisation made"""


@dataclass(frozen=True)
class ModelFacts:
    """inputs, outputs: name -> element type and shape, as in `float32: (1, 3, 224, 224)`; operators: sorted by name."""

    name: str
    opset: int
    ir_version: int
    inputs: dict[str, str]
    outputs: dict[str, str]
    operators: dict[str, int]
    size_bytes: int


def model_facts(file: Path) -> ModelFacts:
    """Of a valid ONNX file; size_bytes counts its weights wherever they are."""
    light = read(file)
    graph = light.proto.graph
    opsets = {entry.domain: entry.version for entry in light.proto.opset_import}
    return ModelFacts(
        name=graph.name,
        opset=opsets.get("") or opsets.get("ai.onnx") or max(opsets.values()),
        ir_version=light.proto.ir_version,
        inputs={value.name: _form(value) for value in light.inputs},
        outputs={value.name: _form(value) for value in graph.output},
        operators=dict(sorted(Counter(node.op_type for node in graph.node).items())),
        size_bytes=light.proto.ByteSize() + sum(array.nbytes for array in light.weights.values()),
    )


def _form(value: ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    shape = (str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim)
    return f"{dtype}: ({', '.join(shape)})"


@dataclass(frozen=True)
class StateCounts:
    """operators, variables: how many, and how many of them are quantised; states: how many records are in each."""

    operators: tuple[int, int]
    variables: tuple[int, int]
    states: dict[str, int]

    @property
    def records(self) -> int:
        return sum(self.states.values())


def snapshot(records: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> StateCounts:
    """Of `quant_axmodel.json`; a variable is quantised where an operator that touches it is."""
    touched = [name for name, tensors in records.items() if any(r["state"] not in PLAIN for r in tensors.values())]
    variables = {tensor for tensors in records.values() for tensor in tensors}
    quantised = {tensor for name in touched for tensor in records[name]}
    states = Counter(record["state"] for tensors in records.values() for record in tensors.values())
    return StateCounts((len(records), len(touched)), (len(variables), len(quantised)), dict(states))
