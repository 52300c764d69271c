"""Stage: what a float model holds, and what becomes of each of its nodes on every chip, before anything is declared.

`facts.json` is what the file says, of a quantised model with the element types of each layer; `outlook.json` what the
front end and the judge of placement make of it. Where the front end refuses the model, the first is there all the same.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
from onnx import ValueInfoProto

from axbuild.toolchain.frontend.light import LightModel, to_graph
from axbuild.toolchain.frontend.load import accepted, only_model, read
from axbuild.toolchain.frontend.naming import name_nodes
from axbuild.toolchain.frontend.nested import all_constants, with_inner
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify
from axbuild.toolchain.frontend.shapes import interface, stated_shape
from axbuild.toolchain.graph import integer, origins_of, shape_of
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.plan.placement import judge
from axbuild.toolchain.npu.plan.sketch import sketched
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.ops.fused import fused_nodes, without_integer_form
from axbuild.toolchain.quant.layers import is_quantised, layers_of

FACTS, OUTLOOK = "facts.json", "outlook.json"


@dataclass(frozen=True)
class OutlookParams(OptimizeParams):
    """chips: those to judge for."""

    chips: tuple[Support, ...] = ()


def outlook(model: Path, out: Path, *, params: OutlookParams) -> None:
    """`model`: a folder with one .onnx file and its external data. Writes facts.json and outlook.json, which is empty
    for a quantised model: nothing more becomes of it."""
    file = only_model(model)
    light = read(file)
    if is_quantised(light.proto):
        _write(facts(light) | {"layers": layers_of(onnx.load(file))}, out / FACTS)
        _write({}, out / OUTLOOK)
        return
    _write(facts(light), out / FACTS)
    name_nodes(light.proto.graph.node)
    users = {node.name: node.op_type for node in with_inner(light.proto.graph.node) if node.name}
    done = simplify(accepted(light, file.name, params), params)
    ends = interface(done)
    graph = to_graph(done).graph
    record = {"macs": sum(map(_macs, graph)), "nodes": len(graph), "rows": rows(graph, users, params.chips)}
    _write(ends | record, out / OUTLOOK)


def _write(record: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def facts(model: LightModel) -> dict[str, Any]:
    """Versions, ends as the file states them, operators by count, and how many numbers the model holds."""
    proto = model.proto
    counts = [array.size for array in model.weights.values()]
    counts += [math.prod(tensor.dims) for tensor in proto.graph.initializer]
    counts += [math.prod(tensor.dims) for _, tensor in all_constants(proto)]
    return {
        "opsets": {entry.domain or "ai.onnx": entry.version for entry in proto.opset_import},
        "ir_version": proto.ir_version,
        "producer": " ".join(filter(None, (proto.producer_name, proto.producer_version))),
        "inputs": [_stated(value) for value in model.inputs],
        "outputs": [_stated(value) for value in proto.graph.output],
        "parameters": sum(counts),
        "operators": dict(Counter(node.op_type for node in with_inner(proto.graph.node)).most_common()),
        "functions": len(proto.functions),
    }


def _stated(value: ValueInfoProto) -> dict[str, Any]:
    kind = value.type.tensor_type.elem_type if value.type.HasField("tensor_type") else 0
    return {
        "name": value.name,
        "dtype": str(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind in _NAMED else "?",
        "shape": list(stated_shape(value) or ("?",)),
    }


_NAMED = set(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}


def _macs(node: ir.Node) -> int:
    """Multiplications of what accumulates products of two tensors."""
    shapes = [shape_of(value) if value is not None and value.shape is not None else () for value in node.inputs]
    out = node.outputs[0]
    if len(shapes) < 2 or out.shape is None or not out.shape.is_static():
        return 0
    elements = math.prod(shape_of(out))
    match node.op_type:
        case "Conv":
            return elements * math.prod(shapes[1][1:])
        case "ConvTranspose":
            return math.prod(shapes[0]) * math.prod(shapes[1][1:])
        case "MatMul":
            return elements * shapes[0][-1]
        case "Gemm":
            return elements * shapes[0][0 if integer(node, "transA", 0) else 1]
        case "GRU" | "LSTM" | "RNN":
            return math.prod(shapes[0][:2]) * (math.prod(shapes[1]) + math.prod(shapes[2]))
    return 0


def rows(graph: ir.Graph, users: Mapping[str, str], chips: Sequence[Support]) -> list[dict[str, Any]]:
    """The user's nodes by operator and what becomes of them, in the order of the first one's place.

    [{"operator", "count", "nodes": two names, "becomes", "on_cpu": chip -> reason}]; becomes: "" for what stays an
    operator of its own, "as Conv", "part of Conv", or "a constant" for what is computed beforehand or does nothing.
    users: node -> operator.
    """
    fates: dict[str, Fate] = {}
    for fused in fused_nodes(graph):
        for name, fate in _fates(fused, users, chips):
            if name not in fates or fate.weight >= fates[name].weight:
                fates[name] = fate
    grouped: dict[tuple[str, Fate], list[str]] = {}
    for name, op_type in users.items():
        grouped.setdefault((op_type, fates.get(name, CONSTANT)), []).append(name)
    return [
        {
            "operator": op_type,
            "count": len(names),
            "nodes": names[:2],
            "becomes": fate.becomes,
            "on_cpu": dict(fate.on_cpu),
        }
        for (op_type, fate), names in grouped.items()
    ]


@dataclass(frozen=True)
class Fate:
    """becomes, on_cpu: as in a row.

    weight: of several nodes that stand for one of the user's, which is told: what runs on a CPU before what is of its
    own operator, and this before what only moves things around for it.
    """

    becomes: str
    on_cpu: tuple[tuple[str, str], ...] = ()
    weight: tuple[bool, bool, bool] = field(default=(False, False, False), compare=False)


CONSTANT = Fate("a constant")
MOVERS = ("Reshape", "Transpose")
"""operators that stand around one that takes another form"""


def _fates(fused: FusedNode, users: Mapping[str, str], chips: Sequence[Support]) -> Iterator[tuple[str, Fate]]:
    """What becomes of each of the user's nodes that a fused node stands for; the weightiest counts, or the last."""
    formless = without_integer_form(fused.node)
    judged = {chip.name: judge(fused.nodes, chip, formless, sketched(fused)).sentence for chip in chips}
    on_cpu = tuple((chip, said.replace(f"the NPU of {chip}", "the NPU")) for chip, said in judged.items() if said)
    head = fused.node.op_type
    weight = (bool(on_cpu), False, head not in MOVERS)
    for node in reversed(fused.nodes):
        for name in reversed(origins_of(node)):
            yield name, Fate(f"part of {head}", on_cpu, weight)
    first = origins_of(fused.node)[0]
    is_own = users.get(first) == head
    yield first, Fate("" if is_own else f"as {head}", on_cpu, (bool(on_cpu), is_own, head not in MOVERS))
