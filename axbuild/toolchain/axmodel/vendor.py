"""What a compiled model of the vendor's own toolchain says of itself: its container, and never its programs.

Nodes and initialisers are linked by the JSON of a node; where an old file has none, by names (`npu_0`, `npu_0_params`,
`npu_0_b1_data`). Columns of nodes that share no tensor are shape groups.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from axbuild.errors import AxError, visible
from axbuild.toolchain.axmodel import wire
from axbuild.toolchain.axmodel.container import COLORS, LAYOUTS, META_EXTRA, MODES, NpuSubgraph
from axbuild.toolchain.quant.tensors import shape_in

NODE = NpuSubgraph.node_type
INFO = NpuSubgraph.attributes[1]
LONGEST = 120
"""characters of a name that are shown"""
MOST = 256
"""nodes and tensors of a sort that are shown"""
_BY_NAME = re.compile(r"_b([1-9]\d{0,5})_(?:neu|data)")

Facts = dict[str, Any]


class VendorFileError(AxError):
    """AX480: a compiled model of another toolchain that is damaged."""

    code = "AX480"


def is_vendors(model: ModelProto) -> bool:
    """Of a model without our own mark."""
    return any(node.op_type == NODE for node in model.graph.node)


def facts(model: ModelProto, chips: Mapping[int, str]) -> Facts:
    """chips: number in the container -> name. Raises VendorFileError."""
    blobs = {tensor.name: tensor for tensor in model.graph.initializer}
    extra = _extra(model)
    groups = _groups(list(model.graph.node))
    return {
        "backend": "of another toolchain",
        "producer": _shown(model.producer_name),
        "tool": [_shown(line) for line in model.doc_string.splitlines()[:2]],
        "ir_version": model.ir_version,
        "opset": max((entry.version for entry in model.opset_import), default=0),
        "target_hardware": chips.get(extra["chip"], f"chip number {extra['chip']}"),
        "npu_mode": extra["mode"],
        "inputs": [_tensor(value, extra["io"]) for value in list(model.graph.input)[:MOST] if value.name not in blobs],
        "outputs": [_tensor(value, extra["io"]) for value in list(model.graph.output)[:MOST]],
        "groups": len(set(groups)),
        "subgraphs": [
            _subgraph(node, group, blobs)
            for node, group in zip(model.graph.node, groups, strict=True)
            if node.op_type == NODE
        ][:MOST],
        "cpu_nodes": dict(Counter(_shown(node.op_type) for node in model.graph.node if node.op_type != NODE)),
        "blobs": {_shown(name): _bytes(tensor) for name, tensor in list(blobs.items())[:MOST]},
    }


def _shown(text: str) -> str:
    """Somebody else's text, as it may stand in a line."""
    seen = visible(text)
    return seen if len(seen) <= LONGEST else f"{seen[: LONGEST - 3]}..."


def _bytes(tensor: TensorProto) -> int:
    """As stored; of a tensor kept as numbers, its elements, which are bytes."""
    return len(tensor.raw_data) or len(tensor.int32_data)


def _tensor(value: ValueInfoProto, io: Mapping[str, tuple[str, str]]) -> Facts:
    kind = value.type.tensor_type.elem_type
    known = TensorProto.DataType.values()
    layout, color = io.get(value.name, ("", ""))
    return {
        "name": _shown(value.name),
        "dtype": TensorProto.DataType.Name(kind) if kind in known else f"type {kind}",
        "shape": list(shape_in(value)),
        "layout": layout,
        "color": color,
    }


# Subgraphs ----------------------------------------------------------------------------------------------------------


def _subgraph(node: NodeProto, group: int, blobs: Mapping[str, TensorProto]) -> Facts:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    name = attributes["neu_name"].s.decode(errors="replace") if "neu_name" in attributes else node.name
    units = _told(attributes[INFO].s) if INFO in attributes else list(_by_name(node.name or name, blobs))
    return {
        "name": _shown(name),
        "group": group,
        "inputs": [_shown(tensor) for tensor in node.input[:MOST]],
        "outputs": [_shown(tensor) for tensor in node.output[:MOST]],
        "batches": sorted(batch for batch, _, _ in units),
        "programs": {_shown(key): _bytes(blobs[key]) for _, key, _ in units if key in blobs},
        "constants": {_shown(key): _bytes(blobs[key]) for _, _, extra in units for key in extra if key in blobs},
        "missing": sorted(_shown(key) for _, own, extra in units for key in (own, *extra) if key not in blobs),
    }


Unit = tuple[int, str, list[str]]
"""a batch, the initialiser of its program, and those that the program reads"""


def _told(text: bytes) -> list[Unit]:
    """What `npu_graph_info` links; raises VendorFileError."""
    try:
        info = json.loads(text.decode(errors="replace"))
        return [_unit(unit) for unit in info["dotneus"][:MOST]]
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        raise VendorFileError(f"the file is damaged: {INFO} of a node is not what links its programs") from None


