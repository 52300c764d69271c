"""Whether every operator has the data types that were asked for: what `check = 1` fails by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx_ir as ir

from axbuild.errors import AxError, counted
from axbuild.toolchain.kinds.codes import FP32, type_of
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.lowered import LoweredNode
from axbuild.toolchain.quant.precision import Precision
from axbuild.toolchain.quant.scheme import Form

MOST_NAMED = 5
"""findings that an error names"""


class DataTypeError(AxError):
    """An operator without the data types that were asked for."""

    code = "AX365"

    def __init__(self, findings: list[str]) -> None:
        more = f"; and {len(findings) - MOST_NAMED} more" if len(findings) > MOST_NAMED else ""
        told = counted(len(findings), "data type")
        super().__init__(
            f"check = 1 found {told} other than asked for: {'; '.join(findings[:MOST_NAMED])}{more}",
            hint="what only moves elements has the type that its readers ask for; the quant guide says what decides",
        )


def require_types(
    parts: Iterable[LoweredNode], asked: Mapping[ir.Node, Precision], *, everywhere: bool = False
) -> None:
    """Raises DataTypeError. What a kind swallows is part of exact sums, and has no data type of its own.

    everywhere: of operators without a rule too, as far as they compute on codes.
    """
    findings: list[str] = []
    for part in parts:
        own = asked[part.fused.node]
        if own.asked or (everywhere and part.site.form is Form.INTEGER):
            findings += _findings(part, own)
    if findings:
        raise DataTypeError(findings)


def _findings(part: LoweredNode, asked: Precision) -> Iterator[str]:
    if asked.weight is FP32:  # a float operator, as that asks for
        return
    node, reason = part.fused.node, f" ({part.site.reason})" if part.site.reason else ""
    op, free = op_of(node), () if asked.asked else _following(part)
    for value in part.fused.inputs:
        real = op is not None and value in op.reals(node)
        found = type_of(part.site.reads[value.name or ""])
        if value.dtype == ir.DataType.FLOAT and not real and value not in free and found != asked.data:
            yield f"'{part.fused.name}' ({node.op_type}) reads '{value.name}' as {found}, not {asked.data}{reason}"
    output, weight = part.fused.output, part.site.weight
    written = type_of(part.site.writes[output.name or ""])
    if asked.output not in (None, written):
        yield f"'{part.fused.name}' ({node.op_type}) writes '{output.name}' as {written}, not {asked.output}"
    if weight is not None and weight.type != asked.weight:
        yield f"'{part.fused.name}' ({node.op_type}) has {weight.type} weights, not {asked.weight}"


def _following(part: LoweredNode) -> tuple[ir.Value, ...]:
    """The inputs whose type is not the operator's own to choose."""
    op, node = op_of(part.fused.node), part.fused.node
    if op is None or op.only_moves(node):
        return part.fused.inputs
    return (*op.shared(node), *op.joined(node))
