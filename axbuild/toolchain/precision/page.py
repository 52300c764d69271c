"""The report as a page that needs nothing beside itself: the SNR along the net as a chart, and a table of layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from axbuild.toolchain.page import document, section, table_of_html
from axbuild.toolchain.precision.layers import MeasuredLayer

HEIGHT, LEFT, RIGHT, TOP = 260, 44, 48, 16
"""pixels of the plot, and around it"""
NARROW, WIDE, ENOUGH = 14, 48, 600
"""pixels of one layer along the plot: at least, at most, and of all, which few layers share"""
NUMBERED, ROOM = 10, 20
"""every so many layers have their number below; each has, where it has so many pixels"""

STYLE = """
.whole { stroke: var(--first); fill: none; stroke-width: 2; } .alone { stroke: var(--second); fill: none; }
circle.whole { fill: var(--first); stroke: none; } circle.alone { fill: var(--second); stroke: none; }
svg .share { fill: var(--third); }
.part { fill: var(--third); opacity: .75; } .hit { fill: transparent; } .hit:hover { fill: var(--line); opacity: .5; }
td:last-child { white-space: normal; overflow-wrap: anywhere; min-width: 14rem; }
code { font: 12px ui-monospace, monospace; }
"""
KEY = """<p class="soft"><span class="key" style="background:var(--first)"></span>SNR of the whole model, dB
<span class="key" style="background:var(--second)"></span>SNR of the layer alone, dB
<span class="key" style="background:var(--third)"></span>its part of the noise at the outputs, in % at the
right; numbers below count the layers</p>
"""


def page(title: str, summary: Sequence[str], layers: Sequence[MeasuredLayer], worst: Sequence[MeasuredLayer]) -> str:
    """summary: sentences; layers: in the order of the graph."""
    body = [
        *(f"<p>{escape(line)}</p>" for line in summary),
        section("Along the net", KEY, chart(layers)),
        section("Layers that hurt most", table(worst)),
        section("All layers, in the order of the net", table(layers)),
    ]
    return document(title, body, STYLE)


def chart(layers: Sequence[MeasuredLayer]) -> str:
    """An SVG: both SNRs as lines, the parts as bars from below; each layer tells its figures under the pointer."""
    shown = [value for layer in layers for value in (layer.accumulated_db, layer.local_db) if math.isfinite(value)]
    top = 10.0 * math.ceil(max(shown, default=10.0) / 10.0)
    bottom = min(0.0, 10.0 * math.floor(min(shown, default=0.0) / 10.0))
    count = max(1, len(layers))
    step = min(WIDE, max(NARROW, ENOUGH // count))
    width = LEFT + step * count + RIGHT

    def level(value: float) -> float:
        return TOP + HEIGHT * (top - min(max(value, bottom), top)) / (top - bottom or 1.0)

    parts = [*_scale(bottom, top, width - RIGHT, level), *_shares(width - RIGHT)]
    parts += [*_numbers(len(layers), step), *_bars(layers, step)]
    for css, values in (("alone", [one.local_db for one in layers]), ("whole", [one.accumulated_db for one in layers])):
        points = [(_middle(place, step), level(value)) for place, value in enumerate(values) if not math.isnan(value)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="{css}" points="{line}"/>')
        parts += [f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points]
    parts += [_hit(place, step, layer) for place, layer in enumerate(layers)]
    name = "SNR of each layer along the net"
    return f'<svg role="img" aria-label="{name}" width="{width}" height="{TOP + HEIGHT + 24}">{"".join(parts)}</svg>'


def _middle(place: int, step: int) -> float:
    return LEFT + step * (place + 0.5)


def _scale(bottom: float, top: float, width: int, level: Callable[[float], float]) -> Iterator[str]:
    for value in range(int(bottom), int(top) + 1, 10):
        y = level(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'


def _numbers(count: int, step: int) -> Iterator[str]:
    """Of the layers, below."""
    for place in range(0, count, 1 if step >= ROOM else NUMBERED):
        yield f'<text x="{_middle(place, step):.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{place + 1}</text>'


def _shares(width: int) -> Iterator[str]:
    """What bars mean, at the right."""
    for percent in (0, 25, 50, 75, 100):
        y = TOP + HEIGHT * (1 - percent / 100)
        yield f'<text class="share" x="{width + 6}" y="{y + 4:.1f}">{percent} %</text>'


def _bars(layers: Sequence[MeasuredLayer], step: int) -> Iterator[str]:
    for place, layer in enumerate(layers):
        tall = HEIGHT * layer.part
        if tall >= 0.5:
            x, y = LEFT + step * place + 3, TOP + HEIGHT - tall
            yield f'<rect class="part" x="{x}" y="{y:.1f}" width="{step - 6}" height="{tall:.1f}"/>'


def _hit(place: int, step: int, layer: MeasuredLayer) -> str:
    text = (
        f"{layer.name} ({'+'.join(layer.ops)}), {layer.type}\nwhole model {decibels(layer.accumulated_db)} dB, alone "
        f"{decibels(layer.local_db)} dB\n{layer.part:.1%} of the noise at the outputs"
    )
    x = LEFT + step * place
    return f'<rect class="hit" x="{x}" y="{TOP}" width="{step}" height="{HEIGHT}"><title>{escape(text)}</title></rect>'


def table(layers: Sequence[MeasuredLayer]) -> str:
    head = (
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
    return table_of_html(head, map(_cells, layers), words=(1, 2, len(head) - 1))


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
