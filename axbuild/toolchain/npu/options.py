"""Options of the compiler, as users ask for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OpGroup:
    """Operators that run as one chain. type: "Slice", in bands of rows, or "Tile", of columns, channels or samples;
    outputs: what each makes, in the subgraph's file; word: what a warning calls them."""

    type: str
    outputs: tuple[str, ...]
    word: str


@dataclass(frozen=True)
class CompileOptions:
    """Every option that the rules declare: one record, so that a new one is declared, added here and read, no more.

    ddr_bw_limit: GB/s, 0 for none; enable_slice_mode, enable_tile_mode, effort: see `layout.search`.
    """

    ddr_bw_limit: float = 0.0
    enable_slice_mode: bool = False
    enable_tile_mode: bool = False
    effort: str = "fast"
