"""The float model from some tensor on: what an error there does to the outputs.

One session runs the nodes behind a place to the end, fed with what the float model computed before. In it a handful of
tensors may be taken from outside instead of what is computed, one set of them a run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from axbuild.toolchain.graph import Array, Names, model_file
from axbuild.toolchain.precision.outputs import judged
from axbuild.toolchain.precision.side import Side, Tensors

SUFFIXES = 8
"""more of them run fewer nodes in vain, and hold more copies of the last weights"""


@dataclass(frozen=True)
class Stand:
    """What stands for a tensor of a suffix: its input that says whether, and the one with what."""

    asked: str
    instead: str


class Suffix:
    """The model behind the first of these tensors. before: tensors of the float model that it is fed with."""

    def __init__(self, cut: FloatCut, tensors: Iterable[str]) -> None:
        self.outputs = cut.outputs
        model, self.stands, self.before = cut.behind(list(dict.fromkeys(tensors)))
        self.side = Side("float", model.SerializeToString(), "basic", cut.folder)

    def run(self, exact: Tensors, instead: Mapping[str, Array]) -> list[Array]:
        """The outputs with these tensors in place of the exact ones."""
        feed = {name: exact[name] for name in self.before}
        for name, stand in self.stands.items():
            feed[stand.asked] = np.array(name in instead)
            feed[stand.instead] = instead.get(name, exact[name])
        found = self.side.run(self.outputs, feed)
        return [found[name] for name in self.outputs]


class FloatCut:
    """A float model, to be cut at its tensors."""

    def __init__(self, model: Path) -> None:
        file = model_file(model)
        self.folder = file.parent
        self.proto = onnx.load(file, load_external_data=False)
        graph = self.proto.graph
        self.infos = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = judged(graph)
        self.places = {info.name: -1 for info in graph.input}
        self.places |= {name: place for place, node in enumerate(graph.node) for name in node.output}

    def suffixes(self, groups: Mapping[str, Sequence[str]]) -> list[tuple[Suffix, list[str]]]:
        """For all groups of tensors at most SUFFIXES sessions, each with the groups that it serves."""
        ordered = sorted(groups, key=lambda key: min(self.places[name] for name in groups[key]))
        size = -(-len(ordered) // SUFFIXES) or 1
        parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        return [(Suffix(self, itertools.chain(*(groups[key] for key in part))), part) for part in parts]

    def behind(self, tensors: list[str]) -> tuple[onnx.ModelProto, dict[str, Stand], tuple[str, ...]]:
        """The model behind the first of the tensors, each of which may be replaced; what stands for each; the tensors
        that must be fed."""
        names = Names([*self.infos, *self.constants, *(node.name for node in self.proto.graph.node)])
        first = min(self.places[name] for name in tensors)
        nodes = _needed(self.proto.graph.node[first + 1 :], self.outputs)
        stands = {name: Stand(names.free(f"{name}/asked"), names.free(f"{name}/instead")) for name in tensors}
        made = {name for node in nodes for name in node.output}
        # What is computed gets another name, so that everything behind reads the choice under the tensor's own; what is
        # fed keeps its name, and the choice gets another.
        computed = {name: names.free(f"{name}/computed") if name in made else name for name in tensors}
        chosen = {name: name if name in made else names.free(f"{name}/chosen") for name in tensors}
        choices = {name: _choice(computed[name], stands[name], chosen[name]) for name in tensors}
        placed = [choice for name, choice in choices.items() if name not in made]
        for node in nodes:
            placed.append(_renamed(node, chosen, computed))
            placed += [choices[name] for name in node.output if name in choices]
        written = {name for node in placed for name in node.output}
        own = {name for stand in stands.values() for name in (stand.asked, stand.instead)}
        read = {name for node in placed for name in _reads(node)}
        before = tuple(sorted(read - written - own - self.constants.keys()))
        return self._model(placed, before, stands, read), stands, before

    def _model(
        self, nodes: list[onnx.NodeProto], before: tuple[str, ...], stands: Mapping[str, Stand], read: set[str]
    ) -> onnx.ModelProto:
        inputs = [self.infos[name] for name in before]
        for name, stand in stands.items():
            instead = helper.make_tensor_value_info(stand.instead, TensorProto.FLOAT, None)
            instead.type.tensor_type.shape.CopyFrom(self.infos[name].type.tensor_type.shape)
            inputs += [helper.make_tensor_value_info(stand.asked, TensorProto.BOOL, []), instead]
        outputs = [self.infos[name] for name in self.outputs]
        kept = [tensor for name, tensor in self.constants.items() if name in read]
        model = helper.make_model(
            helper.make_graph(nodes, "suffix", inputs, outputs, kept),
            opset_imports=self.proto.opset_import,
            functions=self.proto.functions,
        )
        model.ir_version = self.proto.ir_version
        return model


def _needed(nodes: Sequence[onnx.NodeProto], outputs: list[str]) -> list[onnx.NodeProto]:
    """Those that the outputs hang on."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(_reads(node))
            kept.append(node)
    return kept[::-1]


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Its inputs, and whatever graphs inside it read: some of that may be theirs alone."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            yield from _free(graph)


def _free(graph: onnx.GraphProto) -> set[str]:
    own = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    return {name for node in graph.node for name in _reads(node)} - own


def _choice(computed: str, stand: Stand, chosen: str) -> onnx.NodeProto:
    return helper.make_node("Where", [stand.asked, stand.instead, computed], [chosen], name=f"{stand.asked}/choice")


def _renamed(node: onnx.NodeProto, reads: Mapping[str, str], writes: Mapping[str, str]) -> onnx.NodeProto:
    own = onnx.NodeProto()
    own.CopyFrom(node)
    own.input[:] = [reads.get(name, name) for name in node.input]
    own.output[:] = [writes.get(name, name) for name in node.output]
    return own
