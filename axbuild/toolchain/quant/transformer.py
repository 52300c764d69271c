"""What each `transformer_opt_level` computes in 16 bits.

A transformer adds every layer's answer to one stream and reads it through normalisations. Few channels of that stream
are loud, and a normalisation makes the others as large again, with the errors that 8 bits left in them. So from level
1 on the stream stays in 16 bits, between the matrix products, which stay in 8. What goes into a Softmax is an exponent:
level 1 has it in 16 bits as well, level 2 in 8, which is faster and less exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx_ir as ir

from axbuild.toolchain.graph import activations_of
from axbuild.toolchain.kinds.codes import U16
from axbuild.toolchain.ops.base import Op
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.precision import STEEP, Precision
from axbuild.toolchain.quant.watch import derived

LEVELS = (0, 1, 2)


def of_level(graph: ir.Graph, level: int) -> dict[ir.Node, Precision]:
    """The precision of nodes that the level decides; none at 0."""
    if level == 0:
        return {}
    stream = dict.fromkeys(_stream(graph), Precision(data=U16))
    return stream | dict.fromkeys(_with(graph, lambda op: op.steep), STEEP if level == 1 else Precision())


def is_transformer(graph: ir.Graph) -> bool:
    """Whether it has both normalisations and operators such as Softmax."""
    return bool(_with(graph, lambda op: op.levels) and _with(graph, lambda op: op.steep))


def _with(graph: Iterable[ir.Node], holds: Callable[[Op], bool]) -> list[ir.Node]:
    return [node for node in graph for op in [op_of(node)] if op is not None and holds(op)]


def _stream(graph: ir.Graph) -> list[ir.Node]:
    """Normalisations, and the sums before and behind them with nothing but other sums and movers between."""
    found = dict.fromkeys(_with(graph, lambda op: op.levels))
    for neighbours in (_writers, _readers):
        waiting = _with(graph, lambda op: op.levels)
        passed: set[ir.Node] = set()
        while waiting:
            for node in neighbours(waiting.pop()):
                op = op_of(node)
                if op is None or node in passed or not (op.sums or derived(node)):
                    continue
                passed.add(node)
                waiting.append(node)
                if op.sums:
                    found[node] = None
    return list(found)


def _writers(node: ir.Node) -> list[ir.Node]:
    return [producer for value in activations_of(node) if (producer := value.producer()) is not None]


def _readers(node: ir.Node) -> list[ir.Node]:
    return [use.node for value in node.outputs for use in value.uses()]
