"""Stage: which layers hurt, as text, as JSON and drawn."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from axbuild.errors import AxNote, counted
from axbuild.toolchain.precision.effects import Effects
from axbuild.toolchain.precision.judge import JudgeParams, verdict_of
from axbuild.toolchain.precision.layers import MeasuredLayer, layers_in, worst
from axbuild.toolchain.precision.measured import SideBySide, read
from axbuild.toolchain.precision.measured_edges import MeasuredEdges
from axbuild.toolchain.precision.page import decibels, page


@dataclass(frozen=True)
class ReportParams:
    """title: of the page; layers: how many of the worst are told."""

    title: str
    layers: int


def report(measured: Path, edges: Path, effects: Path, out: Path, *, params: ReportParams) -> None:
    """measured: precision.json; edges, effects: as they are called. Writes precision_report.txt, .json and .html."""
    compared = MeasuredEdges.read(edges)
    layers = layers_in(compared.edges, Effects.read(effects))
    hurting = worst(layers, params.layers)
    summary = summary_of(read(measured), layers, compared.samples)
    lines = [*summary, "", *table_of(hurting)]
    (out / "precision_report.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    content = {"summary": summary, "layers": [_plain(layer) for layer in layers]}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (out / "precision_report.json").write_text(text + "\n", encoding="utf-8")
    (out / "precision_report.html").write_text(page(params.title, summary, layers, hurting), encoding="utf-8")
    for line in filter(None, lines):
        warnings.warn(AxNote(line), stacklevel=1)


def summary_of(measured: SideBySide, layers: Sequence[MeasuredLayer], samples: int) -> list[str]:
    """The outputs, and how many layers make most of what is wrong with them. samples: whose edges were compared."""
    lines = [f"Outputs: {verdict_of(measured, JudgeParams())['sentence']}."]
    ordered = worst(layers, len(layers))
    most, count = 0.0, 0
    while count < len(ordered) and most < 0.8:
        most += ordered[count].part
        count += 1
    if count:
        share = f"{counted(count, 'layer')} of {len(layers)} {'makes' if count == 1 else 'make'} {most:.0%}"
        compared = f"edges were compared on {counted(samples, 'sample')}"
        lines.append(f"{share} of the noise at the outputs; {compared}.")
    return lines


def table_of(layers: Sequence[MeasuredLayer]) -> list[str]:
    """A line a layer, and under it what to write."""
    width = max((len(layer.name) for layer in layers), default=0)
    lines = [f"{'layer':<{width}}  noise  alone dB  whole dB  by reading, weight, writing"] if layers else []
    for layer in layers:
        parts = " ".join(f"{part:>5.0%}" for part in astuple(layer.parts))
        own, whole = decibels(layer.local_db), decibels(layer.accumulated_db)
        lines.append(f"{layer.name:<{width}}  {layer.part:>5.1%}  {own:>8}  {whole:>8}  {parts}")
        if layer.rule:
            lines.append(f"    layer_configs = [{layer.rule}]")
    return lines


def _plain(layer: MeasuredLayer) -> dict[str, object]:
    """What JSON cannot hold is text."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(layer).items()
    }
