"""The rows of a precision analysis: every operator of the quantised model, in the float model's names, and what it
writes beside what the float model has there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import onnx

from axbuild.toolchain.precision.error_sums import ErrorSums
from axbuild.toolchain.precision.measured_edges import MeasuredEdge
from axbuild.toolchain.precision.places import Places
from axbuild.toolchain.quant.tensors import shape_in

PER_LAYER, END_TO_END = "PerLayer", "EndToEnd"
FLOAT = "FP32"


@dataclass(frozen=True)
class AnalysedRow:
    """One tensor that an operator hands on. name: of that tensor in the quantised model; reads: names of the rows, or
    of inputs of the model, that it is made of; operator, tensor: in the optimised float model; type: the quantised
    model's function; nodes: the user's. output: whether it is what the model gives.

    sums: on all samples together, None where a value was not finite; step: between two codes, 0 for floats.
    """

    operator: str
    type: str
    name: str
    tensor: str
    shape: tuple[int, ...]
    qdtype: str
    nodes: tuple[str, ...]
    reads: tuple[str, ...]
    output: bool
    sums: ErrorSums | None
    step: float

    @property
    def cosine(self) -> float | None:
        return self.sums.cosine if self.sums else None

    @property
    def max_step(self) -> float | None:
        """The largest error in steps between two codes."""
        return self.sums.largest / self.step if self.sums and self.step else None


def rows_of(model: onnx.ModelProto, places: Places, edges: list[MeasuredEdge], method: str) -> list[AnalysedRow]:
    """In the order of the graph, what the model gives last. model: the quantised one; method: PER_LAYER, END_TO_END."""
    return _Rows(model, places, {edge.name: edge for edge in edges}, method).all()


@dataclass
class _Rows:
    """ends: codes that the model gives as floats -> the output that they become."""

    model: onnx.ModelProto
    places: Places
    edges: Mapping[str, MeasuredEdge]
    method: str
    ends: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.infos = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
        self.writers = {name: node for node in graph.node for name in node.output}
        self.heads: dict[str, onnx.NodeProto] = {}
        self.readers: dict[str, list[str]] = {}
        for node in graph.node:
            self.heads.setdefault(self.places.sites[node.name], node)
            for name in node.input:
                self.readers.setdefault(name, []).append(node.name)
        self.outputs = [info.name for info in graph.output]
        for name in self.outputs:
            writer = self.writers.get(name)
            if writer is not None and not self.places.sites[writer.name] and writer.input[0] in self.edges:
                self.ends[writer.input[0]] = name
        self.shown = {edge.name for edge in self.edges.values() if self._has_own(edge)} | set(self.ends.values())

    def _has_own(self, edge: MeasuredEdge) -> bool:
        """Whether a row of its own shows what an operator hands on; what nobody but the model's user reads is shown
        as the user gets it."""
        if edge.name not in self.places.passed.get(edge.site, ()):
            return False
        end = self.ends.get(edge.name)
        return end is None or edge.name in self.outputs or self.readers[edge.name] != [self.writers[end].name]

    def all(self) -> list[AnalysedRow]:
        own = [self._own(edge) for edge in self.edges.values() if edge.name in self.shown]
        given = [self._given(self.edges[codes], output) for codes, output in self.ends.items()]
        return [*(row for row in own if not row.output), *(row for row in own if row.output), *given]

    def _own(self, edge: MeasuredEdge) -> AnalysedRow:
        kind, given = self.heads[edge.site].op_type, edge.name in self.outputs
        return self._row(edge, edge.site, kind, edge.name, edge.tensor, edge.type, given, self._reads(edge))

    def _given(self, edge: MeasuredEdge, output: str) -> AnalysedRow:
        kind = self.writers[output].op_type
        reads = (edge.name,) if edge.name in self.shown else self._reads(edge)
        return self._row(edge, f"{output}_DequantizeLinear", kind, output, output, FLOAT, True, reads)

    def _row(
        self,
        edge: MeasuredEdge,
        operator: str,
        kind: str,
        name: str,
        tensor: str,
        qdtype: str,
        output: bool,
        reads: tuple[str, ...],
    ) -> AnalysedRow:
        sums = edge.local if self.method == PER_LAYER else edge.accumulated
        shape = shape_in(self.infos[name])
        return AnalysedRow(operator, kind, name, tensor, shape, qdtype, edge.nodes, reads, output, sums, edge.scale)

    def _reads(self, edge: MeasuredEdge) -> tuple[str, ...]:
        """What the operator is made of that has a row, or is an input, through all that has none."""
        read = self.places.reads[edge.site] if edge.site else tuple(self.writers[edge.name].input)
        return tuple(dict.fromkeys(self._shown_behind(read)))

    def _shown_behind(self, names: tuple[str, ...]) -> Iterator[str]:
        waiting, seen = list(reversed(names)), set(names)
        while waiting:
            name = waiting.pop()
            writer = self.writers.get(name)
            if name in self.shown:
                yield name
            elif writer is not None:
                waiting += [one for one in reversed(writer.input) if one not in seen]
                seen.update(writer.input)
            elif name in self.infos:
                yield name
