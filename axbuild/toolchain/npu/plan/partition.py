"""Stage: a quantised model -> the subgraphs that chips run, renamed canonically, with pre-processing built in.

`partition/partition.json`:
{"target_hardware", "inputs": [{"name", "shape", "dtype", "layout", "color"}], "outputs": [{"name", "shape", "dtype"}],
 "inner": [as outputs: tensors between subgraphs], "subgraphs": [{"name", "file", "inputs", "outputs"}]}
Subgraphs stand in the order in which they run; their inputs and outputs are names of the model's tensors, in the order
of the canonical file's own `input_<i>` and `output_<i>`. Shapes are those of one sample. In the file, operators are
called `op_<i>:<op type>` and tensors `t<i>` in graph order, so that what is renamed in the model changes no key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from axbuild.errors import AxError
from axbuild.toolchain.data.inputs import InputProcessor
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.border import Quantize
from axbuild.toolchain.kinds.registry import Written, model_of, write_node
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.lower.jobs import can_lower
from axbuild.toolchain.npu.net import Net, Tensor, net_of, read_model
from axbuild.toolchain.npu.plan.preprocess import Source, sources_of

SUBGRAPH = "subgraph_npu_0"


class PartitionError(AxError):
    """AX408: an operator of a quantised model that no engine of the chip runs."""

    code = "AX408"


@dataclass(frozen=True)
class PartitionParams:
    chip: Support
    input_processors: tuple[InputProcessor, ...]


def partition(model: Path, out: Path, *, params: PartitionParams) -> None:
    """model: quant_axmodel.onnx. Writes partition/partition.json and partition/subgraph_npu_<i>.onnx."""
    chip = params.chip.name
    net = net_of(read_model(model))
    for op in net.ops:
        if not can_lower(op.kind):
            raise PartitionError(f"Operator '{op.name}' ({op.kind.op_type}) does not run on the NPU of {chip}.")
    sources = sources_of({name: net.tensors[name].shape for name in net.inputs}, params.input_processors)
    folder = out / "partition"
    folder.mkdir()
    canonical = Canonical(net, sources).model()
    (folder / f"{SUBGRAPH}.onnx").write_bytes(canonical.SerializeToString(deterministic=True))
    record = json.dumps(_record(net, sources, chip), indent=1, sort_keys=True)
    (folder / "partition.json").write_text(record + "\n", encoding="utf-8")


def _record(net: Net, sources: list[Source], chip: str) -> dict[str, Any]:
    return {
        "target_hardware": chip,
        "inputs": [
            {
                "name": source.name,
                "shape": list(source.source_shape),
                "dtype": source.dtype,
                "layout": source.layout,
                "color": source.color,
            }
            for source in sources
        ],
        "outputs": [_tensor(net.tensors[name]) for name in net.outputs],
        "inner": [],
        "subgraphs": [
            {
                "name": SUBGRAPH,
                "file": f"{SUBGRAPH}.onnx",
                "inputs": list(net.inputs),
                "outputs": list(net.outputs),
            }
        ],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}


@dataclass
class Canonical:
    """Rewrites a net under canonical names, its inputs behind their pre-processing."""

    net: Net
    sources: list[Source]
    written: list[Written] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """canonical name of each tensor of the net that has been made"""

    def model(self) -> onnx.ModelProto:
        by_input = {source.name: (f"input_{i}", source) for i, source in enumerate(self.sources)}
        outputs = {name: f"output_{i}" for i, name in enumerate(self.net.outputs)}
        for op in self.net.ops:
            target = outputs.get(op.output)
            head = by_input.get(op.inputs[0])
            codes = head[1].codes(op.kind) if head and isinstance(op.kind, Quantize) else None
            if head and codes:
                self.names[op.output] = self._chain(codes, head[0], target)
                continue
            for name in op.inputs:
                if name not in self.names:
                    self.names[name] = self._chain(by_input[name][1].reals(), by_input[name][0])
            self.names[op.output] = self._add(op.kind, [self.names[name] for name in op.inputs], target)
        inputs = [_info(port, s.dtype, s.source_shape) for port, s in by_input.values()]
        tensors = [self.net.tensors[name] for name in outputs]
        infos = [_info(outputs[t.name], t.dtype, t.shape) for t in tensors]
        return model_of(self.written, inputs, infos, SUBGRAPH)

    def _chain(self, kinds: list[Kind], source: str, target: str | None = None) -> str:
        for i, kind in enumerate(kinds):
            source = self._add(kind, [source], target if i == len(kinds) - 1 else None)
        return source

    def _add(self, kind: Kind, inputs: list[str], target: str | None) -> str:
        number = len(self.written)
        output = target or f"t{number}"
        self.written.append(write_node(kind, inputs, [output], f"op_{number}:{kind.op_type}"))
        return output


def _info(name: str, dtype: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))
