"""The one judge of where a fused node runs: preflight says it early, partition cuts by it.

A fused node runs on the NPU, or on the CPU with its reasons:
- it has no integer form. The quantised model then holds the float operator itself, and says why. This is also how
  INT64 and BOOL stand: on the NPU they are int32 and uint8, and only kinds for which that loses nothing (movers, the
  indices of a Gather) read or write them; arithmetic on them has no kind;
- the size of a tensor depends on data, and a program's boxes are fixed;
- the chip lacks the operator, or has it within limits that the node does not keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.chips.support import refusals


@dataclass(frozen=True)
class Judgement:
    """reasons: why a fused node runs on the CPU, empty on the NPU; expected: its kind of operator is the NPU's, and
    only this form of it is not, which is worth a change of the model."""

    reasons: tuple[str, ...] = ()
    expected: bool = False

    @property
    def on_npu(self) -> bool:
        return not self.reasons

    @property
    def sentence(self) -> str:
        return "; ".join(self.reasons)


def judge(nodes: Sequence[ir.Node], chip: Support, formless: Iterable[str] = ()) -> Judgement:
    """Where the fused node of these float nodes runs; formless: why it has no integer form, nothing where it has."""
    limits = [sentence for node in nodes for sentence in refusals(node, chip)]
    reasons = dict.fromkeys([*formless, *(r for node in nodes for r in _unsized(node)), *limits])
    known = all(node.op_type in chip.operators for node in nodes)
    return Judgement(tuple(reasons), known and bool(limits))


def _unsized(node: ir.Node) -> list[str]:
    values = [value for value in (*node.inputs, *node.outputs) if value is not None and value.shape is not None]
    return [f"the size of '{value.name}' depends on data" for value in values if _from_data(value)][:1]


def _from_data(value: ir.Value) -> bool:
    return value.shape is not None and any(not isinstance(size, int) for size in value.shape)


def way_back(node: str, op_type: str, judgement: Judgement) -> str:
    """The warning about a node that was expected on the NPU."""
    return (
        f"'{node}' ({op_type}) runs on the CPU, one sample at a time: {judgement.sentence}; "
        "change it so in the float model, and it runs on the NPU"
    )
