"""Does every tensor come from one place, and does every node find what it reads? In words that name the nodes."""

from __future__ import annotations

from onnx import GraphProto, ModelProto, NodeProto

from axbuild.errors import AxError, counted
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.nested import all_nodes, graphs_of, reads_of
from axbuild.toolchain.near import nearest


class InvalidModelError(AxError):
    """The file is ONNX, and the graph in it is not valid."""

    code = "AX302"


def require_wired(model: LightModel) -> None:
    """Raise InvalidModelError for what is made twice or never; nodes that are only out of order are put in order."""
    graph = model.proto.graph
    if not graph.output:
        raise InvalidModelError("the model has no outputs", hint="name a tensor in `outputs` of the float_model")
    for node in all_nodes(model.proto):
        _require_ends(node)
    makers = _makers(model.proto)
    _require_made(graph, makers)
    ordered = _ordered(graph, makers)
    if ordered != list(graph.node):
        copies = GraphProto(node=ordered)
        del graph.node[:]
        graph.node.extend(copies.node)


def _require_ends(node: NodeProto) -> None:
    if not node.output:
        raise InvalidModelError(f"node {shown(node)} has no output", hint="leave the node out")
    for graph in graphs_of(node):
        given, made = len(node.input), len(node.output)
        expected = {"If": (0, made), "Loop": (given, 1 + made)}.get(node.op_type)
        if expected is not None and expected != (len(graph.input), len(graph.output)):
            raise InvalidModelError(
                f"a graph in node {shown(node)} has {counted(len(graph.input), 'input')} and "
                f"{counted(len(graph.output), 'output')}, and needs {expected[0]} and {expected[1]}",
                hint="export the model again",
            )


def shown(node: NodeProto) -> str:
    return f"'{node.name}' ({node.op_type})"


def _makers(model: ModelProto) -> dict[str, str]:
    """Tensor -> what makes it, in words."""
    graph = model.graph
    found: dict[str, str] = {}
    places = [(value.name, "as an input") for value in graph.input]
    places += [(name, f"by node {shown(node)}") for node in graph.node for name in node.output if name]
    for name, place in places:
        if name in found:
            raise InvalidModelError(
                f"tensor '{name}' is made twice: {found[name]} and {place}", hint="give one of them another name"
            )
        found[name] = place
    stored = [*graph.initializer, *(tensor.values for tensor in graph.sparse_initializer)]
    return {tensor.name: "a constant" for tensor in stored} | found


def _require_made(graph: GraphProto, makers: dict[str, str]) -> None:
    for node in graph.node:
        for name in reads_of(node):
            if name not in makers:
                raise InvalidModelError(
                    f"node {shown(node)} reads '{name}', which nothing makes", hint=_nearest(name, makers)
                )
    for value in graph.output:
        if value.name not in makers:
            raise InvalidModelError(
                f"output '{value.name}' of the model is made by no node", hint=_nearest(value.name, makers)
            )


def _nearest(name: str, known: dict[str, str]) -> str:
    return nearest(name, known) or "the model is not whole: export it again"


def _ordered(graph: GraphProto, makers: dict[str, str]) -> list[NodeProto]:
    """Every node behind those it reads, otherwise as they stand; InvalidModelError where they go in a circle."""
    of = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = [{of[name] for name in reads_of(node) if name in of} for node in graph.node]
    if all(need < index for index, those in enumerate(needs) for need in those):
        return list(graph.node)
    placed: dict[int, None] = {}
    for first in range(len(needs)):
        way = [first]
        on_way = {first}
        while way:
            missing = next((need for need in sorted(needs[way[-1]]) if need not in placed), None)
            if missing is None:
                placed[way[-1]] = None
                on_way.discard(way.pop())
            elif missing in on_way:
                circle = way[way.index(missing) :]
                names = ", ".join(shown(graph.node[index]) for index in circle[:3])
                more = f" and {len(circle) - 3} more" if len(circle) > 3 else ""
                raise InvalidModelError(
                    f"nodes read each other in a circle: {names}{more}",
                    hint="make one tensor an input and an output",
                )
            else:
                way.append(missing)
                on_way.add(missing)
    return [graph.node[index] for index in placed]
