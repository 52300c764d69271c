"""The one judge of where a fused node runs: preflight says it early, partition cuts by it.

A fused node runs on the NPU, or on the CPU with its reasons:
- it has no integer form. The quantised model then holds the float operator itself, and says why. This is also how
  INT64 and BOOL stand: on the NPU they are int32 and uint8, and only what provably loses nothing by that works on them
  there;
- the size of a tensor depends on data, and a program's boxes are fixed;
- the chip lacks the operator, or has it within limits that the node does not keep;
- one of its kinds does not fit the on-chip memory, however small its tiles are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.named import NAMED
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.chips.support import refusals
from axbuild.toolchain.npu.lower.packing import Standing, shortage
from axbuild.toolchain.npu.plan.record import CPU, NPU
from axbuild.toolchain.ops.host import REASONS, REWRITTEN
from axbuild.toolchain.ops.registry import op_called, op_of


@dataclass(frozen=True)
class Judgement:
    """reasons: why a fused node runs on the CPU, empty on the NPU; expected: the NPU has its operator, and only this
    form of it is beyond a limit, which is worth a change of the model."""

    reasons: tuple[str, ...] = ()
    expected: bool = False

    @property
    def on_npu(self) -> bool:
        return not self.reasons

    @property
    def sentence(self) -> str:
        return "; ".join(self.reasons)


def judge(nodes: Sequence[ir.Node], chip: Support, formless: str = "", kinds: Iterable[Standing] = ()) -> Judgement:
    """Where the fused node of these float nodes runs.

    formless: why it has no integer form, "" where it has one; kinds: what it is made of then, asked for as the last.
    No weight's value is looked at: of a quantised model alone there is none.
    """
    if formless:
        return Judgement((formless,), _beyond_limit(nodes[0], formless) and nodes[0].op_type in chip.operators)
    if unsized := [reason for node in nodes for reason in _unsized(node)]:
        return Judgement(tuple(dict.fromkeys(unsized)))
    # What stands in front of the head is taken along by it, and is no operator of its own on the NPU.
    along = {value.producer() for value in nodes[0].inputs if value is not None}
    broken = [sentence for node in nodes if node not in along for sentence in refusals(node, chip)]
    if not broken and chip.memory is not None:
        broken = [f"it needs {short}" for at in kinds if (short := shortage(at, chip.memory))]
    return Judgement(
        tuple(dict.fromkeys(broken)), bool(broken) and all(node.op_type in chip.operators for node in nodes)
    )


def place_of(op_type: str, chip: Support) -> str:
    """Where an operator runs that keeps every limit: "NPU", "CPU", "rewritten" where it never gets that far, or "not
    yet" where the NPU has it and it has no integer form yet, and nothing says that it never will."""
    if op_type in REWRITTEN:
        return "rewritten"
    if op_type not in chip.operators or op_type in REASONS:
        return CPU
    own = NAMED.get(op_type)
    made = own.rewritten if own and own.rewritten else (op_type,)
    return NPU if op_called(made[-1]) else "not yet"


def _beyond_limit(node: ir.Node, reason: str) -> bool:
    """Whether the reason is a limit of the operator's integer form."""
    op = op_of(node)
    return op is not None and any(reason.startswith(limit.sentence) for limit in op.limits)


def _unsized(node: ir.Node) -> list[str]:
    values = [value for value in (*node.inputs, *node.outputs) if value is not None and value.shape is not None]
    return [f"the size of '{value.name}' depends on data" for value in values if not _is_static(value.shape)]


def _is_static(shape: ir.Shape | None) -> bool:
    return shape is None or shape.is_static()


def way_back(node: ir.Node, judgement: Judgement) -> str:
    """The warning about a node that was expected on the NPU."""
    return (
        f"'{node.name}' ({node.op_type}) will run on the CPU, one sample at a time: {judgement.sentence}; "
        "change that in the float model to keep it on the NPU"
    )
