"""Stage: weights rounded so that their errors cancel on what they are multiplied with, where the model gains by it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from axbuild.errors import AxError, AxNote
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.heads import integer_op, real_bias
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.scheme import Scheme, SiteScheme
from axbuild.toolchain.rounding.cancel import cancelling
from axbuild.toolchain.rounding.judge import CLEARLY, OutputJudge, spread_samples
from axbuild.toolchain.rounding.met import Met, met_by
from axbuild.toolchain.tune.boundary import Tensors
from axbuild.toolchain.tune.passes import decibels
from axbuild.toolchain.tune.rebake import baked, rebaked

JUDGING = 2
"""of the samples every second one judges"""


@dataclass(frozen=True)
class RoundWeightsParams:
    """inputs: as observation has them."""

    inputs: tuple[InputData, ...]


def round_weights(model: Path, scheme: Path, samples: list[Path], out: Path, *, params: RoundWeightsParams) -> None:
    """Write `scheme.msgpack`: the one given with other codes of weights and other biases, or as it was where the
    model's outputs came not clearly nearer to the float model's."""
    file, start = model_file(model), Scheme.read(scheme)
    graph = ir.load(file).graph
    feeds = spread_samples([value.name or "" for value in graph.inputs], samples, params.inputs)
    judge = OutputJudge(file, feeds[::JUDGING])
    found = _rounded(file, graph, start, feeds)
    before, after = judge.error(start), judge.error(found)
    kept = after < CLEARLY * before
    (found if kept else start).write(out / "scheme.msgpack")
    verdict = "" if kept else ", so they stay as calibrated"
    text = f"weights rounded by {len(feeds)} samples: output error {decibels(before)} -> {decibels(after)}{verdict}"
    warnings.warn(AxNote(text), stacklevel=1)


def _rounded(file: Path, graph: ir.Graph, start: Scheme, feeds: Sequence[Tensors]) -> Scheme:
    own = {site.nodes: site for site in start.sites}
    places = {fused.name: site for fused, site in placed(graph, start) if site.weight is not None}
    weights = [fused for fused, site in placed(graph, start) if site.weight is not None]
    for met in met_by(file, weights, feeds):
        site = places[met.fused.name]
        own[site.nodes] = _site(site, met)
    return replace(start, sites=tuple(own.values()))


def _site(site: SiteScheme, met: Met) -> SiteScheme:
    """With codes whose errors cancel, and what they still miss on average in the bias."""
    weight, exact = baked(site), integer_op(met.fused).weight(met.fused.node)
    if exact is None:
        return site
    means = met.means
    rows = exact.reshape(len(means), -1, means.shape[1])
    steps = weight.scale.astype(np.float64).reshape(rows.shape[:2])
    codes = cancelling(rows, steps, weight.type.hi, met.covariance)
    missed = (rows - codes * steps[:, :, np.newaxis]) @ means[:, :, np.newaxis]
    bias = real_bias(met.fused, len(exact)) + missed.reshape(-1)
    try:
        return replace(site, weight=rebaked(site, site.reads, codes.reshape(exact.shape), weight.scale, bias))
    except AxError:  # sums that could leave the accumulator; those of the calibrated weight do not
        return site
