"""Stage: the float model and its statistics -> the scheme of its quantisation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxError, AxNote, AxWarning
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.ops.fused import always, never
from axbuild.toolchain.quant import losses
from axbuild.toolchain.quant.bake import USUAL, Baking, bake
from axbuild.toolchain.quant.calibrators import METHODS, Calibrator
from axbuild.toolchain.quant.channel_means import ChannelMeans
from axbuild.toolchain.quant.edges import Edges, settle
from axbuild.toolchain.quant.forms import Formed, formed
from axbuild.toolchain.quant.groups import Observations
from axbuild.toolchain.quant.precision import LayerConfig, Precision, precisions
from axbuild.toolchain.quant.scheme import Form, Scheme, SiteScheme
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.quant.transformer import is_transformer, of_level

AUTO = "Auto"
"""the method that chooses more than ranges"""

MOST_NAMED = 5
"""tensors that a warning names"""


class MethodError(AxError):
    """A calibration method that there is not."""

    code = "AX354"


@dataclass(frozen=True)
class CalibrateParams:
    """method: how statistics become ranges, a name in METHODS; layer_configs: precision of chosen operators;
    bias_correction: whether biases take back what rounding the weights adds on average; None is what the method does;
    highest_mix_precision: 16 bits where no layer rule decides; disable_quant_optimization: fuse no operators; baking:
    of weights and biases; state: output -> the input that it is for the next sample, which share a grid;
    transformer_opt_level: as `transformer` has it.
    """

    method: str = "MinMax"
    layer_configs: tuple[LayerConfig, ...] = ()
    bias_correction: bool | None = None
    highest_mix_precision: bool = False
    disable_quant_optimization: bool = False
    baking: Baking = USUAL
    state: dict[str, str] = field(default_factory=dict)
    transformer_opt_level: int = 0

    def __post_init__(self) -> None:
        """Raises MethodError."""
        if self.method not in METHODS:
            raise MethodError(f"there is no method '{self.method}'; there is {', '.join(METHODS)}")


def calibrate(model: Path, statistics: Path, out: Path, *, params: CalibrateParams) -> None:
    """Write `scheme.msgpack` from `optimized.onnx` and `statistics.msgpack`; warn of channels that are lost.

    Raises StatisticsError where the statistics are damaged or lack a tensor of the model, LayerConfigError for a layer
    rule that cannot be obeyed, AccumulatorError where weights could leave the accumulator.
    """
    graph = ir.load(model_file(model)).graph
    known = Statistics.read(statistics)
    settled(graph, known, calibrated(graph, known, params), out, params)


def settled(graph: ir.Graph, known: Statistics, chosen: Scheme, out: Path, params: CalibrateParams) -> None:
    """Write a scheme that was chosen, and say what a user should know of it."""
    if is_transformer(graph):
        warnings.warn(AxNote(f"Transformer optimize level: {params.transformer_opt_level}"), stacklevel=1)
    losses.tell(graph, chosen, known)
    chosen.write(out / "scheme.msgpack")


@dataclass(frozen=True)
class Unbaked:
    """A scheme before weights become codes: the fused nodes, what is asked of every node, and the edges."""

    found: Sequence[Formed]
    asked: Mapping[ir.Node, Precision]
    edges: Edges


def calibrated(
    graph: ir.Graph, statistics: Statistics, params: CalibrateParams, calibrator: Calibrator | None = None
) -> Scheme:
    """The scheme of a graph as the parameters have it; calibrator: in place of the method's own."""
    known = unbaked(graph, statistics, params, calibrator)
    _tell(known.edges.instead)
    means = means_for(graph, statistics, params)
    return Scheme(tuple(site_of(item, known, means, params.baking) for item in known.found), known.edges.owners)


def unbaked(
    graph: ir.Graph, statistics: Statistics, params: CalibrateParams, calibrator: Calibrator | None = None
) -> Unbaked:
    """The same as far as the edges."""
    asked = asked_of(graph, params)
    found = formed(graph, asked, always if params.disable_quant_optimization else never)
    return Unbaked(
        found,
        asked,
        settle(found, asked, Observations(graph, statistics), calibrator or METHODS[params.method], params.state),
    )


def asked_of(graph: ir.Graph, params: CalibrateParams) -> dict[ir.Node, Precision]:
    """The precision of every node, by rules, method and level."""
    return precisions(
        graph,
        params.layer_configs,
        wide_where_steep=params.method == AUTO,
        highest=params.highest_mix_precision,
        preset=of_level(graph, params.transformer_opt_level),
    )


def means_for(graph: ir.Graph, statistics: Statistics, params: CalibrateParams) -> ChannelMeans | None:
    """What biases are corrected by; None where they are not."""
    corrected = params.method == AUTO if params.bias_correction is None else params.bias_correction
    return ChannelMeans.of(graph, statistics) if corrected else None


def _tell(instead: Mapping[str, str]) -> None:
    """Warn of tensors that the method was not followed for."""
    if instead:
        named = "; ".join(f"'{name}': {why}" for name, why in list(instead.items())[:MOST_NAMED])
        more = f"; and {len(instead) - MOST_NAMED} more" if len(instead) > MOST_NAMED else ""
        counted = f"{len(instead)} tensor{'s' if len(instead) > 1 else ''}"
        text = f"{counted} took the range with the smallest squared error in place of KL's: {named}{more}"
        warnings.warn(AxWarning("AX363", text), stacklevel=2)


def site_of(item: Formed, known: Unbaked, means: ChannelMeans | None, baking: Baking) -> SiteScheme:
    """One fused node with its weight as codes."""
    name, kind = item.fused.name, known.asked[item.fused.node].weight
    reads, writes = known.edges.reads[name], known.edges.writes[name]
    weight = bake(item.fused, reads, writes, kind, means, baking) if item.form is Form.INTEGER else None
    nodes = tuple(node.name or "" for node in item.fused.nodes)
    return SiteScheme(nodes, item.form, reads, writes, weight, item.reason, baking.ln_scale_data_type)
