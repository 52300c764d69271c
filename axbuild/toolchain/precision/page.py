"""The report as a page that needs nothing beside itself: the SNR along the net as a chart, and a table of layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from axbuild.toolchain.precision.layers import MeasuredLayer

HEIGHT, STEP, LEFT, RIGHT, TOP = 260, 14, 44, 48, 16
"""pixels of the plot, of one layer along it, and around it"""
NUMBERED = 10
"""every so many layers have their number below"""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #6b7684; --line: #d9dee5; --paper: #ffffff;
  --whole: #2563a8; --alone: #c2701c; --part: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #98a2b0; --line: #343c47; --paper: #151a21;
  --whole: #6aa9f0; --alone: #eaa45c; --part: #f2877f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 96rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); } .chart { overflow-x: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; } .grid { stroke: var(--line); }
.whole { stroke: var(--whole); fill: none; stroke-width: 2; } .alone { stroke: var(--alone); fill: none; }
circle.whole { fill: var(--whole); stroke: none; } circle.alone { fill: var(--alone); stroke: none; }
svg .share { fill: var(--part); }
.part { fill: var(--part); opacity: .75; } .hit { fill: transparent; } .hit:hover { fill: var(--line); opacity: .5; }
.key { display: inline-block; width: .9em; height: .9em; border-radius: 2px; margin: 0 .35em 0 1em; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, td:last-child, th:last-child { text-align: left; }
td:first-child { max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
code { font: 12px ui-monospace, monospace; } .wide { overflow-x: auto; }
"""


def page(title: str, summary: Sequence[str], layers: Sequence[MeasuredLayer], worst: Sequence[MeasuredLayer]) -> str:
    """summary: sentences; layers: in the order of the graph."""
    said = "".join(f"<p>{escape(line)}</p>" for line in summary)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>{said}
<h2>Along the net</h2>
<p class="soft"><span class="key" style="background:var(--whole)"></span>SNR of the whole model, dB
<span class="key" style="background:var(--alone)"></span>SNR of the layer alone, dB
<span class="key" style="background:var(--part)"></span>its part of the noise at the outputs, in % at the
right; numbers below count the layers</p>
<div class="chart">{chart(layers)}</div>
<h2>Layers that hurt most</h2><div class="wide">{table(worst)}</div>
<h2>All layers, in the order of the net</h2><div class="wide">{table(layers)}</div>
</body></html>
"""


def chart(layers: Sequence[MeasuredLayer]) -> str:
    """An SVG: both SNRs as lines, the parts as bars from below; each layer tells its figures under the pointer."""
    shown = [value for layer in layers for value in (layer.accumulated_db, layer.local_db) if math.isfinite(value)]
    top = 10.0 * math.ceil(max(shown, default=10.0) / 10.0)
    bottom = min(0.0, 10.0 * math.floor(min(shown, default=0.0) / 10.0))
    width = LEFT + STEP * max(1, len(layers)) + RIGHT

    def level(value: float) -> float:
        return TOP + HEIGHT * (top - min(max(value, bottom), top)) / (top - bottom or 1.0)

    parts = [*_scale(bottom, top, width - RIGHT, level), *_numbers(len(layers), width - RIGHT), *_bars(layers)]
    for css, values in (("alone", [one.local_db for one in layers]), ("whole", [one.accumulated_db for one in layers])):
        points = [(_middle(place), level(value)) for place, value in enumerate(values) if not math.isnan(value)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="{css}" points="{line}"/>')
        parts += [f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points]
    parts += [_hit(place, layer) for place, layer in enumerate(layers)]
    name = "SNR of each layer along the net"
    return f'<svg role="img" aria-label="{name}" width="{width}" height="{TOP + HEIGHT + 24}">{"".join(parts)}</svg>'


def _middle(place: int) -> float:
    return LEFT + STEP * (place + 0.5)


def _scale(bottom: float, top: float, width: int, level: Callable[[float], float]) -> Iterator[str]:
    for value in range(int(bottom), int(top) + 1, 10):
        y = level(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'


def _numbers(count: int, width: int) -> Iterator[str]:
    """Of the layers, below, and of what bars mean, at the right."""
    for place in range(0, count, NUMBERED):
        yield f'<text x="{_middle(place):.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{place + 1}</text>'
    for percent in (0, 25, 50, 75, 100):
        y = TOP + HEIGHT * (1 - percent / 100)
        yield f'<text class="share" x="{width + 6}" y="{y + 4:.1f}">{percent} %</text>'


def _bars(layers: Sequence[MeasuredLayer]) -> Iterator[str]:
    for place, layer in enumerate(layers):
        tall = HEIGHT * layer.part
        if tall >= 0.5:
            x, y = LEFT + STEP * place + 3, TOP + HEIGHT - tall
            yield f'<rect class="part" x="{x}" y="{y:.1f}" width="{STEP - 6}" height="{tall:.1f}"/>'


def _hit(place: int, layer: MeasuredLayer) -> str:
    text = (
        f"{layer.name} ({'+'.join(layer.ops)}), {layer.type}\nwhole model {decibels(layer.accumulated_db)} dB, alone "
        f"{decibels(layer.local_db)} dB\n{layer.part:.1%} of the noise at the outputs"
    )
    x = LEFT + STEP * place
    return f'<rect class="hit" x="{x}" y="{TOP}" width="{STEP}" height="{HEIGHT}"><title>{escape(text)}</title></rect>'


def table(layers: Sequence[MeasuredLayer]) -> str:
    heads = (
        "layer",
        "operators",
        "type",
        "whole dB",
        "alone dB",
        "cosine",
        "clipped",
        "outputs dB",
        "part of noise",
        "reads / weight / writes",
        "in layer_configs",
    )
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(layer))}</tr>" for layer in layers)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(layer: MeasuredLayer) -> list[str]:
    nodes = escape(", ".join(layer.nodes), quote=True)
    return [
        f'<span title="{nodes}">{escape(layer.name)}</span>',
        escape("+".join(layer.ops)),
        escape(layer.type),
        decibels(layer.accumulated_db),
        decibels(layer.local_db),
        f"{layer.cosine:.5f}",
        f"{layer.clipped:.2%}",
        decibels(layer.output_db),
        f"{layer.part:.1%}",
        f"{layer.parts.inputs:.0%} / {layer.parts.weight:.0%} / {layer.parts.output:.0%}",
        f"<code>{escape(layer.rule)}</code>" if layer.rule else "",
    ]


def decibels(value: float) -> str:
    if math.isnan(value):
        return "not finite"
    return f"{value:.1f}" if math.isfinite(value) else ("exact" if value > 0 else "none")
