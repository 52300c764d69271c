"""The vendor's tables, printed by rich. Text of models stands in cells as text alone, never as markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from axbuild.errors import visible
from axbuild.toolchain.pulsar2.facts import ModelFacts


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    named = any(heads)
    made = Table(title=title, box=box.ASCII2, title_style="", header_style="", show_lines=False, show_header=named)
    for head in heads:
        made.add_column(head, overflow="fold")
    for row in rows:
        made.add_row(*(Text(visible(cell)) for cell in row))
    return made


def model_table(facts: ModelFacts) -> Table:
    operators = enumerate(facts.operators.items())
    rows = [
        ("Model Name", facts.name, ""),
        ("Model Info", f"OPSet {facts.opset}", f"IR version {facts.ir_version}"),
        *(("IN", name, form) for name, form in facts.inputs.items()),
        *(("OUT", name, form) for name, form in facts.outputs.items()),
        *(("" if place else "OPS", name, str(count)) for place, (name, count) in operators),
        ("Model Size", f"{facts.size_bytes / 2**20:.2f} MB", ""),
    ]
    return table("OnnxModel", ("", "", ""), rows)


QUANT_HEADS = ("Input", "Shape", "Dataset Directory", "Data Format", "Tensor Format", "Mean", "Std")


def quant_table(rows: Iterable[Sequence[str]]) -> Table:
    return table("Quant Config Table", QUANT_HEADS, rows)


def layer_table(rows: Iterable[Sequence[str]]) -> Table:
    return table("Layer Config Table", ("Op Type / Layer name", "Precision"), rows)


def shape_of(shape: Sequence[Any]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def shapes_of(shapes: Mapping[str, Sequence[int]]) -> str:
    """As the vendor's log has a dictionary of shapes."""
    return "{" + ", ".join(f"'{name}': {shape_of(shape)}" for name, shape in shapes.items()) + "}"
