"""What stands between the model's outputs and the run-time ones: another order of axes, and codes left as they are.

An output keeps its name. Codes are permuted before they become float32, which moves a quarter of the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from axbuild.toolchain.by_name import DEFAULT, said_of
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.codes import U8, Edge, Grid, type_of
from axbuild.toolchain.kinds.mover import Reshape, Transpose
from axbuild.toolchain.near import did_you_mean
from axbuild.toolchain.npu.plan.prelude import InsertedOp
from axbuild.toolchain.npu.plan.preprocess import ProcessorError
from axbuild.toolchain.npu.plan.quantised import PlanGraph, PlanNode


@dataclass(frozen=True)
class OutputProcessor:
    """tensor_name: an output, "DEFAULT" for every one without an entry of its own; dst_perm: the order of its axes, ()
    for the model's; output_dtype: "FP32", or "U8" for the codes themselves."""

    tensor_name: str
    dst_perm: tuple[int, ...] = ()
    output_dtype: str = "FP32"

    def permuted(self, shape: Shape) -> Shape:
        return tuple(shape[axis] for axis in self.dst_perm) if self.dst_perm else shape


def processors_of(outputs: Mapping[str, Shape], processors: Sequence[OutputProcessor]) -> dict[str, OutputProcessor]:
    """Output -> its processor, where it has one that does anything; raises ProcessorError where one fits none."""
    own = {one.tensor_name: one for one in processors}
    for name in own:
        if name not in (DEFAULT, *outputs):
            raise ProcessorError(
                f"An output processor is for '{name}', which is no output of the model.",
                hint=did_you_mean(name, outputs) or f"outputs: {', '.join(outputs)}",
            )
    if DEFAULT in own and outputs.keys() <= own.keys():
        raise ProcessorError('The output processor "DEFAULT" has no effect: every output has its own.')
    found = {name: one for name in outputs if (one := said_of(name, own))}
    for name, processor in found.items():
        _check(name, outputs[name], processor)
    return {name: one for name, one in found.items() if one.dst_perm or one.output_dtype != "FP32"}


def _check(name: str, shape: Shape, processor: OutputProcessor) -> None:
    perm = processor.dst_perm
    if perm and sorted(perm) != list(range(len(shape))):
        raise ProcessorError(
            f"Output '{name}': dst_perm {list(perm)} is no order of the axes of {list(shape)}, 0 to {len(shape) - 1}."
        )


def with_outputs(
    graph: PlanGraph, processors: Sequence[OutputProcessor]
) -> tuple[PlanGraph, dict[str, tuple[InsertedOp, ...]]]:
    """The graph with processors behind its outputs, and what then stands behind each; raises ProcessorError."""
    found = processors_of({name: graph.shapes[name] for name in graph.outputs}, processors)
    told = {name: tuple(_behind(graph, name, found.get(name) or OutputProcessor(name))) for name in graph.outputs}
    for name, processor in found.items():
        graph = _processed(graph, name, processor)
    return graph, told


def _behind(graph: PlanGraph, name: str, processor: OutputProcessor) -> Iterator[InsertedOp]:
    """What makes an output of what the model computes."""
    codes = _codes(graph.writers().get(name))
    grid, shape = graph.edges[codes or name], graph.shapes[codes or name]
    kind = type_of(grid).name
    if processor.dst_perm:
        perm = {"perm": list(processor.dst_perm)}
        yield InsertedOp("post_transpose_1", "AxTranspose", perm, kind, shape, "transpose")
    if isinstance(grid, Grid) and codes and processor.output_dtype == "FP32":
        about = {"scale": grid.scale, "zero_point": grid.zero, "output_dtype": "FP32"}
        shape = processor.permuted(shape)
        yield InsertedOp("post_dequant_1", "AxDequantizeLinear", about, kind, shape, "dequantise")


def _codes(maker: PlanNode | None) -> str:
    """The codes that an output's maker turns into float32; "" where it does not."""
    return maker.inputs[0] if maker is not None and maker.leaves else ""


def own_output(name: str) -> str:
    """What the tensor is called that the model itself gives as the output `name`, where a processor stands behind."""
    return f"{name}/own"


def _processed(graph: PlanGraph, name: str, processor: OutputProcessor) -> PlanGraph:
    """One output behind its processor; what the model made is called otherwise from now on."""
    free = graph.names().free
    maker = graph.writers().get(name)
    codes = _codes(maker)
    if processor.output_dtype == "U8":
        _require_codes(name, graph.edges[codes or name])
    own = free(own_output(name))
    graph = _called(graph, name, own)
    source, edge = (codes, graph.edges[codes]) if codes else (own, graph.edges[own])
    shape = processor.permuted(graph.shapes[source])
    perm, kind = processor.dst_perm, type_of(edge)
    mover = Transpose(kind, perm) if perm else Reshape(kind, (-1, *shape[1:]))
    if maker is None or not codes or processor.output_dtype == "U8":
        added, edges = [PlanNode(free(f"{name}/moved"), mover, (source,), (name,))], {name: edge}
    else:
        moved = free(f"{name}/permuted")
        border = replace(maker, name=free(f"{name}/real"), inputs=(moved,), outputs=(name,))
        added = [PlanNode(free(f"{name}/moved"), mover, (source,), (moved,)), border]
        edges = {moved: edge, name: graph.edges[own]}
    floats = graph.floats | {made: graph.floats.get(own, own) for made in edges}
    whole = replace(graph, edges=graph.edges | edges, shapes=graph.shapes | dict.fromkeys(edges, shape), floats=floats)
    return whole.with_nodes([*graph.nodes, *added])


def _require_codes(name: str, edge: Edge) -> None:
    if not isinstance(edge, Grid) or edge.type != U8:
        kind = edge.type if isinstance(edge, Grid) else edge
        raise ProcessorError(
            f"Output '{name}': output_dtype U8 keeps the codes of an output, and this one is made as {kind}.",
            hint="leave output_dtype out, or give the operator that makes it data_type U8 in layer_configs",
        )


def _called(graph: PlanGraph, name: str, own: str) -> PlanGraph:
    """The graph with another name for a tensor that stays inside."""
    nodes = [_renamed(node, name, own) for node in graph.nodes]
    return replace(
        graph,
        nodes=tuple(nodes),
        edges=graph.edges | {own: graph.edges[name]},
        shapes=graph.shapes | {own: graph.shapes[name]},
        floats=graph.floats | {own: graph.floats.get(name, name)},
    )


def _renamed(node: PlanNode, name: str, own: str) -> PlanNode:
    def called(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(own if one == name else one for one in names)

    return replace(node, inputs=called(node.inputs), outputs=called(node.outputs))
