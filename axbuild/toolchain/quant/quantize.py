"""Stage: the float model and its statistics -> the quantised model and the records of how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.ops.base import Lowered, Settled, Site
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.ops.sites import require_supported
from axbuild.toolchain.quant.emit import model_with
from axbuild.toolchain.quant.records import records_of, write_records
from axbuild.toolchain.quant.scales import METHODS, Range
from axbuild.toolchain.quant.scheme import Scheme, choose, measured
from axbuild.toolchain.quant.statistics import Statistics, StatisticsError


class MethodError(AxError):
    """A calibration method that there is not."""

    code = "AX354"


@dataclass(frozen=True)
class QuantizeParams:
    """method: how statistics become scales, "MinMax"."""

    method: str = "MinMax"


def quantize(model: Path, statistics: Path, out: Path, *, params: QuantizeParams) -> None:
    """Write `quant_axmodel.onnx` and `quant_axmodel.json` from `optimized.onnx` and `statistics.msgpack`.

    Raises UnsupportedError for a node that cannot be quantised, StatisticsError where the statistics are damaged or
    do not hold every tensor of the model.
    """
    if params.method not in METHODS:
        raise MethodError(f"there is no method '{params.method}'; there is {', '.join(METHODS)}")
    loaded = ir.load(model_file(model))
    require_supported(loaded)
    graph = loaded.graph
    scheme = choose(graph, _ranges(graph, Statistics.read(statistics)), METHODS[params.method])
    lowered = [(site, _lower(site, scheme)) for site in scheme.sites]
    content = model_with(graph, lowered, scheme.grids).SerializeToString(deterministic=True)
    (out / "quant_axmodel.onnx").write_bytes(content)
    write_records(records_of(scheme, lowered), out / "quant_axmodel.json")


def _ranges(graph: ir.Graph, statistics: Statistics) -> dict[str, Range]:
    ranges: dict[str, Range] = {}
    for name in measured(graph):
        if name not in statistics.tensors:
            raise StatisticsError(f"the statistics do not hold tensor '{name}' of the model")
        ranges[name] = Range(statistics.tensors[name].minimum, statistics.tensors[name].maximum)
    return ranges


def _lower(site: Site, scheme: Scheme) -> Lowered:
    """The site's steps; what a kind refuses becomes an error that names the node."""
    try:
        return op_of(site.node).lower(Settled(site, scheme.grids))
    except AxError as error:
        raise AxError(
            f"node '{site.name}' ({site.node.op_type}) cannot be quantised: {error.sentence}",
            hint=error.hint,
            code=error.code,
        ) from error
