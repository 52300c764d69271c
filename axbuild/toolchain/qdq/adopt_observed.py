"""Stage: as `adopt`, where what the QDQ model gave no grids for takes ranges that were observed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.graph import model_file
from axbuild.toolchain.qdq.given import GivenGrids
from axbuild.toolchain.qdq.settle import KnownGrids, settlement
from axbuild.toolchain.qdq.sites import scheme_of
from axbuild.toolchain.quant.calibrate import CalibrateParams
from axbuild.toolchain.quant.calibrators import METHODS
from axbuild.toolchain.quant.edges import settle
from axbuild.toolchain.quant.forms import formed
from axbuild.toolchain.quant.groups import Observations
from axbuild.toolchain.quant.precision import precisions
from axbuild.toolchain.quant.statistics import Statistics


def adopt_observed(model: Path, given: Path, statistics: Path, out: Path, *, params: CalibrateParams) -> None:
    """Write `scheme.msgpack` from `optimized.onnx`, `given.msgpack` and `statistics.msgpack`.

    Raises as `calibrate` does.
    """
    graph, known = ir.load(model_file(model)).graph, GivenGrids.read(given)
    asked, grids = precisions(graph, params.layer_configs), KnownGrids(graph, known)
    found = formed(graph, asked, grids.apart)
    others = settle(found, asked, Observations(graph, Statistics.read(statistics)), METHODS[params.method], {})
    settled = settlement(found, grids, others.reads, others.writes)
    merged = replace(settled, owners={**others.owners, **settled.owners})
    scheme_of(merged, known.weights).write(out / "scheme.msgpack")
