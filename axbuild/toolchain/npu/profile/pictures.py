"""Pictures of a program: the on-chip memory over time, and its operators under the roofs of the chip. SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.profile.layers import LayerProfile
from axbuild.toolchain.npu.profile.occupied import Occupied

WIDTH, HEIGHT, LEFT, TOP = 1000, 320, 70, 12
"""pixels of a plot, and before it"""
STYLE = """
.map { fill: var(--first); opacity: .55; stroke: var(--paper); stroke-width: .5; }
.constant { fill: var(--second); opacity: .55; stroke: var(--paper); stroke-width: .5; }
.map:hover, .constant:hover { opacity: 1; } .roof { stroke: var(--third); fill: none; stroke-width: 2; }
.layer { fill: var(--first); opacity: .7; } .layer:hover { opacity: 1; }
"""


def memory_map(blocks: Sequence[Occupied], cycles: int, size: int) -> str:
    """Time to the right, addresses downwards; size: bytes to show, those that are used."""

    def x(cycle: float) -> float:
        return LEFT + WIDTH * cycle / max(1, cycles)

    def y(address: float) -> float:
        return TOP + HEIGHT * address / max(1, size)

    parts = [*_ticks_down(size), *_ticks_right(cycles)]
    for block in blocks:
        name = f"{block.tensor}: bytes {block.begin:,} to {block.end:,}, cycles {block.start:,} to {block.stop:,}"
        place = f'x="{x(block.start):.1f}" y="{y(block.begin):.1f}"'
        wide, tall = x(block.stop) - x(block.start), y(block.end) - y(block.begin)
        size_of = f'width="{max(0.5, wide):.1f}" height="{max(0.5, tall):.1f}"'
        css = "constant" if block.constant else "map"
        parts.append(f'<rect class="{css}" {place} {size_of}><title>{escape(name)}</title></rect>')
    return _svg("The on-chip memory over time", parts)


def roofline(layers: Sequence[LayerProfile], chip: Chip) -> str:
    """Multiply-accumulates a byte of DDR traffic to the right, a cycle upwards; both logarithmic. Layers without any
    are not in it, those without traffic stand at the right edge."""
    peak = peak_macs(chip)
    shown = [layer for layer in layers if layer.macs and layer.macs_per_cycle > 0]
    finite = [layer.macs_per_byte for layer in shown if math.isfinite(layer.macs_per_byte)]
    low = math.floor(math.log10(min([*finite, peak / chip.ddr_bytes / 10])))
    high = math.ceil(math.log10(max([*finite, peak / chip.ddr_bytes * 10])))
    top = math.ceil(math.log10(peak))
    bottom = math.floor(min([math.log10(layer.macs_per_cycle) for layer in shown] + [top - 2]))

    def x(value: float) -> float:
        place = (math.log10(value) - low) / (high - low) if math.isfinite(value) else 1.0
        return LEFT + WIDTH * place

    def y(value: float) -> float:
        return TOP + HEIGHT * (top - math.log10(value)) / (top - bottom)

    left = max(10.0**low, 10.0**bottom / chip.ddr_bytes)
    corner = peak / chip.ddr_bytes
    roof = [(x(left), y(left * chip.ddr_bytes)), (x(corner), y(peak)), (x(10.0**high), y(peak))]
    parts = [_grid_line(y(10.0**power)) for power in range(bottom, top + 1)]
    parts += [_tick(x(10.0**power), TOP + HEIGHT + 16, f"{10.0**power:,g}") for power in range(low, high + 1)]
    parts += [_tick(LEFT - 30, y(10.0**power) + 4, f"{10.0**power:,g}") for power in range(bottom, top + 1)]
    parts.append(f'<polyline class="roof" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in roof)}"/>')
    for layer in shown:
        rates = f"{layer.macs_per_byte:.3g} MACs a byte, {layer.macs_per_cycle:.4g} a cycle"
        name = f"{layer.makes} ({layer.op_type}): {rates}"
        place = f'cx="{x(layer.macs_per_byte):.1f}" cy="{y(layer.macs_per_cycle):.1f}"'
        parts.append(f'<circle class="layer" {place} r="5"><title>{escape(name)}</title></circle>')
    return _svg("Multiply-accumulates a cycle over those a byte", parts)


def peak_macs(chip: Chip) -> float:
    """Multiply-accumulates a cycle of all convolution engines, at the share that the cost model gives them."""
    rates = chip.rates
    return rates.convs * rates.mac_ci * rates.mac_co * rates.mac_px * rates.efficiency


def _ticks_down(size: int) -> Iterator[str]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        place = TOP + HEIGHT * share
        yield _grid_line(place)
        yield _tick(LEFT - 34, place + 4, f"{round(size * share / 1024, 1):,g} KiB")


def _ticks_right(cycles: int) -> Iterator[str]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield _tick(LEFT + WIDTH * share, TOP + HEIGHT + 16, f"{cycles * share:,.0f}")


def _grid_line(y: float) -> str:
    return f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + WIDTH}" y2="{y:.1f}"/>'


def _tick(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{text}</text>'


def _svg(name: str, parts: Sequence[str]) -> str:
    size = f'width="{LEFT + WIDTH + 40}" height="{TOP + HEIGHT + 24}"'
    return f'<svg role="img" aria-label="{name}" {size}>{"".join(parts)}</svg>'
