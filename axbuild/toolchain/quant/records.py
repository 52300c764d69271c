"""`quant_axmodel.json`: operator -> tensor -> how it was quantised.

Each record has the vendor's fields: "bit_width"; "policy", seven booleans; "state"; "quant_min", "quant_max"; "hash",
an integer that names the record, and "dominator", the hash of the record that decides its scale. Beyond them it has
"data_type", "scale" (a list for values a channel) and "zero_point" where there is a grid, and on weights
"raised_channels": those whose scale the floor of the integer semantics lifted.

States: ACTIVATED decides its own scale; OVERLAPPED follows its dominator; SLAVE is an input that takes the grid of the
output it is joined into, as those of a Concat do; BAKED is a weight, PASSIVE_BAKED a constant whose scale follows from
others; SOI is a shape or an index; FP32 stays a float.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, is_activation
from axbuild.toolchain.kinds.codes import FP32, Edge, ElementType, Grid
from axbuild.toolchain.ops.base import BakedWeight
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.lowered import LoweredNode
from axbuild.toolchain.quant.record_file import Record, record_hash
from axbuild.toolchain.quant.scheme import Scheme


def policy(*, per_channel: bool, symmetrical: bool) -> dict[str, bool]:
    return {
        "PER_TENSOR": not per_channel,
        "PER_CHANNEL": per_channel,
        "LINEAR": True,
        "EXPONENTIAL": False,
        "SYMMETRICAL": symmetrical,
        "ASYMMETRICAL": not symmetrical,
        "POWER_OF_2": False,
    }


def records_of(parts: Sequence[LoweredNode], scheme: Scheme) -> dict[str, dict[str, Record]]:
    """Node name -> tensor name -> record, for every node of the float graph."""
    places = _Places.of(parts, scheme)
    found: dict[str, dict[str, Record]] = {}
    for part in parts:
        for node in part.fused.nodes:
            records = found.setdefault(node.name or "", {})
            for index, value in enumerate(node.inputs):
                if value is None or (value.name or "") in records:
                    continue
                record = _activation if is_activation(value) else _constant
                records[value.name or ""] = record(part, node, index, value, places)
            for output in node.outputs:
                if output.name:
                    records[output.name] = _activation(part, node, -1, output, places)
    return found


@dataclass(frozen=True)
class _Places:
    """owners: as in the scheme; hashes, edges: tensor -> hash and edge of its record at the node that computes it, or
    that reads it first."""

    owners: Mapping[str, str]
    hashes: Mapping[str, int]
    edges: Mapping[str, Edge]

    @staticmethod
    def of(parts: Sequence[LoweredNode], scheme: Scheme) -> _Places:
        hashes: dict[str, int] = {}
        edges: dict[str, Edge] = {}
        for part in parts:
            for name in (value.name or "" for value in part.fused.inputs if value.producer() is None):
                hashes.setdefault(name, record_hash(part.fused.name, name))
                edges.setdefault(name, part.site.reads[name])
            for node in part.fused.nodes:
                for name in (output.name or "" for output in node.outputs):
                    hashes[name] = record_hash(node.name or "", name)
                    edges[name] = _edge(part, name)[1]
        return _Places(scheme.owners, hashes, edges)

    def dominator(self, tensor: str, edge: Grid) -> int | None:
        """The hash of the record that decides a tensor's grid; None for a reader's own, of another element type."""
        owner = self.owners.get(tensor, tensor)
        place = owner if owner in self.hashes else tensor
        return self.hashes[place] if self.edges[place] == edge else None


def _edge(part: LoweredNode, tensor: str) -> tuple[str, Edge]:
    """(tensor that decides, edge) of a tensor a node of the part touches; inside, that of the code it becomes."""
    site = part.site
    for name in (tensor, part.fused.accumulated.name or "", part.fused.output.name or ""):
        edge = site.reads.get(name) or site.writes.get(name)
        if edge is not None:
            return name, edge
    return tensor, FP32


def _activation(part: LoweredNode, node: ir.Node, index: int, value: ir.Value, places: _Places) -> Record:
    tensor, own = value.name or "", record_hash(node.name or "", value.name or "")
    decides, edge = _edge(part, tensor)
    if not isinstance(edge, Grid):
        return _plain(own, edge, "FP32" if edge is FP32 else "SOI")
    op, output = op_of(node), part.fused.output.name or ""
    joined = index >= 0 and op is not None and value in op.joined(node)
    dominator = places.dominator(output if joined else decides, edge)
    return {
        "bit_width": edge.type.bits,
        "policy": policy(per_channel=False, symmetrical=edge.type.signed),
        "state": "SLAVE" if joined else "ACTIVATED" if dominator in (None, own) else "OVERLAPPED",
        "quant_min": edge.type.lo,
        "quant_max": edge.type.hi,
        "hash": own,
        "dominator": own if dominator is None else dominator,
        "data_type": edge.type.name,
        "scale": edge.scale,
        "zero_point": edge.zero,
    }


def _plain(own: int, kind: ElementType, state: str) -> Record:
    return {
        "bit_width": kind.bits,
        "policy": policy(per_channel=False, symmetrical=False),
        "state": state,
        "quant_min": 0,
        "quant_max": 0,
        "hash": own,
        "dominator": own,
        "data_type": kind.name,
    }


def _constant(part: LoweredNode, node: ir.Node, index: int, value: ir.Value, places: _Places) -> Record:
    """A weight or bias as it was baked; a shape; or a float such as the bounds of Clip."""
    own, op, weight = record_hash(node.name or "", value.name or ""), op_of(node), part.site.weight
    if weight is not None and op is not None and node is part.fused.node and index == op.weight_input:
        record = _baked(own, weight.scale.astype(np.float64), weight.type.bits, "BAKED", weight.type.hi)
        zeros = {"zero_point": list(weight.zero)} if weight.zero else {}
        return record | zeros | {"raised_channels": list(weight.raised)}
    if weight is not None and op is not None and index in op.bias_inputs and weight.bias.dtype.kind == "i":
        info = np.iinfo(weight.bias.dtype)
        return _baked(own, _bias_scale(part, weight), info.bits, "PASSIVE_BAKED", int(info.max))
    return _plain(own, FP32, "SOI" if op is not None and index in op.soi else "FP32")


def _bias_scale(part: LoweredNode, weight: BakedWeight) -> Array:
    """f64(sx) f64(sw) a channel."""
    x = next(edge for edge in part.site.reads.values() if isinstance(edge, Grid))
    scale: Array = np.float64(x.scale) * weight.scale.astype(np.float64)
    return scale


def _baked(own: int, scale: Array, bits: int, state: str, highest: int) -> Record:
    return {
        "bit_width": bits,
        "policy": policy(per_channel=True, symmetrical=True),
        "state": state,
        "quant_min": -highest,
        "quant_max": highest,
        "hash": own,
        "dominator": own,
        "data_type": f"S{bits}",
        "scale": [float(value) for value in scale],
        "zero_point": 0,
    }


def write_records(records: dict[str, dict[str, Record]], path: Path) -> None:
    """One record a line, so that two files can be told apart line by line."""
    nodes = []
    for node, tensors in records.items():
        lines = [f"  {json.dumps(tensor)}: {json.dumps(record)}" for tensor, record in tensors.items()]
        nodes.append(f" {json.dumps(node)}: {{\n" + ",\n".join(lines) + "\n }")
    path.write_text("{\n" + ",\n".join(nodes) + "\n}\n", encoding="utf-8")
