"""`edges.json`: every tensor between operators of a quantised model, measured against the float model's."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axbuild.toolchain.precision.error_sums import ErrorSums

FILE = "edges.json"


@dataclass(frozen=True)
class MeasuredEdge:
    """One tensor between operators of the quantised model, on all samples together.

    name: there; tensor: the float tensor that it stands for, and origins: what the user's model called that. site: the
    head of the fused node that writes it, in the optimised model, "" for a border; ops: the operators of that fused
    node; nodes: the user's nodes that it stands for. type, scale, zero: the grid; scale 0 for floats.
    accumulated: of the quantised model run from its inputs on; local: of its fused node alone, on the float model's
    values on the grids that it reads; None where a value was not finite, or that form was not run. clipped: the share
    of the float values that lies beyond the grid's ends.
    """

    name: str
    tensor: str
    origins: tuple[str, ...]
    site: str
    ops: tuple[str, ...]
    nodes: tuple[str, ...]
    type: str
    scale: float
    zero: int
    accumulated: ErrorSums | None
    local: ErrorSums | None
    clipped: float


@dataclass(frozen=True)
class MeasuredEdges:
    """edges: in the order of the graph, on the first `samples` samples."""

    samples: int
    edges: list[MeasuredEdge]

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1, sort_keys=True, allow_nan=False)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")

    @staticmethod
    def read(file: Path) -> MeasuredEdges:
        content = json.loads(file.read_text(encoding="utf-8"))
        return MeasuredEdges(content["samples"], [_edge(row) for row in content["edges"]])


def _edge(row: dict[str, Any]) -> MeasuredEdge:
    lists = {name: tuple(row[name]) for name in ("origins", "ops", "nodes")}
    sums = {name: row[name] and ErrorSums(**row[name]) for name in ("accumulated", "local")}
    return MeasuredEdge(**row | lists | sums)
