"""`quant_axmodel.json`: operator -> tensor -> how it was quantised.

Each record has the vendor's fields: "bit_width"; "policy", seven booleans; "state"; "quant_min", "quant_max"; "hash",
an integer that names the record, and "dominator", the hash of the record that decides its scale. Beyond them it has
"scale" (a list for values a channel) and "zero_point", and on weights "raised_channels": those whose scale the floor
of the integer semantics lifted.

States: ACTIVATED decides its own scale; OVERLAPPED follows its dominator; BAKED is a weight, PASSIVE_BAKED a constant
whose scale follows from others; SOI is a shape or an index; FP32 stays a float.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir

from axbuild.toolchain.graph import is_activation
from axbuild.toolchain.ops.base import CODE_MAX, Baked, Lowered, Site
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.scheme import Scheme

Record = dict[str, Any]


def record_hash(node: str, tensor: str) -> int:
    """48 bits of a digest of the record's place: the same in every run."""
    return int.from_bytes(hashlib.sha256(f"{node}\0{tensor}".encode()).digest()[:6], "big")


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


def records_of(scheme: Scheme, lowered: list[tuple[Site, Lowered]]) -> dict[str, dict[str, Record]]:
    """Node name -> tensor name -> record, for every node of the float graph."""
    places = _places(scheme)
    found: dict[str, dict[str, Record]] = {}
    for site, part in lowered:
        baked = {entry.tensor: entry for entry in part.baked}
        inner = {value.name: site.output.name or "" for value in site.inner}
        for node in site.nodes:
            records = found.setdefault(node.name or "", {})
            for index, value in enumerate(node.inputs):
                if value is None or (value.name or "") in records:
                    continue
                if is_activation(value):
                    records[value.name or ""] = _activation(node, value, scheme, places, inner)
                else:
                    records[value.name or ""] = _constant(node, index, value, baked.get(value.name or ""))
            output = node.outputs[0]
            records[output.name or ""] = _activation(node, output, scheme, places, inner)
    return found


def _places(scheme: Scheme) -> dict[str, int]:
    """Owner of a group -> hash of its own record: at the node that computes it, or that reads it first."""
    places: dict[str, int] = {}
    for site in scheme.sites:
        for value in site.inputs:
            if value.producer() is None:
                places.setdefault(value.name or "", record_hash(site.name, value.name or ""))
        output = site.output
        places[output.name or ""] = record_hash(site.nodes[-1].name or "", output.name or "")
    return places


def _activation(
    node: ir.Node, value: ir.Value, scheme: Scheme, places: Mapping[str, int], inner: Mapping[str | None, str]
) -> Record:
    tensor = value.name or ""
    owner = scheme.owners[inner.get(tensor, tensor)]
    grid, own = scheme.grids[owner], record_hash(node.name or "", tensor)
    return {
        "bit_width": 8,
        "policy": policy(per_channel=False, symmetrical=False),
        "state": "ACTIVATED" if own == places[owner] else "OVERLAPPED",
        "quant_min": 0,
        "quant_max": CODE_MAX,
        "hash": own,
        "dominator": places[owner],
        "scale": grid.scale,
        "zero_point": grid.zero,
    }


def _constant(node: ir.Node, index: int, value: ir.Value, baked: Baked | None) -> Record:
    """A weight or bias as it was baked; a shape; or a float such as the bounds of Clip."""
    own = record_hash(node.name or "", value.name or "")
    if baked is None:
        soi = index in op_of(node).soi
        state = "SOI" if soi else "FP32"
        return {
            "bit_width": 32,
            "policy": policy(per_channel=False, symmetrical=False),
            "state": state,
            "quant_min": 0,
            "quant_max": 0,
            "hash": own,
            "dominator": own,
        }
    record = {
        "bit_width": baked.bit_width,
        "policy": policy(per_channel=True, symmetrical=True),
        "state": "PASSIVE_BAKED" if baked.passive else "BAKED",
        "quant_min": baked.quant_min,
        "quant_max": baked.quant_max,
        "hash": own,
        "dominator": own,
        "scale": [float(scale) for scale in baked.scale],
        "zero_point": 0,
    }
    return record if baked.passive else {**record, "raised_channels": list(baked.raised)}


def write_records(records: dict[str, dict[str, Record]], path: Path) -> None:
    """One record a line, so that two files can be told apart line by line."""
    nodes = []
    for node, tensors in records.items():
        lines = [f"  {json.dumps(tensor)}: {json.dumps(record)}" for tensor, record in tensors.items()]
        nodes.append(f" {json.dumps(node)}: {{\n" + ",\n".join(lines) + "\n }")
    path.write_text("{\n" + ",\n".join(nodes) + "\n}\n", encoding="utf-8")
