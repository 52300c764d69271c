"""Unique names for every node: layer selectors, reports and onnxruntime's own passes need them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from axbuild.toolchain.graph import Names


class Named(Protocol):
    """What ONNX's and onnx_ir's nodes have in common."""

    @property
    def op_type(self) -> str: ...

    name: str | None


def name_nodes(graph: Iterable[Named]) -> None:
    """Nodes without a name become <op>_<position>; of nodes that share one, the later get a number."""
    nodes = list(graph)
    names = Names(node.name for node in nodes)
    seen: set[str | None] = set()
    for index, node in enumerate(nodes):
        if not node.name:
            node.name = names.free(f"{node.op_type}_{index}")
        elif node.name in seen:
            node.name = names.free(f"{node.name}_{index}")
        seen.add(node.name)
