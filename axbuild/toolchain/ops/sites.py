"""The float graph as sites, and what of it cannot be quantised."""

from __future__ import annotations

import difflib

import onnx_ir as ir

from axbuild.toolchain.graph import Array, activations_of, shape_of
from axbuild.toolchain.ops.base import Bounds, Finding, Op, Site, UnsupportedError
from axbuild.toolchain.ops.registry import OPS, op_of


def sites(graph: ir.Graph) -> list[Site]:
    """Every node is in exactly one site; sites stand in the order of their heads."""
    found: list[Site] = []
    taken: set[ir.Node] = set()
    for node in graph:
        if node not in taken:
            site = _grown(node)
            taken.update(site.nodes)
            found.append(site)
    return found


def _grown(node: ir.Node) -> Site:
    """The head with every node behind it that its kind can swallow."""
    head = op_of(node)
    site = Site(node)
    while (follower := _only_reader(site.output)) is not None:
        op = op_of(follower)
        if (bounds := op.bounds(follower)) is not None:
            free = bounds == Bounds.FREE
            if not (free or head.clamps) or any(op.refusals(follower)):
                break
            site = Site(node, (*site.swallowed, follower), site.addend, site.bounds.then(bounds))
            continue
        bias = _bias(head, site, op, follower)
        if bias is None:
            break
        total = bias if site.addend is None else site.addend + bias
        site = Site(node, (*site.swallowed, follower), total, site.bounds)
    return site


def _bias(head: Op, site: Site, op: Op, follower: ir.Node) -> Array | None:
    """The follower's constant as bias of the head, while nothing has clamped the sum yet."""
    addend = op.addend(follower)
    if addend is None or site.bounds != Bounds.FREE:
        return None
    grows = site.output.shape != follower.outputs[0].shape
    return None if grows else head.bias_of(site.node, addend)


def _only_reader(value: ir.Value) -> ir.Node | None:
    """The node that alone reads the tensor; None where there are more, or where users read it too."""
    readers = value.uses()
    if len(readers) != 1 or value.is_graph_output():
        return None
    reader = next(iter(readers)).node
    return reader if activations_of(reader) == (value,) else None


def unsupported(model: ir.Model) -> list[Finding]:
    """Every node, in graph order, that cannot be quantised, each with its reason; empty: the model is fine."""
    graph = model.graph
    unknown = [_unknown(node) for node in graph if node.domain not in ("", "ai.onnx") or node.op_type not in OPS]
    if unknown:
        return unknown
    return [
        *(finding for value in graph.inputs for finding in _not_float(value, "", "Input")),
        *(finding for site in sites(graph) for finding in _findings(site)),
    ]


def _findings(site: Site) -> list[Finding]:
    node = site.node
    if not activations_of(node):
        return [Finding(site.name, node.op_type, "it reads constants only; the front end should have folded it")]
    odd = _not_float(site.output, site.name, node.op_type)
    if not odd and 0 in shape_of(site.output):
        return [Finding(site.name, node.op_type, f"its tensor '{site.output.name}' has no elements")]
    return odd or list(op_of(node).refusals(node))


def _not_float(value: ir.Value, node: str, op_type: str) -> list[Finding]:
    if isinstance(value.type, ir.TensorType) and value.dtype == ir.DataType.FLOAT:
        return []
    kind = value.dtype if isinstance(value.type, ir.TensorType) else "no tensor"
    return [Finding(node or value.name or "", op_type, f"its tensor '{value.name}' is {kind}, not float32")]


def _unknown(node: ir.Node) -> Finding:
    near = difflib.get_close_matches(node.op_type, OPS, 1)
    guess = f" (did you mean {near[0]}?)" if near and near[0] != node.op_type else ""
    domain = f" of the domain '{node.domain}'" if node.domain not in ("", "ai.onnx") else ""
    sentence = f"the operator {node.op_type}{domain} cannot be quantised{guess}; supported: {', '.join(OPS)}"
    return Finding(node.name or "", node.op_type, sentence)


def require_supported(model: ir.Model) -> None:
    """Raise UnsupportedError with every finding."""
    findings = unsupported(model)
    if findings:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        others = "; ".join(str(finding) for finding in findings[1:6])
        raise UnsupportedError(f"{findings[0]}{more}", hint=f"also {others}" if others else "")
