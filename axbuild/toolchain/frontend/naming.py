"""Unique names for every node: layer selectors, reports and onnxruntime's own passes need them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Named(Protocol):
    """What ONNX's and onnx_ir's nodes have in common."""

    @property
    def op_type(self) -> str: ...

    name: str | None


def name_nodes(graph: Iterable[Named]) -> None:
    """Nodes without a name become <op>_<position>; of nodes that share one, the later get a number."""
    nodes = list(graph)
    taken = {node.name for node in nodes if node.name}
    seen: set[str | None] = set()
    for index, node in enumerate(nodes):
        if not node.name:
            node.name = _free(f"{node.op_type}_{index}", taken)
        elif node.name in seen:
            node.name = _free(f"{node.name}_{index}", taken)
        taken.add(node.name)
        seen.add(node.name)


def _free(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 1
    while name in taken:
        name, count = f"{wanted}_{count}", count + 1
    return name
