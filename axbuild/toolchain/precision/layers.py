"""The layers of a quantised model as a report shows them: what was measured, and the rule that would help each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from axbuild.toolchain.kinds.codes import S16, U16, type_named
from axbuild.toolchain.likeness import snr_db
from axbuild.toolchain.precision.effects import Effects, LayerEffect
from axbuild.toolchain.precision.measured_edges import MeasuredEdge
from axbuild.toolchain.precision.parts import ErrorParts

NONE = LayerEffect((), ErrorParts(0.0, 0.0, 0.0), ())


@dataclass(frozen=True)
class MeasuredLayer:
    """One fused node. name: of its head; nodes: the user's; tensor: what it writes, type: as what.

    accumulated_db, local_db, cosine, largest, mse, clipped: of that tensor, in the whole model and by the layer alone;
    nan where a value was not finite. output_db: of the outputs, were this layer alone quantised. part: of the noise
    that all layers alone make at the outputs, how much is this one's. parts: of the layer's own error, from
    rounding what it reads, its weight, and what it writes. rule: what to write into layer_configs, "" where it has 16
    bits already.
    """

    name: str
    ops: tuple[str, ...]
    nodes: tuple[str, ...]
    tensor: str
    type: str
    accumulated_db: float
    local_db: float
    cosine: float
    mse: float
    largest: float
    clipped: float
    output_db: float
    part: float
    parts: ErrorParts
    rule: str


def layers_in(measured: Sequence[MeasuredEdge], effects: Effects) -> list[MeasuredLayer]:
    """In the order of the graph; a fused node's last tensor stands for it."""
    edges = {edge.site: edge for edge in measured if edge.site}
    noise = sum(effect.worst for effect in effects.layers.values())
    return [_layer(edge, effects.layers.get(site, NONE), noise) for site, edge in edges.items()]


def _layer(edge: MeasuredEdge, effect: LayerEffect, noise: float) -> MeasuredLayer:
    whole, alone = edge.accumulated, edge.local
    return MeasuredLayer(
        edge.site,
        edge.ops,
        edge.nodes,
        edge.tensor,
        edge.type,
        whole.snr_db if whole else math.nan,
        alone.snr_db if alone else math.nan,
        whole.cosine if whole else math.nan,
        whole.mse if whole else math.nan,
        whole.largest if whole else math.nan,
        edge.clipped,
        snr_db(1.0, effect.worst),
        effect.worst / noise if noise else 0.0,
        effect.parts,
        _rule(edge, effect),
    )


def _rule(edge: MeasuredEdge, effect: LayerEffect) -> str:
    """Against the largest part: a tensor's codes are as wide as those who read it ask for."""
    parts = effect.parts
    if not effect.outputs:
        return ""
    if parts.weight > max(parts.inputs, parts.output):
        return f'{{ layer_name = {_quoted(edge.site)}, weight_data_type = "{S16}" }}'
    if type_named(edge.type).wide and parts.output > parts.inputs:
        return ""
    if parts.output > parts.inputs and effect.readers:
        names = ", ".join(_quoted(name) for name in effect.readers)
        return f'{{ layer_names = [{names}], data_type = "{U16}" }}'
    return f'{{ layer_name = {_quoted(edge.site)}, data_type = "{U16}" }}'


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def worst(layers: Sequence[MeasuredLayer], count: int) -> list[MeasuredLayer]:
    """Those that do most to the outputs, the worst first."""
    return sorted((layer for layer in layers if layer.part > 0.0), key=lambda layer: -layer.part)[:count]
