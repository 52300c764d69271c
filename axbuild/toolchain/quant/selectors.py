"""What the words of a layer rule select: operators by name or by type, or all between tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import names_of, origins_of, spelling_of
from axbuild.toolchain.near import did_you_mean

WHOLE = "DEFAULT"
"""in both lists of tensor names: the whole model"""

ALIASES = {
    "silu": "Swish",
    "hswish": "HardSwish",
    "hsigmoid": "HardSigmoid",
    "leayrelu": "LeakyRelu",
    "layernorm": "LayerNormalization",
    "rmsnorm": "RMSNormalization",
    "l2norm": "LpNormalization",
    "linear": "Gemm",
    "fullyconnected": "Gemm",
    "innerproduct": "Gemm",
    "deconv": "ConvTranspose",
    "deconvolution": "ConvTranspose",
    "avgpool": "AveragePool",
    "globavgpool": "GlobalAveragePool",
    "globalavgpool": "GlobalAveragePool",
}
"""spellings of the vendor's tool and of frameworks, without case, underscores and a leading Ax or AxQuantized, one of
them its own misspelling -> ONNX's"""

_PREFIXES = ("axquantized", "ax")


class LayerConfigError(AxError):
    """A layer rule that matches nothing, contradicts another, or asks for what its operators do not have."""

    code = "AX356"


@dataclass(frozen=True)
class Selected:
    """What one word of a layer rule selects. word: as the user wrote it; about: what their number does not say."""

    word: str
    nodes: tuple[ir.Node, ...]
    about: str = ""


def named(graph: ir.Graph, name: str) -> Selected:
    """Nodes of that name, in the optimised model or in the user's.

    A user's node may have become several. One that stands by itself and went into a pattern too, for another reader,
    is the former alone, as a type is.
    """
    stands = any(node.name == name for node in graph)
    nodes = tuple(node for node in graph if node.name == name or _came_of(node, name, alone=stands))
    if not nodes:
        _nothing(
            f"the operator '{name}'", name, (own for node in graph for own in (node.name or "", *origins_of(node)))
        )
    other = "" if any(node.name == name for node in nodes) else f"it became {_counted(nodes)}"
    return Selected(name, nodes, other)


def _came_of(node: ir.Node, name: str, *, alone: bool) -> bool:
    """alone: of that node and no other."""
    origins = set(origins_of(node))
    return origins == {name} if alone else name in origins


def typed(graph: ir.Graph, op_type: str) -> Selected:
    """Nodes of that operator, by any of its spellings.

    A pattern that the front end recognised is one operator and its parts are none. A type that stands in the model
    only inside patterns selects these; where it stands by itself too, it selects those alone: a rule for Mul is not
    one for every LayerNormalization that was spelled with a Mul.
    """
    wanted = _standard(graph, op_type)
    nodes = tuple(node for node in graph if node.op_type == wanted)
    patterns = tuple(node for node in graph if node.op_type != wanted and wanted in spelling_of(node))
    if nodes:
        return Selected(op_type, nodes, f"not the {wanted} inside {_counted(patterns)}" if patterns else "")
    if not patterns:
        _no_type(graph, op_type)
    return Selected(op_type, patterns, f"{_counted(patterns)}, which {wanted} is a part of")


def between(graph: ir.Graph, starts: Sequence[str], ends: Sequence[str]) -> Selected:
    """Nodes on a way from one of the tensors `starts` to one of `ends`."""
    word = f"{', '.join(starts)} -> {', '.join(ends)}"
    if (tuple(starts), tuple(ends)) == ((WHOLE,), (WHOLE,)):
        return Selected(word, tuple(graph))
    known = _tensors(graph)
    for name in (*starts, *ends):
        if name != WHOLE and name not in known:
            _no_tensor(graph, name, known)
    forward = _reached([known[name] for name in starts if name != WHOLE] or list(graph.inputs), forward=True)
    backward = _reached([known[name] for name in ends if name != WHOLE] or list(graph.outputs), forward=False)
    nodes = tuple(node for node in graph if node in forward and node in backward)
    if not nodes:
        raise LayerConfigError(
            f"a layer rule has no operator between {', '.join(starts)} and {', '.join(ends)}",
            hint="start_tensor_names come before end_tensor_names",
        )
    return Selected(word, nodes)


def _standard(graph: ir.Graph, op_type: str) -> str:
    """ONNX's name of an operator type; the user's own where the model has it."""
    if any(op_type in _type_names(node) for node in graph):
        return op_type
    bare = op_type.lower().replace("_", "")
    for prefix in _PREFIXES:
        bare = bare.removeprefix(prefix)
    same = {name.lower(): name for node in graph for name in _type_names(node)}
    return same.get(bare) or ALIASES.get(bare, op_type)


def _type_names(node: ir.Node) -> tuple[str, ...]:
    return (node.op_type, *spelling_of(node))


def _counted(nodes: Iterable[ir.Node]) -> str:
    """ "57 Swish", "1 Conv and 1 Add"."""
    return " and ".join(f"{count} {op_type}" for op_type, count in Counter(node.op_type for node in nodes).items())


def _tensors(graph: ir.Graph) -> dict[str, ir.Value]:
    """Every name a tensor has, or had in the user's model."""
    values = [*graph.inputs, *(output for node in graph for output in node.outputs)]
    return {name: value for value in values for name in (*names_of(value), value.name or "")}


def _reached(values: list[ir.Value], *, forward: bool) -> set[ir.Node]:
    """Nodes behind the values, or those that make them."""
    found: set[ir.Node] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        producer = value.producer()
        nodes = [use.node for use in value.uses()] if forward else [producer] if producer is not None else []
        for node in nodes:
            if node not in found:
                found.add(node)
                waiting += node.outputs if forward else [item for item in node.inputs if item is not None]
    return found


def _no_type(graph: ir.Graph, op_type: str) -> NoReturn:
    """Of a type that the model has under none of its spellings; without a near one, all that it has."""
    has = sorted({name for node in graph for name in _type_names(node)})
    spellings = [*has, *(other for other, name in ALIASES.items() if name in has)]
    _nothing(f"operators of type {op_type}", op_type, spellings, f"it has {', '.join(has)}")


def _no_tensor(graph: ir.Graph, name: str, known: Iterable[str]) -> NoReturn:
    """Of a name that is no tensor's; most often it is an operator's."""
    nodes = [node for node in graph if node.name == name or name in origins_of(node)]
    if nodes:
        outputs = ", ".join(f"'{value.name}'" for node in nodes for value in node.outputs if value.name)
        raise LayerConfigError(
            f"a layer rule begins or ends at '{name}', which is an operator and no tensor",
            hint=f"it writes {outputs}; layer_name takes operators",
        )
    _nothing(f"the tensor '{name}'", name, known)


def _nothing(what: str, name: str, known: Iterable[str], otherwise: str = "") -> NoReturn:
    hint = did_you_mean(name, dict.fromkeys(known)) or otherwise
    raise LayerConfigError(f"a layer rule is for {what}, and the model has none", hint=hint)
