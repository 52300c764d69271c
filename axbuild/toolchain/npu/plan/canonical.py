"""An NPU subgraph as the file that is compiled: kinds under canonical names, its inputs behind their pre-processing.

Operators are called `op_<i>:<op type>`, tensors `t<i>`, ports `input_<i>` and `output_<i>`, so that what is renamed in
the model changes no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import Grid, type_of
from axbuild.toolchain.kinds.registry import Written, model_of, write_node
from axbuild.toolchain.npu.plan.floats import port
from axbuild.toolchain.npu.plan.prelude import InsertedOp, Prelude
from axbuild.toolchain.npu.plan.preprocess import RuntimeInput
from axbuild.toolchain.npu.plan.quantised import PlanGraph, PlanNode
from axbuild.toolchain.npu.plan.stages import SubgraphCut


def canonical_model(
    graph: PlanGraph, cut: SubgraphCut, sources: Mapping[str, RuntimeInput]
) -> tuple[onnx.ModelProto, dict[str, str], dict[str, tuple[InsertedOp, ...]]]:
    """The model of one subgraph, what its inner tensors are called in the graph, and what stands behind each of the
    model's inputs that it reads; sources: of the model's inputs."""
    canonical = _Canonical(graph, cut, sources)
    model = canonical.model()
    borders = {*cut.inputs, *cut.outputs}
    layers = {own: name for name, own in canonical.names.items() if name not in borders}
    return model, layers, canonical.inserted


@dataclass
class _Canonical:
    graph: PlanGraph
    cut: SubgraphCut
    sources: Mapping[str, RuntimeInput]
    written: list[Written] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """tensor of the graph -> its canonical name, where it has been made"""
    inserted: dict[str, tuple[InsertedOp, ...]] = field(default_factory=dict)
    """input of the model -> what was first written behind it"""

    def model(self) -> onnx.ModelProto:
        ports = {name: f"input_{i}" for i, name in enumerate(self.cut.inputs)}
        targets = {name: f"output_{i}" for i, name in enumerate(self.cut.outputs)}
        self.names = {name: own for name, own in ports.items() if name not in self.sources}
        for node in self.cut.nodes:
            self._node(node, ports, targets.get(node.outputs[0]))
        inputs = [self._input(name, own) for name, own in ports.items()]
        outputs = [port(own, type_of(self.graph.edges[n]), self.graph.shapes[n]) for n, own in targets.items()]
        return model_of(self.written, inputs, outputs, "subgraph")

    def _input(self, name: str, own: str) -> onnx.ValueInfoProto:
        if name in self.sources:
            return port(own, self.sources[name].type, self.sources[name].source_shape)
        return port(own, type_of(self.graph.edges[name]), self.graph.shapes[name])

    def _node(self, node: PlanNode, ports: Mapping[str, str], target: str | None) -> None:
        kind = node.kind
        assert kind is not None
        if node.enters and (first := node.inputs[0]) in self.sources and isinstance(kind.writes, Grid):
            codes = self.sources[first].codes(kind.writes)
            if codes:
                self.names[node.outputs[0]] = self._chain(codes, first, ports[first], target)
                return
        for name in node.inputs:
            if name not in self.names:
                self.names[name] = self._chain(self.sources[name].reals(), name, ports[name])
        self.names[node.outputs[0]] = self._add(kind, [self.names[name] for name in node.inputs], target)

    def _chain(self, steps: Prelude, name: str, source: str, target: str | None = None) -> str:
        self.inserted.setdefault(name, tuple(steps.told))
        made = [source]
        for kind, reads in steps.taken:
            is_last = len(made) == len(steps.taken)
            made.append(self._add(kind, [made[place] for place in reads], target if is_last else None))
        return made[-1]

    def _add(self, kind: Kind, inputs: list[str], target: str | None) -> str:
        number = len(self.written)
        output = target or f"t{number}"
        self.written.append(write_node(kind, inputs, [output], f"op_{number}:{kind.op_type}"))
        return output
