"""Which grid or element type every tensor is written on, and which each reader takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.kinds.codes import FP32, S16, U16, Edge, ElementType, Grid
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.quant.calibrators import Calibrator, min_max
from axbuild.toolchain.quant.forms import Formed
from axbuild.toolchain.quant.groups import Grouping, Observations, covers, merged
from axbuild.toolchain.quant.heads import integer_op
from axbuild.toolchain.quant.precision import Precision
from axbuild.toolchain.quant.ranges import Range, grid_of
from axbuild.toolchain.quant.scheme import Form
from axbuild.toolchain.quant.tensors import plain_type


@dataclass(frozen=True)
class Edges:
    """reads, writes: fused node (by the name of its head) -> tensor -> edge; owners: as in Scheme.

    instead: owner of a grid -> why its range is not that of the method that was asked for.
    """

    reads: Mapping[str, Mapping[str, Edge]]
    writes: Mapping[str, Mapping[str, Edge]]
    owners: Mapping[str, str]
    instead: Mapping[str, str]


def settle(
    found: Sequence[Formed],
    asked: Mapping[ir.Node, Precision],
    observations: Observations,
    calibrator: Calibrator,
    state: Mapping[str, str],
) -> Edges:
    """The edges of every fused node; state: output of the model -> the input that it is next time.

    A tensor's element type is the widest that its readers ask for, of the group that shares its grid; a narrower
    reader takes it requantised. Where nobody reads codes it is the writer's own.
    """
    return _Settling(found, asked, observations, calibrator, state).run()


class _Settling:
    def __init__(
        self,
        found: Sequence[Formed],
        asked: Mapping[ir.Node, Precision],
        observations: Observations,
        calibrator: Calibrator,
        state: Mapping[str, str],
    ) -> None:
        self.found = found
        self.asked = asked
        self.observations = observations
        self.calibrator = calibrator
        self.integer = [item.fused for item in found if item.form is Form.INTEGER]
        self.forced = self._forced()
        self.pinned = {
            value.name or "": fused for fused in self.integer for value in fused.outputs if self._is_pinned(fused)
        }
        fixed = {name: grid for name in self.pinned if (grid := self._fixed(name, U16)) is not None}
        grouping = Grouping(self.integer, observations, fixed, self.forced)
        self.groups = grouping.run(state)
        self.members = self.groups.members()
        self.asking = self._places(self._asks)
        self.making = self._places(self._makes)
        self.types = {root: self._type(members) for root, members in self.members.items()}
        self.grids: dict[tuple[str, ElementType], Grid] = {}
        self.instead: dict[str, str] = {}

    def run(self) -> Edges:
        reads = {item.fused.name: self._reads(item) for item in self.found}
        writes = {item.fused.name: self._writes(item) for item in self.found}
        owners = {name: self._owner(root) for root, members in self.members.items() for name in members}
        return Edges(reads, writes, owners, self.instead)

    # Types ------------------------------------------------------------------------------------------------------

    def _forced(self) -> dict[str, ElementType]:
        """Outputs that a rule gives an element type of codes of their own."""
        forced = {}
        for fused in self.integer:
            output = self.asked[fused.node].output
            if output is not None and output.coded:
                forced[fused.output.name or ""] = output
        return forced

    @staticmethod
    def _is_pinned(fused: FusedNode) -> bool:
        return integer_op(fused).fixed(fused.node, S16, 1.0) is not None

    def _type(self, members: Iterable[str]) -> ElementType:
        """Of a group's codes: forced by a rule, or the widest wanted, or its writer's own."""
        names = set(members)
        for name in names & self.forced.keys():
            return self.forced[name]
        wanted = [self.asked[fused.node].data for fused in self._at(self.asking, names)]
        written = [self._own(fused) for fused in self._at(self.making, names)]
        candidates = wanted or written or [Precision().data]
        widest = max(kind.bits for kind in candidates)
        return next(kind for kind in (*written, *candidates) if kind in candidates and kind.bits == widest)

    def _at(self, places: Mapping[str, list[int]], names: set[str]) -> list[FusedNode]:
        """The integer nodes at these tensors' places, in the order of the graph."""
        return [self.integer[place] for place in sorted({place for name in names for place in places.get(name, ())})]

    def _own(self, fused: FusedNode) -> ElementType:
        """Of a fused node's output where no reader asks for one: as the rule for the last of its nodes has it."""
        ruled = [self.asked[node] for node in (fused.node, *fused.swallowed) if self.asked[node].asked]
        return ruled[-1].data if ruled else self.asked[fused.node].data

    def _places(self, tensors: Callable[[FusedNode], Iterable[ir.Value]]) -> dict[str, list[int]]:
        """Tensor -> the places, among the integer nodes, of those that have it among these tensors of theirs."""
        places: dict[str, list[int]] = {}
        for place, fused in enumerate(self.integer):
            for value in tensors(fused):
                places.setdefault(value.name or "", []).append(place)
        return places

    def _asks(self, fused: FusedNode) -> Iterable[ir.Value]:
        """The inputs that a fused node asks for codes of a type on: one that only moves takes any."""
        op = integer_op(fused)
        passive = op.only_moves(fused.node) and not self.asked[fused.node].asked
        return () if passive else set(fused.inputs).difference(op.reals(fused.node))

    @staticmethod
    def _makes(fused: FusedNode) -> Iterable[ir.Value]:
        return () if integer_op(fused).only_moves(fused.node) else fused.outputs

    # Edges ------------------------------------------------------------------------------------------------------

    def _reads(self, item: Formed) -> dict[str, Edge]:
        return {value.name or "": self._read(item, value) for value in item.fused.inputs}

    def _read(self, item: Formed, value: ir.Value) -> Edge:
        if item.plain or value.dtype != ir.DataType.FLOAT:
            return plain_type(value)
        fused, name = item.fused, value.name or ""
        op = integer_op(fused)
        if value in op.reals(fused.node):
            return FP32
        if value in (*op.shared(fused.node), *op.joined(fused.node)):  # its input is what its output is
            output = fused.output.name or ""
            return self.grid(output, self.types[self.groups.root(output)])
        return self.grid(name, self.asked[fused.node].data)

    def _writes(self, item: Formed) -> dict[str, Edge]:
        fused = item.fused
        found: dict[str, Edge] = {}
        for value in fused.outputs:
            name = value.name or ""
            if not name:  # an output that is left out
                continue
            if item.plain or value.dtype != ir.DataType.FLOAT:
                found[name] = plain_type(value)
            elif self.asked[fused.node].output is FP32:
                found[name] = FP32
            else:
                found[name] = self.grid(name, self.types[self.groups.root(name)])
        if item.form is Form.INTEGER and fused.table is not None:
            name = fused.accumulated.name or ""
            seen = self.observations.of(name)
            found[name] = grid_of(Range(seen.minimum, seen.maximum), S16)
        return found

    def grid(self, name: str, kind: ElementType) -> Grid:
        """The grid of a tensor's group in codes of that type."""
        root = self.groups.root(name)
        if (root, kind) not in self.grids:
            self.grids[root, kind] = self._grid(root, kind)
        return self.grids[root, kind]

    def _grid(self, root: str, kind: ElementType) -> Grid:
        members = self.members[root]
        for member in members:
            fixed = self._fixed(member, kind) if member in self.pinned else None
            if fixed is not None:
                return fixed
        # What the model gives is not clipped: it is the answer, and often too few values to tell an outlier by.
        calibrator = min_max if any(map(self.observations.given, members)) else self.calibrator
        chosen = calibrator(merged(self.observations.of(member) for member in members), kind)
        if chosen.instead:
            self.instead[self._owner(root)] = chosen.instead
        measured = chosen.measured
        for member in members:
            for real in covers(self.observations.producers.get(member)):
                measured = measured.union(Range(real, real))
        return grid_of(measured, kind)

    def _fixed(self, name: str, kind: ElementType) -> Grid | None:
        """The grid of a pinned tensor in codes of that type."""
        fused = self.pinned[name]
        return integer_op(fused).fixed(fused.node, kind, self.observations.extent(name).hi)

    def _owner(self, root: str) -> str:
        return next((name for name in self.members[root] if name in self.pinned), self.members[root][0])
