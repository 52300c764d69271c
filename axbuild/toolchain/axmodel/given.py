"""Stage: the reference of a compiled model, or of one part of it, on data in the form that this takes in.

Every subgraph runs from its own file in the partition: one on the NPU is the kinds' own bodies under onnxruntime, its
pre-processing among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from axbuild.progress import tell
from axbuild.toolchain.axmodel.feed import Feed, files_in
from axbuild.toolchain.axmodel.follow import Course, RunPart, on_cpu
from axbuild.toolchain.axmodel.reference import open_session, run
from axbuild.toolchain.axmodel.runners import Sample
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import type_of, type_of_dtype
from axbuild.toolchain.npu.net import net_of, read_model
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.floats import port
from axbuild.toolchain.npu.plan.record import CPU, Partition, PlannedSubgraph
from axbuild.toolchain.refused import refused_sample


@dataclass(frozen=True)
class GivenParams:
    """start: the sub_config whose inputs the data is for, None for the model's; layers, subgraphs: as in
    FollowParams."""

    start: int | None = None
    layers: bool = False
    subgraphs: tuple[str, ...] = ()


def given(partition: Path, data: Path, out: Path, *, params: GivenParams) -> None:
    """data: a folder as `files_in` reads it. Writes what `follow` does, the inputs among the boundaries.

    Raises SessionError or BadArrayError where a file does not fit its input.
    """
    planned = Partition.read(partition)
    running = planned.subgraphs if params.start is None else planned.of([params.start])
    starts = list(planned.inputs) if params.start is None else planned.ports(running[0])[0]
    parts = {one.name: _part(one, planned, partition, layers=params.layers) for one in running}
    course = Course(running, parts, params.subgraphs)
    feed = Feed(files_in(data, starts))
    for place, (name, values) in enumerate(feed):
        tell("sample", place + 1, feed.count)
        with refused_sample(name):
            made = course.made(values)
        course.save(out, name, made, values)


def _part(subgraph: PlannedSubgraph, planned: Partition, folder: Path, *, layers: bool) -> RunPart:
    """What one subgraph makes of its inputs: tensor -> array."""
    if subgraph.place == CPU:
        return on_cpu(subgraph, planned, folder)
    model = read_model(folder / subgraph.file)
    ports = [info.name for info in model.graph.input]
    names = {info.name: name for info, name in zip(model.graph.output, subgraph.outputs, strict=True)}
    inner = {tensor.name: tensor for tensor in _inner(model)}
    shown = {own: name for own, name in subgraph.layers.items() if layers and own in inner}
    # Those that are no outputs are told too: onnxruntime does not find every shape in the bodies by itself.
    for own, tensor in inner.items():
        side = model.graph.output if own in shown else model.graph.value_info
        side.append(port(own, type_of_dtype(tensor.dtype), tensor.shape))
    session = open_session(model.SerializeToString())

    def run_bodies(arrays: Sequence[Array]) -> Sample:
        found = run(session, dict(zip(ports, arrays, strict=True)))
        made = {name: inner[own].to_npu(found[own]) for own, name in shown.items()}
        return made | {name: found[own] for own, name in names.items()}

    return run_bodies


def _inner(model: onnx.ModelProto) -> Iterator[BoundaryTensor]:
    """What its operators make for each other."""
    net = net_of(model)
    for op in net.ops:
        if op.output not in net.outputs:
            yield BoundaryTensor(op.output, type_of(op.kind.writes).dtype, net.tensors[op.output].shape)