def _unit(unit: Any) -> Unit:
    batch, key = unit["batch"], unit["neu_key"]
    extra = [one.get("const_data_key") or one.get("dyn_param_expr_key") for one in unit.get("extra_inputs", ())]
    if type(batch) is not int or not isinstance(key, str) or not all(isinstance(one, str | None) for one in extra):
        raise TypeError
    return batch, key, [one for one in extra if one]


def _by_name(node: str, blobs: Mapping[str, TensorProto]) -> Iterator[Unit]:
    params = [name for name in (f"{node}_params", "npu_params") if name in blobs][:1]
    for name in blobs:
        found = _BY_NAME.fullmatch(name[len(node) :]) if node and name.startswith(node) else None
        if found:
            yield int(found[1]), name, params


def _groups(nodes: list[NodeProto]) -> list[int]:
    """Of each node its column: nodes that share a tensor stand in one, numbered in the order of their first nodes."""
    column: dict[str, int] = {}
    root = list(range(len(nodes)))

    def top(number: int) -> int:
        while root[number] != number:
            root[number] = number = root[root[number]]
        return number

    for number, node in enumerate(nodes):
        for tensor in filter(None, (*node.input, *node.output)):
            root[top(number)] = root[top(column.setdefault(tensor, number))]
    order = list(dict.fromkeys(top(number) for number in range(len(nodes))))
    places = {first: place for place, first in enumerate(order)}
    return [places[top(number)] for number in range(len(nodes))]


# extra_data ---------------------------------------------------------------------------------------------------------


def _extra(model: ModelProto) -> Facts:
    """io: tensor -> (layout, colour space); mode, and the chip's number, which are 0 where they are not there."""
    text = next((entry.value for entry in model.metadata_props if entry.key == META_EXTRA), "")
    try:
        message = wire.decode(base64.b64decode(text, validate=True))
        entries = [dict(wire.decode(_content(value))) for number, value in message if number == 1]
        io = {_content(entry[1]).decode(): _places(entry) for entry in entries[:MOST]}
        mode = dict(wire.decode(_content(dict(message).get(4, b"")))).get(3, 0)
        chip = dict(message).get(5, 0)
    except (binascii.Error, ValueError, KeyError):
        raise VendorFileError(f"the file is damaged: its {META_EXTRA} cannot be read") from None
    named = MODES[mode] if isinstance(mode, int) and mode < len(MODES) else f"mode {mode!r:.20}"
    return {"io": io, "mode": named, "chip": chip if isinstance(chip, int) else -1}


def _content(value: wire.Value) -> bytes:
    if not isinstance(value, bytes):
        raise wire.WireError("a field is not of bytes")
    return value


def _places(entry: Mapping[int, wire.Value]) -> tuple[str, str]:
    return _name(LAYOUTS, entry.get(2, 0)), _name(COLORS, entry.get(3, 0))


def _name(names: tuple[str, ...], number: wire.Value) -> str:
    return names[number] if isinstance(number, int) and number < len(names) else f"number {number!r:.20}"


# Text ---------------------------------------------------------------------------------------------------------------


def lines(found: Facts) -> Iterable[str]:
    """The facts for people."""
    tool = ", ".join(filter(None, [found["producer"], *found["tool"]]))
    yield f"{found['file']}: {found['bytes']:,} bytes, compiled by {tool or 'another toolchain'}"
    yield "note        for the hardware itself: axbuild shows what it says of itself, and does not run it"
    yield f"onnx        IR {found['ir_version']}, opset {found['opset']}"
    yield f"chip        {found['target_hardware']} {found['npu_mode']}"
    yield f"groups      {found['groups']}"
    for kind in ("inputs", "outputs"):
        for number, tensor in enumerate(found[kind]):
            shape = "x".join("?" if size < 0 else str(size) for size in tensor["shape"])
            words = [tensor["name"], tensor["dtype"], shape, tensor["layout"], tensor["color"]]
            yield f"{'' if number else kind:<11} {' '.join(filter(None, words))}"
    for number, subgraph in enumerate(found["subgraphs"]):
        ends = f"{', '.join(subgraph['inputs'])} -> {', '.join(subgraph['outputs'])}"
        batches = ", ".join(map(str, subgraph["batches"])) or "none"
        where = f"{subgraph['name']}, group {subgraph['group']}, batches {batches}"
        yield f"{'' if number else 'subgraphs':<11} {where}: {ends}"
        for name in subgraph["missing"]:
            yield f"{'':<11} {'':<4} {name} is missing"
    for number, (op_type, count) in enumerate(found["cpu_nodes"].items()):
        yield f"{'' if number else 'on the CPU':<11} {count} {op_type}"
    for number, (name, size) in enumerate(found["blobs"].items()):
        yield f"{'' if number else 'holds':<11} {name} {size:,} bytes"
