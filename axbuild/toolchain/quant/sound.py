"""What `verify` need not ask of a model that the quantiser has just made, and must of one from a file: that its bodies
are the kinds' own, that its float operators are those of its outline, and that its records are of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import onnx
from onnx import helper, numpy_helper

from axbuild.toolchain.graph import ORIGINS, SPELLED
from axbuild.toolchain.kinds.base import DOMAIN
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.kinds.registry import model_around
from axbuild.toolchain.named import complete
from axbuild.toolchain.quant.outline import completed, outline_of
from axbuild.toolchain.quant.record_file import Record, record_hash
from axbuild.toolchain.quant.tensors import NODES, SITE, TENSOR
from axbuild.toolchain.quant.verify import GraphFault, VerifiedGraph

_Body = tuple[str, str, str]


def require_bodies(model: onnx.ModelProto, verified: VerifiedGraph) -> None:
    """Raise GraphFault where a body is not the one that its kind has; the simulator computes what the kind says."""
    kinds = [kind.body() for kind, _ in verified.kinds.values()]
    graph = helper.make_graph(model.graph.node, "operators", [], [])
    wanted = complete(model_around(graph, {(body.name, body.overload): body for body in kinds}))
    own, found = _bodies(wanted), _bodies(model)
    for body, text in found.items():
        name = f"{body[1]} {body[2]}".strip()
        if body not in own:
            raise GraphFault(name, "none of its operators has this body")
        if text != own[body]:
            raise GraphFault(name, "the body is not the one that this axbuild writes; quantise the float model with it")
    if missing := own.keys() - found.keys():
        raise GraphFault(min(missing)[1], "the body is not there")
    if _opsets(model) != _opsets(wanted):
        raise GraphFault(
            "opset_import", f"the opsets are {_opsets(model)}, and a quantised model has {_opsets(wanted)}"
        )


def _bodies(model: onnx.ModelProto) -> dict[_Body, bytes]:
    return {(one.domain, one.name, one.overload): one.SerializeToString(deterministic=True) for one in model.functions}


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    return {entry.domain or "ai.onnx": entry.version for entry in sorted(model.opset_import, key=lambda e: e.domain)}


def require_own_operators(model: onnx.ModelProto, outline: onnx.ModelProto) -> None:
    """Raise GraphFault where the outline is not that of the model: other inputs or outputs, operators or tensors that
    it does not have, float operators that are other ones there; and what ONNX's checker does where it is no model.
    """
    onnx.checker.check_model(outline)
    graph, plan = model.graph, outline.graph
    for holder in (*graph.node, *plan.node, *plan.input, *plan.value_info, *plan.output):
        for key in (ORIGINS, SPELLED):
            _names(holder, key)
    for mine, theirs in ((graph.input, list(plan.input)[: len(graph.input)]), (graph.output, plan.output)):
        if _ports(mine) != _ports(theirs):
            raise GraphFault("outline", "its inputs and outputs are not the model's")
    nodes = {node.name: node for node in plan.node}
    tensors = {name for node in plan.node for name in node.output}.union(value.name for value in plan.input)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    small = {tensor.name: tensor for tensor in plan.initializer}
    for node in graph.node:
        members = _members(node)
        if odd := [name for name in members if name not in nodes]:
            raise GraphFault(node.name, f"it stands for '{odd[0]}', and the outline has no such operator")
        if node.domain != DOMAIN:
            _require_same(node, members, nodes)
            for name in node.input:
                if name in small and name in constants and not _equal(small[name], constants[name]):
                    raise GraphFault(node.name, f"its constant '{name}' is another one in the outline")
    for info in (*graph.input, *graph.value_info, *graph.output):
        tensor = _note(info, TENSOR)
        if tensor and tensor not in tensors:
            raise GraphFault(info.name, f"it stands for the tensor '{tensor}', and the outline has none")


def sound_outline(model: onnx.ModelProto) -> onnx.ModelProto:
    """The outline of a quantised model, with the constants of float operators, which stand in it as they are; raises
    NoOutlineError, and what `require_own_operators` does."""
    outline = outline_of(model)
    require_own_operators(model, outline)
    read = {name for node in model.graph.node if node.domain != DOMAIN for name in node.input}
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name in read}
    return completed(outline, len(model.graph.input), known)


def _ports(values: Iterable[onnx.ValueInfoProto]) -> list[tuple[str, bytes]]:
    return [(one.name, one.type.SerializeToString(deterministic=True)) for one in values]


def _members(node: onnx.NodeProto) -> list[str]:
    """The operators of the float model that it stands for: none at a border."""
    found = _names(node, NODES)
    if bool(found) != bool(_note(node, SITE)):
        raise GraphFault(node.name, f"its notes {NODES} and {SITE} do not agree")
    return found


def _names(holder: onnx.NodeProto | onnx.ValueInfoProto, key: str) -> list[str]:
    """A note that is a list of names; none where there is no such note."""
    try:
        found = json.loads(_note(holder, key, "[]"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise GraphFault(holder.name, f"its note {key} is no list of names")
    return found


def _require_same(node: onnx.NodeProto, members: list[str], nodes: Mapping[str, onnx.NodeProto]) -> None:
    if len(members) != 1:
        raise GraphFault(node.name, "the float operator does not name the one that it is in the float model")
    own = nodes[members[0]]
    if (node.op_type, node.domain, _attributes(node)) != (own.op_type, own.domain, _attributes(own)):
        raise GraphFault(node.name, "the float operator is another one in the outline")


def _attributes(node: onnx.NodeProto) -> list[bytes]:
    return sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute)


def _equal(one: onnx.TensorProto, other: onnx.TensorProto) -> bool:
    a, b = numpy_helper.to_array(one), numpy_helper.to_array(other)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _note(holder: onnx.NodeProto | onnx.ValueInfoProto, key: str, otherwise: str = "") -> str:
    notes: dict[str, str] = {entry.key: entry.value for entry in holder.metadata_props}
    return notes.get(key, otherwise)


def require_records(
    records: Mapping[str, Mapping[str, Record]],
    model: onnx.ModelProto,
    verified: VerifiedGraph,
    outline: onnx.ModelProto,
) -> None:
    """Raise GraphFault where the records are of other operators, or know a tensor on no grid that it is on."""
    nodes = [node.name for node in outline.graph.node]
    if sorted(records) != sorted(nodes):
        odd = min(set(records) ^ set(nodes), default="")
        raise GraphFault(odd, "the records are of another model: they and the model do not have the same operators")
    told: dict[str, set[tuple[object, ...]]] = {}
    for node, tensors in records.items():
        for tensor, record in tensors.items():
            if record.get("hash") != record_hash(node, tensor):
                raise GraphFault(node, f"the record of '{tensor}' is damaged")
            told.setdefault(tensor, set()).add(_grid_in(record))
    for name, tensor, edge in _on_grids(model, verified.edges):
        if (edge.type.name, edge.scale, edge.zero) not in told.get(tensor, set()):
            raise GraphFault(
                name, f"it is {edge.type} in steps of {edge.scale:.9g}, and no record of '{tensor}' says so"
            )


def _grid_in(record: Record) -> tuple[object, ...]:
    found = tuple(record.get(name) for name in ("data_type", "scale", "zero_point"))
    return () if any(isinstance(item, list | dict) for item in found) else found


def _on_grids(model: onnx.ModelProto, edges: Mapping[str, Edge]) -> Iterator[tuple[str, str, Grid]]:
    """(tensor, what it is in the float model, grid) of every tensor of codes that stands for one of the float model."""
    for info in model.graph.value_info:
        edge, tensor = edges.get(info.name), _note(info, TENSOR)
        if tensor and isinstance(edge, Grid):
            yield info.name, tensor, edge
