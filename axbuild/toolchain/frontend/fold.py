"""Everything that does not depend on an input becomes an initialiser; what does nothing, or feeds nothing, goes."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants

MAX_ELEMENTS = 2**28
"""elements of a folded constant; a bigger one stays computed"""


def fold(model: ir.Model) -> None:
    """Constant folding, Identity and Dropout removal and dead code, in place.

    Only onnxscript's folding runs, not its rewrites: these rename nodes and would lose what layers are selected by.
    """
    outputs = [value.name for value in model.graph.outputs]
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    fold_constants(
        model,
        onnx_shape_inference=True,
        input_size_limit=MAX_ELEMENTS,
        output_size_limit=MAX_ELEMENTS,
        should_fold=lambda node: True,
    )
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    for node in list(model.graph):
        if node.op_type == "Dropout" and not (len(node.outputs) > 1 and node.outputs[1].uses()):
            _bypass(model.graph, node)
    common.IdentityEliminationPass()(model)
    for index, name in enumerate(outputs):
        _keep_output(model.graph, index, name or "")
    sweep(model)


def _keep_output(graph: ir.Graph, index: int, name: str) -> None:
    """Where folding made two outputs one value, the one that lost its name gets it back on a node of its own."""
    value = graph.outputs[index]
    if value.name == name:
        return
    node = ir.Node("", "Identity", [value], num_outputs=1, name=f"{name}.output")
    node.outputs[0].name = name
    node.outputs[0].shape, node.outputs[0].type = value.shape, value.type
    graph.append(node)
    graph.outputs[index] = node.outputs[0]


def sweep(model: ir.Model) -> None:
    """Drop nodes, initialisers and optional outputs that nothing reads."""
    common.RemoveUnusedNodesPass()(model)


def _bypass(graph: ir.Graph, node: ir.Node) -> None:
    """Turn a node that hands its first input through into an Identity, which the next pass takes away."""
    (source, name) = (node.inputs[0], node.name)
    through = ir.Node("", "Identity", [source], num_outputs=1, name=name)
    old, new = node.outputs[0], through.outputs[0]
    ir.convenience.replace_nodes_and_values(graph, node, [node], [through], [old], [new])
