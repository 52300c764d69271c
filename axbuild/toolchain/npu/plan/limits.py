"""What a chip's NPU takes of the float operators, read from `ops.toml`, where every limit carries its sentence."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import onnx_ir as ir


@dataclass(frozen=True)
class Limit:
    """The values an attribute may have, checked unless every element of attribute `unless_zero` is 0."""

    attribute: str
    allowed: tuple[Any, ...]
    default: Any
    sentence: str
    unless_zero: str = ""

    def broken_by(self, node: ir.Node) -> str | None:
        """The sentence, filled in, where the node is outside the limit."""
        if self.unless_zero and not any(_values(node, self.unless_zero, 0)):
            return None
        values = _values(node, self.attribute, self.default)
        odd = [value for value in values if value not in self.allowed]
        return self.sentence.format(value=odd[0]) if odd else None


def _values(node: ir.Node, name: str, default: Any) -> list[Any]:
    attribute = node.attributes.get(name)
    value = default if attribute is None else attribute.value
    return list(value) if isinstance(value, list | tuple) else [value]


def refusals(node: ir.Node, chip: str) -> list[str]:
    """Why the chip's NPU does not take a float node; empty where it does."""
    entry = _table().get(node.op_type)
    if entry is None or chip not in entry["chips"]:
        return [f"the NPU of {chip} has no {node.op_type}"]
    limits = [Limit(**{**row, "allowed": tuple(row["allowed"])}) for row in entry.get("limits", ())]
    return [sentence for limit in limits if (sentence := limit.broken_by(node))]


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).parents[1].joinpath("chips", "ops.toml").read_text(encoding="utf-8"))
