"""Stage: the reference of a model with subgraphs on the CPU: it follows the partition, and stores every border.

NPU parts are the quantised model's own bodies under onnxruntime, cut out of `placed.onnx`; CPU parts are the files that
the compiled model holds. From the first of these on, the bits are those of one float platform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.cpu import CpuFile
from axbuild.toolchain.axmodel.reference import ReferenceParams, feeds_of, open_session, run
from axbuild.toolchain.axmodel.runners import Sample
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import type_of, type_of_dtype
from axbuild.toolchain.npu.net import net_of, read_model
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.floats import port
from axbuild.toolchain.npu.plan.record import CPU, PLACED, Partition, PlannedSubgraph
from axbuild.toolchain.refused import refused_sample


@dataclass(frozen=True)
class FollowParams(ReferenceParams):
    """layers: whether to look inside the NPU's programs; subgraphs: those on the NPU that are looked at, all where none
    is named."""

    layers: bool = False
    subgraphs: tuple[str, ...] = ()


RunPart = Callable[[Sequence[Array]], Sample]


@dataclass(frozen=True)
class Course:
    """The way through subgraphs, in run order. parts: what each makes of its inputs, by name; named: those on the NPU
    that are looked at, all where none is named."""

    running: tuple[PlannedSubgraph, ...]
    parts: Mapping[str, RunPart]
    named: tuple[str, ...]

    def made(self, values: Sample) -> Sample:
        """What subgraphs make of what they are given, all of it by name."""
        found: Sample = {}
        for subgraph in self.running:
            found |= self.parts[subgraph.name]([(values | found)[tensor] for tensor in subgraph.inputs])
        return found

    def save(self, out: Path, name: str, made: Sample, given: Sample) -> None:
        """Writes boundaries/<name>.npz of what subgraphs make, beside what was given, and outputs/<name>.npz of what
        those make that are looked at, with what is known from inside them."""
        borders = [tensor for subgraph in self.running for tensor in subgraph.outputs]
        looked_at = [one for one in self.running if one.check and (not self.named or one.name in self.named)]
        judged = [tensor for one in looked_at for tensor in (*one.layers.values(), *one.outputs) if tensor in made]
        outputs.save(out / "boundaries", name, given | {tensor: made[tensor] for tensor in borders})
        outputs.save(out / "outputs", name, {tensor: made[tensor] for tensor in judged})


def follow(partition: Path, samples: list[Path], out: Path, *, params: FollowParams) -> None:
    """Writes boundaries/<sample>.npz of every tensor that a subgraph makes, and outputs/... of those that one of
    `subgraphs` makes, in run order: with `layers` also of those inside it, as the NPU holds them."""
    planned = Partition.read(partition)
    placed = read_model(partition / PLACED)
    inside = _inside(planned, placed) if params.layers else {}
    parts = {item.name: _part(item, planned, placed, partition, inside) for item in planned.subgraphs}
    course = Course(planned.subgraphs, parts, params.subgraphs)
    for name, values in feeds_of([tensor.name for tensor in planned.inputs], samples, params):
        with refused_sample(name):
            made = course.made(values)
        course.save(out, name, made, {})


def _inside(planned: Partition, placed: onnx.ModelProto) -> dict[str, BoundaryTensor]:
    """The tensors inside the NPU's programs that have a name in the quantised model."""
    net = net_of(placed)
    writes = {op.output: type_of(op.kind.writes).dtype for op in net.ops}
    return {
        name: BoundaryTensor(name, writes[name], net.tensors[name].shape)
        for subgraph in planned.subgraphs
        for name in subgraph.layers.values()
    }


def _part(
    subgraph: PlannedSubgraph,
    planned: Partition,
    placed: onnx.ModelProto,
    folder: Path,
    inside: Mapping[str, BoundaryTensor],
) -> RunPart:
    """What one subgraph makes of its inputs: tensor -> array."""
    if subgraph.place == CPU:
        return on_cpu(subgraph, planned, folder)
    inputs, outs = planned.ports(subgraph)
    layers = [inside[name] for name in subgraph.layers.values() if name in inside]
    session = open_session(bodies(placed, inputs, [*layers, *outs]).SerializeToString())

    def run_bodies(arrays: Sequence[Array]) -> Sample:
        found: Sample = run(session, dict(zip(subgraph.inputs, arrays, strict=True)))
        return found | {tensor.name: tensor.to_npu(found[tensor.name]) for tensor in layers}

    return run_bodies


def on_cpu(subgraph: PlannedSubgraph, planned: Partition, folder: Path) -> RunPart:
    file = CpuFile((folder / subgraph.file).read_bytes(), *planned.ports(subgraph), subgraph.name)
    return lambda arrays: dict(zip(subgraph.outputs, file.run(arrays), strict=True))


def bodies(
    placed: onnx.ModelProto, inputs: Sequence[BoundaryTensor], outs: Sequence[BoundaryTensor]
) -> onnx.ModelProto:
    """The kinds of `placed` between those tensors as a model of their own, starting from the float model's inputs."""
    wanted, nodes = {tensor.name for tensor in outs}, []
    ends = {tensor.name for tensor in inputs}
    for node in reversed(placed.graph.node):
        if wanted.intersection(node.output):
            wanted.update(name for name in node.input if name not in ends)
            nodes.append(node)
    own = {info.name: info for info in placed.graph.input}
    graph = onnx.helper.make_graph(
        nodes[::-1],
        "part",
        [own.get(tensor.name) or _info(tensor) for tensor in inputs],
        [_info(tensor) for tensor in outs],
        initializer=[tensor for tensor in placed.graph.initializer if tensor.name in wanted],
    )
    return onnx.helper.make_model(
        graph, functions=placed.functions, opset_imports=placed.opset_import, ir_version=placed.ir_version
    )


def _info(tensor: BoundaryTensor) -> onnx.ValueInfoProto:
    return port(tensor.name, type_of_dtype(tensor.dtype), tensor.shape)
