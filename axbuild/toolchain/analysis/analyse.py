"""Stage: what was measured of every edge as a table, a flowchart and JSON."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx

from axbuild.errors import AxNote
from axbuild.toolchain.analysis import analysis
from axbuild.toolchain.analysis.flowchart import flowchart
from axbuild.toolchain.analysis.rows import rows_of
from axbuild.toolchain.analysis.table import table_of
from axbuild.toolchain.precision.measured_edges import MeasuredEdges
from axbuild.toolchain.precision.places import places_of

TABLE, GRAPH = "precision_analysis_table.txt", "precision_analysis.mmd"


@dataclass(frozen=True)
class AnalyseParams:
    """method: PerLayer or EndToEnd; mode: Reference or NPUBackend, which is told only: the edges are what they are."""

    method: str
    mode: str


def analyse(quantised: Path, edges: Path, out: Path, *, params: AnalyseParams) -> None:
    """quantised: quant_axmodel.onnx; edges: edges.json. Writes precision_analysis_table.txt, .mmd and .json."""
    measured, model = MeasuredEdges.read(edges), onnx.load(quantised)
    rows = rows_of(model, places_of(model), measured.edges, params.method)
    title = analysis.title_of(params.method, params.mode)
    lines = table_of(title, rows)
    (out / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / GRAPH).write_text(flowchart(f"{params.method} {params.mode}", rows), encoding="utf-8")
    analysis.write(params.method, params.mode, measured.samples, rows, out)
    for line in lines:
        warnings.warn(AxNote(line), stacklevel=1)
