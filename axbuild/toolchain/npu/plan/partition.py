"""Stage: a quantised model and its float model -> the subgraphs that one chip runs, on its NPU and on its CPU.

`record.py` says what is written.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from axbuild.errors import AxNote, AxWarning, counted
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.kinds.codes import ElementType, Grid, type_of
from axbuild.toolchain.kinds.mover import Reshape
from axbuild.toolchain.kinds.registry import model_of, write_node
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.lower.packing import Standing
from axbuild.toolchain.npu.net import read_model
from axbuild.toolchain.npu.plan.boundary import FROM_DATA
from axbuild.toolchain.npu.plan.float_form import with_float_form
from axbuild.toolchain.npu.plan.floats import FloatGraph, port
from axbuild.toolchain.npu.plan.flow import planned_flow
from axbuild.toolchain.npu.plan.groups import OpPattern, PatternMatch, PatternSearch, sites_of
from axbuild.toolchain.npu.plan.inserted import PROCESSING, write_processing
from axbuild.toolchain.npu.plan.placement import Judgement, judge
from axbuild.toolchain.npu.plan.postprocess import OutputProcessor, with_outputs
from axbuild.toolchain.npu.plan.preprocess import RuntimeInput, sources_of
from axbuild.toolchain.npu.plan.quantised import PlanError, PlanGraph, PlanNode, ordered, read_graph
from axbuild.toolchain.npu.plan.record import NPU, PLACED, Partition
from axbuild.toolchain.npu.plan.stages import SubgraphCut, cuts_of
from axbuild.toolchain.npu.plan.sub_configs import SubConfig, parts_of
from axbuild.toolchain.npu.plan.subgraphs import SubgraphWriter


@dataclass(frozen=True)
class PartitionParams:
    """disable_ir_fix: a Reshape whose shape begins with a number has one batch; sub_disable_ir_fix: of each sub_config,
    none where all are as the model's; group_patterns, sub_group_patterns: of operators that run as one chain, in the
    same way."""

    chip: Support
    input_processors: tuple[InputProcessor, ...]
    output_processors: tuple[OutputProcessor, ...] = ()
    disable_ir_fix: bool = False
    sub_configs: tuple[SubConfig, ...] = ()
    sub_disable_ir_fix: tuple[bool, ...] = ()
    group_patterns: tuple[OpPattern, ...] = ()
    sub_group_patterns: tuple[tuple[OpPattern, ...], ...] = ()

    def as_written(self, sub_config: int | None) -> bool:
        own = self.sub_disable_ir_fix
        return self.disable_ir_fix if sub_config is None or not own else own[sub_config]


def partition(model: Path, float_model: Path, out: Path, *, params: PartitionParams) -> None:
    """model: quant_axmodel.onnx; float_model: the front end's folder. Writes the folder partition/ and
    processing.json.

    Warns of what runs on the CPU. Raises ProcessorError where an input's processor does not fit it, SubConfigError
    where a sub_config names no part that can stand alone, PlanError where a tensor whose size depends on data would
    feed the NPU, or nothing runs there.
    """
    floats = FloatGraph(float_model)
    graph = read_graph(read_model(model))
    judgements = judged(graph, floats, params.chip)
    graph = with_float_form(graph, floats, [site for site, found in judgements.items() if not found.on_npu])
    sources = {source.name: source for source in sources_of(_inputs(graph), params.input_processors)}
    graph, behind = with_outputs(_behind_sources(graph, sources), params.output_processors)
    require_sizes(graph)
    folder = out / "partition"
    folder.mkdir()
    writer = SubgraphWriter(graph, floats, sources, judgements, folder)
    parts = parts_of(planned_flow(graph, floats, judgements), params.sub_configs) if params.sub_configs else ()
    cuts = cuts_of(graph, parts)
    matches = _matches(params, graph, floats, cuts)
    for cut in cuts:
        writer.take(cut, matches.get(id(cut), ()), as_written=params.as_written(cut.sub_config))
    done = Partition(params.chip.name, *writer.borders(), writer.subgraphs, writer.single())
    _save(placed_model(graph), folder / PLACED)
    done.write(folder)
    write_processing(done, writer.inserted, behind, out / PROCESSING)
    _tell(done, graph, floats)


def _matches(
    params: PartitionParams, graph: PlanGraph, floats: FloatGraph, cuts: Sequence[SubgraphCut]
) -> dict[int, list[PatternMatch]]:
    """By the identity of the cut that they lie in; warns of what matches nothing, or lies in several."""
    own = {number: one for number, one in enumerate(params.sub_group_patterns) if one != params.group_patterns}
    told: list[AxWarning] = []
    found: dict[int, list[PatternMatch]] = {}
    members = sites_of(graph)
    place_of = {node.site: cut for cut in cuts for node in cut.nodes if node.site}
    for part, patterns in ((None, params.group_patterns), *own.items()):
        lead = "" if part is None else f"sub_configs[{part}]."
        asked = {
            op: site
            for op, site in members.items()
            if site in place_of and (place_of[site].sub_config if place_of[site].sub_config in own else None) == part
        }
        for match in PatternSearch(floats, asked, lead).found(patterns, told):
            around = {id(place_of[site]): place_of[site] for site in match.sites}
            if len(around) > 1 or any(cut.place != NPU for cut in around.values()):
                told.append(match.across())
            else:
                found.setdefault(next(iter(around)), []).append(match)
    for warning in told:
        warnings.warn(warning, stacklevel=2)
    return found


def judged(graph: PlanGraph, floats: FloatGraph, chip: Support) -> dict[str, Judgement]:
    """Fused node -> where it runs."""
    return {
        site: judge(floats.nodes(nodes[0].members), chip, nodes[0].reason, _standing(graph, nodes))
        for site, nodes in graph.sites().items()
    }


def _standing(graph: PlanGraph, nodes: Iterable[PlanNode]) -> Iterator[Standing]:
    """The kinds of a fused node with the shapes around them."""
    for node in nodes:
        if node.kind is not None:
            shapes = tuple(graph.shapes[name] for name in node.inputs)
            yield Standing(node.kind, shapes, graph.shapes[node.outputs[0]])


def _inputs(graph: PlanGraph) -> dict[str, tuple[ElementType, tuple[int, ...]]]:
    return {name: (type_of(graph.edges[name]), graph.shapes[name]) for name in graph.inputs}


def _behind_sources(graph: PlanGraph, sources: dict[str, RuntimeInput]) -> PlanGraph:
    """Readers on the CPU get an input that has pre-processing from the NPU, which does that: behind a Reshape of it
    to its own shape, so that it has an operator there."""
    processed = [name for name in graph.inputs if sources[name].reals().taken]
    read = {name for node in graph.nodes if node.kind is None for name in node.reads}
    taken = graph.names()
    names = {name: taken.free(f"{name}/prepared") for name in processed if name in read}
    if not names:
        return graph
    borders = [
        PlanNode(own, Reshape(type_of(graph.edges[name]), (-1, *graph.shapes[name][1:])), (name,), (own,))
        for name, own in names.items()
    ]
    nodes = [
        replace(node, inputs=tuple(names.get(name, name) for name in node.inputs)) if node.kind is None else node
        for node in graph.nodes
    ]
    return replace(
        graph,
        nodes=tuple(ordered([*borders, *nodes], graph.inputs)),
        edges=graph.edges | {own: graph.edges[name] for name, own in names.items()},
        shapes=graph.shapes | {own: graph.shapes[name] for name, own in names.items()},
        floats=graph.floats | {own: graph.floats.get(name, name) for name, own in names.items()},
    )


def require_sizes(graph: PlanGraph) -> None:
    """Raises PlanError where the NPU would read a tensor whose size depends on data."""
    writers = graph.writers()
    for node in graph.nodes:
        for name in node.reads if node.kind is not None else ():
            if FROM_DATA in graph.shapes[name]:
                raise PlanError(
                    f"The size of '{name}', which '{writers[name].name}' makes, depends on data, and '{node.name}' "
                    "on the NPU reads it.",
                    hint="a tensor of such a size may only be an output of the model, or stay on the CPU",
                )


def placed_model(graph: PlanGraph) -> onnx.ModelProto:
    """The kinds of a placed graph as a model of their own; what the CPU makes is an input, what it reads an output."""
    kinds = [node for node in graph.nodes if node.kind is not None]
    made = {node.outputs[0] for node in kinds}
    read = dict.fromkeys(name for node in kinds for name in node.reads if name not in made)
    elsewhere = {name for node in graph.nodes if node.kind is None for name in node.reads}.union(graph.outputs)
    inputs, outputs = (
        [port(name, type_of(graph.edges[name]), graph.shapes[name]) for name in names]
        for names in (read, [name for node in kinds for name in node.outputs if name in elsewhere])
    )
    free = graph.names().free
    written = [write_node(node.kind, node.inputs, node.outputs, node.name, free) for node in kinds if node.kind]
    return model_of(written, inputs, outputs, "placed")


def _save(model: onnx.ModelProto, file: Path) -> None:
    file.write_bytes(model.SerializeToString(deterministic=True))


def _tell(done: Partition, graph: PlanGraph, floats: FloatGraph) -> None:
    """What codes at an output mean, and one warning of everything on the CPU; an error where that is everything."""
    for name in graph.outputs:
        if isinstance(grid := graph.edges[name], Grid):
            sentence = f"output '{name}' is {grid.type.name} codes: {grid.scale:.9g} x (code - {grid.zero})"
            warnings.warn(AxNote(sentence), stacklevel=2)
    if not done.on_cpu:
        return
    listed = "; ".join(map(str, done.on_cpu))
    if not done.at(NPU):
        raise PlanError(f"Nothing of the model runs on the NPU of {done.chip}: {listed}")
    count = sum(len(node.members) for node in graph.nodes if node.kind is None)
    sentence = f"{count} of {counted(len(floats.order), 'operator')} on the CPU of {done.chip}: {listed}"
    warnings.warn(AxWarning("AX411", sentence), stacklevel=2)
