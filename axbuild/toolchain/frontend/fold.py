"""Everything that does not depend on an input becomes an initialiser; what does nothing, or feeds nothing, goes."""

from __future__ import annotations

import json
import math

import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants

from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.wiring import InvalidModelError
from axbuild.toolchain.graph import ORIGINS, is_static

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
    with door(lambda said: InvalidModelError(f"constants of the model cannot be computed: {said}")):
        fold_constants(
            model,
            # It follows shapes that only folding settles, at the price of a message a node.
            onnx_shape_inference=not all(is_static(value) for node in model.graph for value in node.outputs),
            input_size_limit=MAX_ELEMENTS,
            output_size_limit=MAX_ELEMENTS,
            should_fold=_is_worth_it,
        )
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    _bypass_all(model.graph)
    sweep(model)


def _is_worth_it(node: ir.Node) -> bool:
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


def _bypass_all(graph: ir.Graph) -> None:
    for node in list(graph):
        if node.op_type in ("Dropout", "Identity") and not any(value.uses() for value in node.outputs[1:]):
            _bypass(graph, node)


def _bypass(graph: ir.Graph, node: ir.Node) -> None:
    """Its readers take its input instead, which remembers the names it had; a model's output keeps its own."""
    source, old = node.inputs[0], node.outputs[0]
    if source is None or (old.is_graph_output() and (source.producer() is None or source.is_graph_output())):
        return
    names = [*names_of(source), *names_of(old)]
    was_output, name = old.is_graph_output(), old.name
    ir.convenience.replace_all_uses_with(old, source, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    if was_output:
        old.name, source.name = None, name
    remember(source, names)


def names_of(value: ir.Value) -> list[str]:
    """The names that a tensor has or had in the user's model."""
    stored = value.metadata_props.get(ORIGINS)
    return list(json.loads(stored)) if stored else [value.name or ""]


def remember(value: ir.Value, names: list[str]) -> None:
    """Note the names that a tensor had in the user's model, where they are not just its own."""
    if names != [value.name]:
        value.metadata_props[ORIGINS] = json.dumps(list(dict.fromkeys(names)))
