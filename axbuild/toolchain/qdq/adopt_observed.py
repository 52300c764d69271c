"""Stage: as `adopt`, where what the QDQ model gave no grids for takes ranges that were observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.graph import model_file
from axbuild.toolchain.ops.base import computed_reals
from axbuild.toolchain.qdq.given import GivenGrids
from axbuild.toolchain.qdq.settle import KnownGrids, settlement
from axbuild.toolchain.qdq.sites import scheme_of, tell
from axbuild.toolchain.quant.calibrate import CalibrateParams
from axbuild.toolchain.quant.calibrators import METHODS
from axbuild.toolchain.quant.edges import settle
from axbuild.toolchain.quant.forms import Formed, formed
from axbuild.toolchain.quant.groups import Observations
from axbuild.toolchain.quant.precision import Precision, precisions
from axbuild.toolchain.quant.statistics import Statistics


def adopt_observed(model: Path, given: Path, statistics: Path, out: Path, *, params: CalibrateParams) -> None:
    """Write `scheme.msgpack` from `optimized.onnx`, `given.msgpack` and `statistics.msgpack`.

    Raises as `calibrate` does; warns of layer rules for what has other types of its own.
    """
    graph, known = ir.load(model_file(model)).graph, GivenGrids.read(given)
    asked, grids = precisions(graph, params.layer_configs), KnownGrids(graph, known)
    found = formed(graph, asked, grids.apart)
    others = settle(found, asked, Observations(graph, Statistics.read(statistics)), METHODS[params.method], {})
    settled = settlement(found, grids, others.reads, others.writes)
    tell(
        "AX382",
        _overruled(found, asked, grids),
        "the model's own scales are kept, and layer_configs asks for other types",
    )
    merged = replace(settled, owners={**others.owners, **settled.owners})
    scheme_of(merged, known.weights).write(out / "scheme.msgpack")


def _overruled(found: Sequence[Formed], asked: Mapping[ir.Node, Precision], grids: KnownGrids) -> list[str]:
    """Names of nodes that a rule gives another type than the model gives what they read."""
    return [item.fused.name for item in found if _is_overruled(item, asked[item.fused.node], grids)]


def _is_overruled(item: Formed, asked: Precision, grids: KnownGrids) -> bool:
    own = [grids.read(value, item.fused.nodes) for value in computed_reals(*item.fused.inputs)]
    return asked.asked and any(grid is not None and grid.type != asked.data for grid in own)
