"""`precision.json`: what stands between measuring a quantised model against its float model and whoever reads that."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axbuild.toolchain.likeness import Sums
from axbuild.toolchain.precision.error_sums import ErrorSums

FILE = "precision.json"


@dataclass(frozen=True)
class Measured:
    """One output on one sample. sums: of the float model's values and the quantised model's, None where one is not
    finite. agrees: whether the largest value stands at the same place, along the last axis everywhere."""

    sample: str
    output: str
    sums: Sums | None
    agrees: bool


@dataclass(frozen=True)
class MeasuredEdge:
    """One tensor between operators of the quantised model, on all samples together.

    name: there; tensor: the float tensor that it stands for, and origins: what the user's model called that. site: the
    head of the fused node that writes it, in the optimised model, "" for a border; ops: the operators of that fused
    node; nodes: the user's nodes that it stands for. type, scale, zero: the grid; scale 0 for floats.
    accumulated: of the quantised model run from its inputs on; local: of its fused node alone, on the float model's
    values on the grids that it reads; None where a value was not finite. clipped: the share of the float values that
    lies beyond the grid's ends.
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
class SideBySide:
    """rows: every output on every sample. channels: output -> the cosine of each channel on all samples together; one
    with a value that is not finite has -1. edges: in the order of the graph, on the first `edge_samples` samples."""

    rows: list[Measured]
    channels: dict[str, list[float]]
    edges: list[MeasuredEdge]
    edge_samples: int


def write(measured: SideBySide, folder: Path) -> None:
    text = json.dumps(asdict(measured), indent=1, sort_keys=True, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(file: Path) -> SideBySide:
    content = json.loads(file.read_text(encoding="utf-8"))
    rows = [Measured(**row | {"sums": row["sums"] and Sums(**row["sums"])}) for row in content["rows"]]
    edges = [_edge(row) for row in content["edges"]]
    return SideBySide(rows, content["channels"], edges, content["edge_samples"])


def _edge(row: dict[str, Any]) -> MeasuredEdge:
    lists = {name: tuple(row[name]) for name in ("origins", "ops", "nodes")}
    sums = {name: row[name] and ErrorSums(**row[name]) for name in ("accumulated", "local")}
    return MeasuredEdge(**row | lists | sums)
