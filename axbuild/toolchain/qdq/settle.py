"""The grids of a QDQ model as edges of every fused node: what it says of a tensor, what follows from neighbours, and
float32 where it says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.graph import names_of, origins_of
from axbuild.toolchain.kinds.codes import FP32, Edge, Grid
from axbuild.toolchain.ops.base import FusedNode, computed_reals
from axbuild.toolchain.ops.fused import fused_nodes
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.qdq.given import GivenGrids
from axbuild.toolchain.quant.forms import Formed, formed
from axbuild.toolchain.quant.heads import integer_op
from axbuild.toolchain.quant.precision import Precision
from axbuild.toolchain.quant.tensors import plain_type

IN_FLOAT32 = Precision(data=FP32, asked=True)


EdgesOf = Mapping[str, Mapping[str, Edge]]
NONE: EdgesOf = {}


@dataclass(frozen=True)
class Settlement:
    """found: every fused node in order; reads, writes: fused node (by the name of its head) -> tensor -> edge; owners:
    as in Scheme."""

    found: Sequence[Formed]
    reads: EdgesOf
    writes: EdgesOf
    owners: Mapping[str, str]


def settled(graph: ir.Graph, given: GivenGrids) -> Settlement:
    """What has no grids is float32."""
    grids = KnownGrids(graph, given)
    return settlement(formed(graph, _asked(graph, grids), grids.apart), grids)


def settlement(found: Sequence[Formed], grids: KnownGrids, reads: EdgesOf = NONE, writes: EdgesOf = NONE) -> Settlement:
    """reads, writes: what a tensor without grids is read and written as; float32 where these do not say it."""
    written = {item.fused.name: _writes(item, grids, writes.get(item.fused.name, {})) for item in found}
    read = {
        item.fused.name: {
            value.name or "": _read(item, value, grids, written, reads.get(item.fused.name, {}))
            for value in item.fused.inputs
        }
        for item in found
    }
    return Settlement(found, read, written, grids.owners)


class KnownGrids:
    """known: tensor -> the grid on which it is read where a reader has no other; owners: tensor -> where it is from."""

    def __init__(self, graph: ir.Graph, given: GivenGrids) -> None:
        self.given = given
        self.known: dict[str, Grid] = {}
        self.owners: dict[str, str] = {}
        values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
        for value in values:
            name = next((name for name in names_of(value) if name in given.writes), None)
            if name is not None and value.dtype == ir.DataType.FLOAT:
                self._know(value, given.writes[name], value.name or "")
        nodes = [node for node in graph if _shared(node)]
        for node in nodes:
            self._forward(node)
        for node in reversed(nodes):
            self._backward(node)

    def _know(self, value: ir.Value, grid: Grid, owner: str) -> None:
        self.known[value.name or ""] = grid
        self.owners[value.name or ""] = owner

    def _forward(self, node: ir.Node) -> None:
        """What only moves codes leaves them on their grid."""
        grids = {self.read(value, [node]) for value in _shared(node)}
        grid = grids.pop() if len(grids) == 1 else None
        for value in node.outputs:
            if grid is not None and value.name not in self.known and value.dtype == ir.DataType.FLOAT:
                source = _shared(node)[0].name or ""
                self._know(value, grid, self.owners.get(source, source))

    def _backward(self, node: ir.Node) -> None:
        """What is only moved to where it is quantised may be quantised before."""
        grid = self.known.get(node.outputs[0].name or "")
        for value in _shared(node):
            readers = [use.node for use in value.uses()]
            ends = {
                self.known.get(reader.outputs[0].name or "") if value in _shared(reader) else None for reader in readers
            }
            unread = self.read(value, [node]) is None and not value.is_graph_output()
            if grid is not None and unread and ends == {grid}:
                self._know(value, grid, node.outputs[0].name or "")

    def read(self, value: ir.Value, nodes: Iterable[ir.Node]) -> Grid | None:
        """The grid on which one of the nodes reads a tensor; None where that is a float."""
        own = next((self.given.reads[name] for name in names_of(value) if name in self.given.reads), {})
        readers = (origin for node in nodes for origin in origins_of(node))
        return next((own[reader] for reader in readers if reader in own), self.known.get(value.name or ""))

    def apart(self, head: ir.Node, follower: ir.Node) -> bool:
        """Whether a table reads a tensor that the model has codes of: these, and not finer ones, are what it reads."""
        op = op_of(follower)
        follow = op.follows(follower) if op is not None else None
        read = computed_reals(*follower.inputs)
        return follow is not None and follow.function is not None and any(value.name in self.known for value in read)


def _shared(node: ir.Node) -> tuple[ir.Value, ...]:
    """Inputs that a node hands on as they are."""
    op = op_of(node)
    moved = () if op is None else (*op.shared(node), *op.joined(node))
    return tuple(value for value in computed_reals(*node.inputs) if value in moved)


# How each computes ------------------------------------------------------------------------------------------------


def _asked(graph: ir.Graph, grids: KnownGrids) -> dict[ir.Node, Precision]:
    """On codes where all that a fused node reads has grids, to float32 where a sum has none; else in float32."""
    asked = {node: Precision() for node in graph}
    for fused in fused_nodes(graph, grids.apart):
        asked.update(_precisions(fused, grids))
    return asked


def _precisions(fused: FusedNode, grids: KnownGrids) -> Mapping[ir.Node, Precision]:
    op = op_of(fused.node)
    if op is None:
        return {}
    read = [value for value in computed_reals(*fused.inputs) if value not in op.reals(fused.node)]
    # What a table reads between the two has no grid here, and no values were observed to make one of.
    written = [value for value in fused.outputs if value.dtype == ir.DataType.FLOAT and _is_used(value)]
    if any(grids.read(value, fused.nodes) is None for value in read):
        return dict.fromkeys(fused.nodes, IN_FLOAT32)
    if fused.table is not None or any((value.name or "") not in grids.known for value in written):
        if not op.accumulates:
            return dict.fromkeys(fused.nodes, IN_FLOAT32)
        return dict.fromkeys(fused.nodes, IN_FLOAT32) | {fused.node: Precision(output=FP32, asked=True)}
    return {}


def _is_used(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


# Edges --------------------------------------------------------------------------------------------------------------


def _read(
    item: Formed,
    value: ir.Value,
    grids: KnownGrids,
    writes: EdgesOf,
    others: Mapping[str, Edge],
) -> Edge:
    fused, name = item.fused, value.name or ""
    if item.plain or value.dtype != ir.DataType.FLOAT:
        return plain_type(value)
    op = integer_op(fused)
    if value in op.reals(fused.node):
        return FP32
    if value in (*op.shared(fused.node), *op.joined(fused.node)):  # its input is what its output is
        return writes[fused.name][fused.output.name or ""]
    return grids.read(value, fused.nodes) or others.get(name, FP32)


def _writes(item: Formed, grids: KnownGrids, others: Mapping[str, Edge]) -> dict[str, Edge]:
    fused = item.fused
    found: dict[str, Edge] = dict(others)  # among them what a table reads inside the node
    for value in fused.outputs:
        name = value.name or ""
        if name and (item.plain or value.dtype != ir.DataType.FLOAT):
            found[name] = plain_type(value)
        elif name:
            found[name] = _written(fused, value, grids) or others.get(name, FP32)
    return found


def _written(fused: FusedNode, value: ir.Value, grids: KnownGrids) -> Edge | None:
    """The tensor's grid, or the one that the arithmetic sets: readers then take it requantised."""
    op = integer_op(fused)
    first = fused.outputs[0] if op.shared(fused.node) else value  # what is moved has one grid
    grid = grids.known.get(first.name or "")
    return None if grid is None else op.fixed(fused.node, grid.type, max(_ends(grid))) or grid


def _ends(grid: Grid) -> tuple[float, float]:
    return grid.real(grid.type.lo), grid.real(grid.type.hi)
