"""Everything that does not depend on an input becomes an initialiser; what does nothing, or feeds nothing, goes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants

from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.wiring import InvalidModelError
from axbuild.toolchain.graph import (
    constant_input,
    constant_integers,
    input_of,
    integer,
    integers,
    is_static,
    is_used,
    names_of,
    remember,
    shape_of,
)

MAX_ELEMENTS = 2**28
"""elements of a folded constant; a bigger one stays computed"""

GROWTH = 2**20
"""elements that a folded constant may have more than what it is computed from: Expand, Tile and their like make much
from little"""


def fold(model: ir.Model) -> None:
    """Constant folding, Identity and Dropout removal and dead code, in place; shapes follow.

    Only onnxscript's folding runs, not its rewrites: these rename nodes and would lose what layers are selected by.
    """
    _bypass_all(model.graph)
    _fold_once(model)
    while _split_constants(model.graph):
        _fold_once(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    _bypass_all(model.graph)
    sweep(model)


def _fold_once(model: ir.Model) -> None:
    with door(lambda said: InvalidModelError(f"constants of the model cannot be computed: {said}")):
        fold_constants(
            model,
            # It follows shapes that only folding settles, at the price of a message a node.
            onnx_shape_inference=not all(is_static(value) for node in model.graph for value in node.outputs),
            input_size_limit=MAX_ELEMENTS,
            output_size_limit=MAX_ELEMENTS,
            should_fold=_is_worth_it,
        )


def _split_constants(graph: ir.Graph) -> bool:
    """The parts of constants that are split, which onnxscript leaves, as constants; whether there were any."""
    found = False
    for node in list(graph):
        whole = constant_input(node, 0) if node.op_type == "Split" and not node.domain else None
        if whole is None or not all(is_static(value) and not value.is_graph_output() for value in node.outputs):
            continue
        axis = integer(node, "axis", 0)
        edges = list(itertools.accumulate(shape_of(value)[axis] for value in node.outputs))
        for value, part in zip(node.outputs, np.split(whole, edges[:-1], axis), strict=True):
            constant = ir.Value(name=value.name, const_value=ir.tensor(np.asarray(part, order="C"), name=value.name))
            constant.shape, constant.type = value.shape, value.type
            ir.convenience.replace_all_uses_with(value, constant)
            value.name = None
            graph.register_initializer(constant)
        graph.remove(node, safe=True)
        found = True
    return found


def _is_worth_it(node: ir.Node) -> bool:
    if len(node.outputs) > 1:
        return False
    given = sum(math.prod(value.const_value.shape.numpy()) for value in node.inputs if value and value.const_value)
    for value in node.outputs:
        if value.shape is None or not value.shape.is_static():
            continue
        elements = math.prod(value.shape.numpy())
        if elements > MAX_ELEMENTS or elements > 2 * given + GROWTH:
            return False
    return True


def sweep(model: ir.Model) -> None:
    """Drop nodes, initialisers and optional outputs that nothing reads."""
    common.RemoveUnusedNodesPass()(model)


NEUTRAL = {"Add": (0, (0, 1)), "Div": (1, (0,)), "Mul": (1, (0, 1)), "Sub": (0, (0,))}
"""op_type -> the constant beside which the other operand is the result, and where that one may stand"""


def _bypass_all(graph: ir.Graph) -> None:
    for node in list(graph):
        read = [value for value in node.outputs if is_used(value)]
        source = _handed_on(node, read[0]) if len(read) == 1 and not node.domain else None
        if source is not None:
            _bypass(graph, node, read[0], source)


def _handed_on(node: ir.Node, output: ir.Value) -> ir.Value | None:
    """The input that the output is, element by element."""
    if node.op_type in ("Dropout", "Identity"):
        return input_of(node, 0) if output is node.outputs[0] else None
    source = _operand(node) if node.op_type in NEUTRAL else input_of(node, 0) if _does_nothing(node) else None
    if source is None or not (is_static(source) and is_static(output)) or shape_of(source) != shape_of(output):
        return None
    return source


def _operand(node: ir.Node) -> ir.Value | None:
    """The one beside a constant that changes nothing."""
    number, places = NEUTRAL[node.op_type]
    constants = ((place, constant_input(node, 1 - place)) for place in places)
    return next((node.inputs[at] for at, array in constants if array is not None and (array == number).all()), None)


def _does_nothing(node: ir.Node) -> bool:
    """Whether the elements stay in their order where the shape stays."""
    match node.op_type:
        case "Split" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Expand" | "Tile":
            return True
        case "Pad":
            return not any(constant_integers(node, 1, "pads") or (1,))
        case "Slice":
            return input_of(node, 4) is None or set(constant_integers(node, 4, "steps") or ()) == {1}
        case "Transpose":
            perm = integers(node, "perm", ())
            return bool(perm) and list(perm) == sorted(perm)
    return False


def _bypass(graph: ir.Graph, node: ir.Node, old: ir.Value, source: ir.Value) -> None:
    """Readers of its output `old` take `source` instead, which remembers the names it had; a model's output keeps its
    own."""
    if old.is_graph_output() and (source.producer() is None or source.is_graph_output()):
        return
    names = [*names_of(source), *names_of(old)]
    was_output, name = old.is_graph_output(), old.name
    ir.convenience.replace_all_uses_with(old, source, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    if was_output:
        old.name, source.name = None, name
    remember(source, names)
