"""Rows of an analysis as a table of text, as wide as what stands in it."""

from __future__ import annotations

from collections.abc import Sequence

from axbuild.errors import visible
from axbuild.toolchain.analysis.rows import FLOAT, AnalysedRow

HEAD = ("Operator", "Type", "Output Tensor", "Shape", "DType", "QDType", "Cosin", "MSE")
"""the vendor's columns, as the vendor spells them"""


def table_of(title: str, rows: Sequence[AnalysedRow]) -> list[str]:
    """Lines; a name may hold anything, and stands in them as Python would write it."""
    cells = [HEAD, *(tuple(map(visible, _cells(row))) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    head, *body = (_between([f" {cell:<{width}} " for cell, width in zip(line, widths, strict=True)]) for line in cells)
    top, below, bottom = (
        left + middle.join(rule * (width + 2) for width in widths) + right
        for left, middle, right, rule in (("┏", "┳", "┓", "━"), ("┡", "╇", "┩", "━"), ("└", "┴", "┘", "─"))
    )
    return [f"{title:^{len(top)}}".rstrip(), top, head.replace("│", "┃"), below, *body, bottom]


def _between(cells: Sequence[str]) -> str:
    return f"│{'│'.join(cells)}│"


def _cells(row: AnalysedRow) -> tuple[str, ...]:
    shape = f"({', '.join(map(str, row.shape))}{',' if len(row.shape) == 1 else ''})"
    figures = (f"{row.sums.cosine:.5f}", f"{row.sums.mse:.5f}") if row.sums else ("nan", "nan")
    return (row.operator, row.type, row.tensor, shape, FLOAT, row.qdtype, *figures)
