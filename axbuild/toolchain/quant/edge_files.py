"""Edges in msgpack files: [scale, zero, type], or the type alone where there is no grid."""

from __future__ import annotations

from typing import Any

from axbuild.errors import AxError
from axbuild.toolchain.kinds.codes import Edge, Grid, type_named


class SchemeError(AxError):
    """A scheme file that is damaged, contradicts itself, or belongs to another model."""

    code = "AX357"


def packed_edge(edge: Edge) -> Any:
    """As msgpack takes it."""
    return [edge.scale, edge.zero, edge.type.name] if isinstance(edge, Grid) else edge.name


def unpacked_edge(value: Any) -> Edge:
    """Raises SchemeError where it is none."""
    if isinstance(value, str):
        return type_named(value)
    scale, zero, name = value
    grid = Grid(float(scale), int(zero), type_named(name))
    if not grid.sound:
        raise SchemeError(f"the scheme holds something that is no grid: {grid}")
    return grid
